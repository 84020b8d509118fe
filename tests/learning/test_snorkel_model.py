"""Snorkel's label model as a method: what it is given, and what it refuses; itself where it is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from elections import ballots

from labelmill.errors import InputError, MissingExtraError
from labelmill.learning.combining import combine
from labelmill.learning.snorkel_model import _matrix
from labelmill.learning.votes import KnownLabels

INSTALLED = importlib.util.find_spec("snorkel") is not None


def three_voters(accuracies=(0.9, 0.7, 0.6), documents=400, labels=3):
    """Draw documents of one label each, and voters that are right so often; returns votes and the truth."""
    random = np.random.default_rng(0)
    truth = random.integers(0, labels, documents)
    rows = []
    for voter, accuracy in enumerate(accuracies):
        wrong = (truth + random.integers(1, labels, documents)) % labels
        said = np.where(random.random(documents) < accuracy, truth, wrong)
        rows += [(voter, document, int(label), 1) for document, label in enumerate(said)]
    return ballots(rows, documents=documents, labels=labels), truth


def test_several_labels_are_refused():
    """In one line that says what to use."""
    votes, _ = three_voters()
    with pytest.raises(InputError, match=r"exactly one label\. Give --exclusive if they have"):
        combine(votes, method="snorkel")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 0, 0, 1), (1, 0, 1, 1)], "needs 3 voters and 2 labels .* there are 2 and 2"),
        ([(0, 0, 0, 1), (1, 0, 0, 1), (2, 0, 0, 1)], "there are 3 and 1"),
        ([(0, 0, 0, 1), (1, 0, 1, 1), (2, 0, 2, -1)], "no votes against a label of several; 1 are"),
    ],
)
def test_votes_that_it_does_not_take_are_refused(rows, message):
    """Before it is asked."""
    with pytest.raises(InputError, match=message):
        combine(ballots(rows), method="snorkel", exclusive=True)


def test_a_table_that_does_not_fit_in_memory_is_refused():
    """Snorkel makes one of documents by voters and labels, here of 2.4 GB."""
    votes = ballots([(0, 0, 0, 1), (1, 0, 1, 1), (2, 0, 99, 1)] + [(0, 1, n, 1) for n in range(100)], documents=10**6)
    with pytest.raises(InputError, match="1,000,000 documents, 3 voters and 100 labels does not fit"):
        combine(votes, method="snorkel", exclusive=True)


def test_a_cell_is_the_best_ranked_vote_and_a_vote_against_one_of_two_is_for_the_other():
    """Nothing else fits into one."""
    rows = [(0, 0, 1, 1, 0.5, 2), (0, 0, 0, 1, 0.1, 1), (1, 1, 0, -1, 1.0, 0), (2, 2, 1, 1, 1.0, 0)]
    matrix = _matrix(ballots(rows), np.array([0, 1], np.int32))
    assert matrix.tolist() == [[0, -1, -1], [-1, 1, -1], [-1, -1, 1]]


@pytest.mark.skipif(INSTALLED, reason="snorkel is installed")
def test_where_it_is_not_installed_the_extra_is_named():
    """And how to install it."""
    votes, _ = three_voters()
    with pytest.raises(MissingExtraError, match=r"the method 'snorkel' needs the extra 'snorkel'"):
        combine(votes, method="snorkel", exclusive=True)


@pytest.mark.skipif(not INSTALLED, reason="snorkel is not installed (extra 'snorkel')")
@pytest.mark.filterwarnings("ignore")
def test_it_says_what_snorkel_says_and_the_same_every_time():
    """Of the same matrix; documents with gold keep theirs, and their shares are what it is told of labels."""
    from snorkel.labeling.model import LabelModel

    votes, truth = three_voters()
    known = KnownLabels(np.arange(90), np.arange(90), truth[:90])
    found, again = (combine(votes, known, method="snorkel", exclusive=True).soft for _ in range(2))
    assert np.array_equal(found.score, again.score)
    table = np.zeros((votes.documents, votes.labels))
    table[found.document, found.label] = found.score
    model = LabelModel(cardinality=3, verbose=False)
    matrix = np.full((votes.documents, 3), -1)
    matrix[votes.document, votes.voter] = votes.label
    balance = (np.bincount(truth[:90]) + 1) / 93
    model.fit(matrix, seed=0, class_balance=balance.tolist(), progress_bar=False)
    assert table[90:] == pytest.approx(model.predict_proba(matrix)[90:], abs=1e-3)
    assert np.array_equal(table[:90].argmax(axis=1), truth[:90])
    assert set(table[:90].max(axis=1)) == {1.0}
