"""The certainty at which a student's answers stand, and what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from labelmill.errors import InputError
from labelmill.learning.cascading import certainty, fit_certainty, parse_cascade, shown_by


def test_certainty_is_what_an_answer_expects_of_itself():
    """By hand: 0.9 and 0.6 given, 0.3 and 0.2 not."""
    probabilities, given = np.array([0.9, 0.6, 0.3, 0.2]), np.array([True, True, False, False])
    assert certainty("precision", probabilities, given) == 0.75
    assert certainty("recall", probabilities, given) == 0.75
    assert certainty("agreement", probabilities, given) == 0.75
    assert certainty("recall", np.array([0.9, 0.9]), np.array([True, False])) == 0.5


def test_an_answer_without_labels_is_never_certain():
    """Nor is one without candidates."""
    for kind in ("precision", "recall", "agreement"):
        assert certainty(kind, np.array([0.2]), np.array([False])) == 0
        assert certainty(kind, np.empty(0), np.empty(0, bool)) == 0


@pytest.mark.parametrize(
    ("text", "wanted"), [("precision>=0.8", ("precision", 0.8)), (" agreement >= .95 ", ("agreement", 0.95))]
)
def test_a_promise_is_read(text, wanted):
    """With blanks or without."""
    assert parse_cascade(text) == wanted


@pytest.mark.parametrize(
    "text", ["precision", "f1>=0.5", "recall<=0.5", "recall>=1.5", "recall>=0.0", "", "agreement>=x"]
)
def test_what_is_no_promise_is_refused(text):
    """With what could be written."""
    with pytest.raises(InputError, match=r"agreement>=0\.9"):
        parse_cascade(text)


def world(seed, documents):
    """Documents whose student gives four labels, each right with the document's certainty."""
    rng = np.random.default_rng(seed)
    sure = rng.random(documents).round(3)
    right = rng.binomial(4, sure).astype(float)
    return sure, np.full(documents, 4.0), right, np.full(documents, 4.0)


@pytest.mark.parametrize("kind", ["precision", "recall", "agreement"])
def test_the_promise_is_kept_on_fresh_documents(kind):
    """In nine of ten draws at least, and not by answering nothing."""
    kept, answered = [], []
    for seed in range(40):
        least, rest = fit_certainty(kind, 0.7, *world(seed, 300), most=5)
        sure, given, right, _ = world(1000 + seed, 20_000)
        stands = sure >= least
        kept.append(right[stands].sum() / given[stands].sum() >= 0.7)
        answered.append(stands.mean())
        assert abs(rest - (1 - stands.mean())) < 0.1
    assert np.mean(kept) >= 0.85
    assert np.mean(answered) > 0.4  # 0.6 of them would keep it exactly


def test_what_cannot_be_shown_is_refused():
    """With about how many documents it would take."""
    with pytest.raises(InputError, match=r"Give about \d+ documents, or promise less"):
        fit_certainty("precision", 0.9, *world(0, 15), most=5)


def test_documents_without_labels_show_nothing_of_recall():
    """They are not counted among those that it is shown by."""
    wanted = np.array([1.0, 0.0, 2.0])
    assert [shown_by(kind, wanted) for kind in ("precision", "recall", "agreement")] == [3, 2, 3]
    sure, given, right, wanted = (np.append(column, np.zeros(500)) for column in world(0, 15))
    with pytest.raises(InputError, match="by 15 documents"):
        fit_certainty("recall", 0.9, sure, given, right, wanted, most=5)


def test_the_order_of_documents_does_not_matter_much():
    """They are drawn anew: a file that lists easy ones first tells nothing."""
    columns = world(1, 400)
    order = np.argsort(-columns[0])
    there, _ = fit_certainty("precision", 0.7, *columns, most=5)
    here, _ = fit_certainty("precision", 0.7, *(column[order] for column in columns), most=5)
    assert abs(there - here) < 0.1
