"""Two rates of every voter, label by label, found without gold; what silence says; what rare labels borrow."""

from __future__ import annotations

import numpy as np
import pytest
from elections import ballots, judged, scores_of
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.learning.two_sided import two_sided
from labelmill.learning.votes import KnownLabels

YES, NO = [0.9, 0.8, 0.75, 0.6, 0.55], [0.05, 0.3, 0.2, 0.3, 0.5]


def probabilities(votes, keys, **options):
    soft, rates = two_sided(votes, **options)
    return scores_of(soft, votes).ravel()[keys], rates


def test_rates_are_found():
    """Both of them, of votes alone."""
    votes, _, _ = judged(YES, NO, documents=2000)
    rates = two_sided(votes)[1]
    assert rates.true_yes == pytest.approx(YES, abs=0.05)
    assert rates.false_yes == pytest.approx(NO, abs=0.05)


def test_probabilities_mean_what_they_say_and_beat_the_majority():
    """Where voters differ: an error below 0.03, and more pairs right."""
    votes, keys, truth = judged(YES, NO, documents=2000)
    found, _ = probabilities(votes, keys)
    voted = np.unique(votes.document.astype(np.int64) * votes.labels + votes.label)
    here = np.isin(keys, voted)
    net = np.zeros((votes.documents, votes.labels))
    np.add.at(net, (votes.document, votes.label), votes.sign)
    order = np.argsort(found[here])
    bins = np.array_split(order, 15)
    gap = sum(abs(found[here][b].mean() - truth[here][b].mean()) * len(b) for b in bins) / here.sum()
    assert gap < 0.03
    assert ((found > 0.5) == truth)[here].mean() > ((net.ravel()[keys] > 0) == truth)[here].mean() + 0.02


def test_a_rare_label_borrows_from_the_others():
    """A label with three votes trusts the voter that is right everywhere else."""
    votes, _, _ = judged([0.95, 0.6], [0.03, 0.5], documents=1500, labels=10)
    rows = list(zip(votes.voter, votes.document, votes.label, votes.sign, strict=True))
    rows += [(0, 0, 10, 1), (1, 0, 10, -1), (0, 1, 10, -1), (1, 1, 10, 1)]
    table = scores_of(two_sided(more := ballots(rows, 1500, 11))[0], more)
    assert table[0, 10] > 0.6
    assert table[1, 10] < 0.2


def test_voters_that_only_say_yes_are_judged_by_their_silence():
    """What three of them name together is likelier than what one of them names alone."""
    random = np.random.default_rng(0)
    documents, labels = 1000, 30
    truth = random.random((documents, labels)) < 0.08
    rows = []
    for voter, (hit, slip) in enumerate([(0.8, 0.01), (0.7, 0.02), (0.6, 0.03), (0.5, 0.1)]):
        said = random.random(truth.shape) < np.where(truth, hit, slip)
        rows += [(voter, d, label, 1) for d, label in zip(*np.nonzero(said), strict=True)]
    votes = ballots(rows, documents, labels, silent=(0, 1, 2, 3))
    soft, rates = two_sided(votes)
    table = scores_of(soft, votes)
    assert rates.true_yes == pytest.approx([0.8, 0.7, 0.6, 0.5], abs=0.05)
    assert rates.false_yes == pytest.approx([0.01, 0.02, 0.03, 0.1], abs=0.01)
    assert rates.prior.mean() == pytest.approx(0.08, abs=0.01)
    chosen = table > 0.5
    assert (chosen & truth).sum() / chosen.sum() > 0.9
    assert (chosen & truth).sum() / truth.sum() > 0.85


