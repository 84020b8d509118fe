"""Confusions of voters on labels that exclude each other, found without gold."""

from __future__ import annotations

import numpy as np
import pytest
from elections import ballots, chosen, gold_of, scores_of
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.errors import InputError
from labelmill.learning import dawid_skene as module
from labelmill.learning.dawid_skene import dawid_skene

ACCURACY = [0.9, 0.85, 0.6, 0.55, 0.5]


def test_voters_are_found_to_be_as_good_as_they_are():
    """Within some points, of votes alone."""
    votes, _ = chosen(ACCURACY, documents=3000)
    found = dawid_skene(votes, strength=20)[1].accuracy
    assert found == pytest.approx(ACCURACY, abs=0.06)


def test_it_beats_the_majority_where_voters_differ():
    """By three points at least, on votes of two good voters and three bad ones."""
    votes, truth = chosen(ACCURACY, documents=3000)
    soft = scores_of(dawid_skene(votes)[0], votes)
    counts = np.zeros_like(soft)
    np.add.at(counts, (votes.document, votes.label), 1)
    met = counts.any(axis=1)
    assert (soft.argmax(1) == truth)[met].mean() > (counts.argmax(1) == truth)[met].mean() + 0.03


def test_a_voter_that_knows_one_label_is_of_use():
    """Such a voter's votes are always for that label: how often it speaks is what tells."""
    votes, truth = chosen([0.75, 0.75, 0.7], documents=2000, labels=2)
    random = np.random.default_rng(1)
    rows = [(3, d, 1, 1) for d in range(2000) if random.random() < (0.6 if truth[d] == 1 else 0.03)]
    old = list(zip(votes.voter, votes.document, votes.label, votes.sign, strict=True))
    more = ballots(old + rows, 2000, 2)
    before = (scores_of(dawid_skene(votes)[0], votes).argmax(1) == truth).mean()
    assert (scores_of(dawid_skene(more)[0], more).argmax(1) == truth).mean() > before + 0.02


@given(st.permutations(range(3)), st.integers(0, 5))
@settings(max_examples=15)
def test_it_is_indifferent_to_the_order_of_labels(order, seed):
    """Labels under other numbers get the same probabilities."""
    votes, _ = chosen([0.9, 0.7, 0.6], documents=120, seed=seed)
    renamed = ballots(
        [(v, d, order[label], 1) for v, d, label in zip(votes.voter, votes.document, votes.label, strict=True)], 120, 3
    )
    a, b = scores_of(dawid_skene(votes)[0], votes), scores_of(dawid_skene(renamed)[0], renamed)
    assert b[:, list(order)] == pytest.approx(a, abs=2e-3)


@given(st.booleans(), st.integers(1, 4), st.integers(0, 5))
@settings(max_examples=15)
def test_voters_that_abstain_from_everything_change_nothing(silence, more, seed):
    """And so do documents on which nobody votes."""
    votes, _ = chosen([0.9, 0.7, 0.6], documents=100, share=1, seed=seed)
    rows = list(zip(votes.voter, votes.document, votes.label, votes.sign, strict=True))
    padded = ballots(rows, voters=3 + more, documents=100 + (0 if silence else 50))
    a, b = (scores_of(dawid_skene(each, silence=silence)[0], each)[:100] for each in (votes, padded))
    assert b == pytest.approx(a, abs=1e-3)


@given(st.integers(0, 20))
@settings(max_examples=10)
def test_perfect_voters_are_found(seed):
    """Among as many that guess."""
    votes, truth = chosen([1.0, 1.0, 1.0, 1 / 3, 1 / 3], documents=300, share=0.9, seed=seed)
    soft, found = dawid_skene(votes, strength=10)
    met = np.isin(np.arange(300), votes.document[votes.voter < 3])
    assert (scores_of(soft, votes).argmax(1) == truth)[met].mean() > 0.97
    assert found.accuracy[:3].min() > 0.95
    assert found.accuracy[3:].max() < 0.6


def test_gold_teaches_and_is_kept():
    """A voter that is wrong on most gold is not believed, though it is in company."""
    rows = [(voter, document, 0, 1) for voter in (0, 1) for document in range(60)]
    rows += [(2, document, 1, 1) for document in range(60)]
    votes = ballots(rows, labels=2)
    soft, found = dawid_skene(votes, gold_of(range(40), [1] * 40), strength=5)
    table = scores_of(soft, votes)
    assert table[:40, 1].tolist() == [1.0] * 40
    assert table[40:, 1].min() > 0.9
    assert found.accuracy[2] > 0.9


def test_a_vote_against_takes_away():
    """Whoever says what a label is not leaves the rest."""
    rows = [(0, d, d % 3, 1) for d in range(300)] + [(1, d, d % 3, 1) for d in range(0, 300, 2)]
    rows += [(2, 300, 0, -1)] + [(2, d, (d + 1) % 3, -1) for d in range(300)]
    table = scores_of(dawid_skene(ballots(rows, labels=3))[0], ballots(rows, labels=3))
    assert table[300, 0] < 0.2
    assert min(table[300, 1:]) > 0.2


def test_too_many_labels_are_an_error_that_says_so(monkeypatch):
    """In place of memory that runs out."""
    monkeypatch.setattr(module, "MOST_CELLS", 10)
    with pytest.raises(InputError, match="labels that exclude each other are too many"):
        dawid_skene(chosen([0.9, 0.8], documents=20)[0])


def test_a_vote_against_one_of_many_labels_speaks_against_it():
    """Though those for are right in 7 of 10, and a label at hazard is wrong in 9 of 10 anyhow."""
    votes, truth = chosen([0.7, 0.7, 0.7], documents=2000, labels=10)
    rows = list(zip(votes.voter, votes.document, votes.label, votes.sign, strict=True))
    drawn = np.random.default_rng(0).integers(0, 10, 600)
    rows += [(3, d, label, -1) for d, label in enumerate(drawn) if label != truth[d] or d % 5 == 0]
    votes = ballots(rows, documents=2000, labels=10)
    denied = votes.document[votes.sign < 0], votes.label[votes.sign < 0]
    after = scores_of(dawid_skene(votes)[0], votes)[denied]
    before = scores_of(dawid_skene(votes.where(votes.sign > 0))[0], votes)[denied]
    voted = before > 0
    assert after[voted].mean() < 0.7 * before[voted].mean()
    assert after[voted].mean() == pytest.approx((truth[denied[0]] == denied[1])[voted].mean(), abs=0.02)