@given(st.permutations(range(6)), st.integers(0, 3))
@settings(max_examples=10)
def test_it_is_indifferent_to_the_order_of_labels(order, seed):
    """Labels under other numbers get the same probabilities."""
    votes, _, _ = judged(YES[:3], NO[:3], documents=60, labels=6, seed=seed)
    columns = zip(votes.voter, votes.document, votes.label, votes.sign, strict=True)
    renamed = ballots([(v, d, order[label], s) for v, d, label, s in columns], 60, 6)
    a, b = scores_of(two_sided(votes)[0], votes), scores_of(two_sided(renamed)[0], renamed)
    assert b[:, list(order)] == pytest.approx(a, abs=1e-6)


@given(st.booleans(), st.integers(1, 3))
@settings(max_examples=10)
def test_voters_that_abstain_from_everything_change_nothing(silent, more):
    """Whether or not they would speak by silence: they never vote on any label."""
    votes, _, _ = judged(YES[:3], NO[:3], documents=60, labels=6)
    rows = list(zip(votes.voter, votes.document, votes.label, votes.sign, strict=True))
    padded = ballots(rows, 60, 6, voters=3 + more, silent=range(3, 3 + more) if silent else ())
    a, b = scores_of(two_sided(votes)[0], votes), scores_of(two_sided(padded)[0], padded)
    if not silent:
        assert b == pytest.approx(a, abs=1e-9)
    assert ((a > 0.5) == (b > 0.5)).mean() > 0.98


@given(st.integers(0, 10))
@settings(max_examples=8)
def test_perfect_voters_are_found(seed):
    """Among as many that guess."""
    votes, keys, truth = judged([1, 1, 0.5, 0.5], [0, 0, 0.5, 0.5], documents=300, share=0.9, seed=seed)
    found, rates = probabilities(votes, keys)
    sure = np.isin(keys, (votes.document.astype(np.int64) * votes.labels + votes.label)[votes.voter < 2])
    assert ((found > 0.5) == truth)[sure].mean() > 0.98
    assert rates.true_yes[:2].min() > 0.95
    assert rates.false_yes[:2].max() < 0.05


def test_gold_turns_round_what_votes_alone_suggest():
    """Two that agree are wrong, says gold; then they are on all other documents, too."""
    rows = [(voter, d, 0, 1) for voter in (0, 1) for d in range(100)] + [(2, d, 0, -1) for d in range(100)]
    votes = ballots(rows, 100, 1)
    nothing = np.empty(0, np.int64)
    known = KnownLabels(np.arange(60), nothing, nothing)
    assert scores_of(two_sided(votes)[0], votes)[80, 0] > 0.5
    table = scores_of(two_sided(votes, known)[0], votes)
    assert table[:60].max() == 0.0
    assert table[80, 0] < 0.2


def test_gold_that_nobody_voted_for_is_kept():
    """A label of gold without votes is a label."""
    votes = ballots([(0, 0, 0, 1), (0, 1, 1, 1)], 3, 3, silent=(0,))
    known = KnownLabels(np.array([0, 2]), np.array([0, 2]), np.array([2, 1]))
    table = scores_of(two_sided(votes, known)[0], votes)
    assert table[0].tolist() == [0.0, 0.0, 1.0]
    assert table[2].tolist() == [0.0, 1.0, 0.0]


def test_what_a_rank_is_worth_is_learned():
    """Of a voter that ranks, the first place says more than the tenth."""
    random = np.random.default_rng(3)
    rows = []
    for document in range(800):
        true = random.random(8) < 0.3
        rows += [
            (v, document, label, 1 if true[label] == (random.random() < 0.85) else -1)
            for v in (0, 1)
            for label in range(8)
        ]
        ranking = np.argsort(-(true + random.normal(0, 0.4, 8)))
        rows += [(2, document, int(label), 1, 1.0, rank) for rank, label in enumerate(ranking, 1)]
    votes = ballots(rows, 801, 8)
    rows += [(2, 800, 0, 1, 1.0, 1), (2, 800, 1, 1, 1.0, 9)]
    table = scores_of(two_sided(more := ballots(rows, 801, 8))[0], more)
    assert len(votes) + 2 == len(more)
    assert table[800, 0] > table[800, 1] + 0.3
