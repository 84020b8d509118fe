"""Majorities: shares, weights, and when weights cannot help."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from elections import ballots, chosen, gold_of, judged, scores_of
from hypothesis import given
from hypothesis import strategies as st

from labelmill.learning.majority import majority, majority_suffices, weighted_majority


def test_shares_of_labels_that_exclude_each_other_are_of_the_document():
    """Two of three votes."""
    votes = ballots([(0, 0, 0, 1), (1, 0, 0, 1), (2, 0, 1, 1)], labels=3)
    assert scores_of(majority(votes, exclusive=True), votes)[0] == pytest.approx([2 / 3, 1 / 3, 0])


def test_shares_of_other_labels_are_of_the_pair():
    """Each label for itself; silence that speaks is a vote against."""
    rows = [(0, 0, 0, 1), (1, 0, 0, -1), (0, 0, 1, 1)]
    votes = ballots(rows, labels=2)
    assert scores_of(majority(votes, exclusive=False), votes)[0] == pytest.approx([0.5, 1])
    rows += [(2, 1, 1, 1)]
    votes = ballots(rows, labels=2, silent=(2,))
    assert scores_of(majority(votes, exclusive=False), votes)[0] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("exclusive", [True, False])
def test_weights_follow_what_voters_are_worth(exclusive):
    """The order of their accuracies is found without gold."""
    if exclusive:
        votes, _ = chosen([0.95, 0.8, 0.55, 0.55], documents=1500)
    else:
        votes, _, _ = judged([0.95, 0.8, 0.55, 0.55], [0.05, 0.2, 0.45, 0.45], documents=1000)
    accuracy = weighted_majority(votes, exclusive=exclusive)[1].accuracy
    assert accuracy[0] > accuracy[1] > max(accuracy[2:])


def test_a_vote_against_one_of_many_labels_is_weighed_by_bayes_rule():
    """One for it and one against: it is as probable as the first is right and the second wrong, among ten labels."""
    votes = ballots([(0, 0, 0, 1), (1, 0, 0, -1)], labels=10)
    soft, found = weighted_majority(votes, exclusive=True)
    right, other = found.accuracy
    yes, no = right * (1 - other), (1 - right) * other
    assert scores_of(soft, votes)[0, 0] == pytest.approx(yes / (yes + no))


def test_voters_that_know_one_label_each_are_not_turned_round():
    """Were they judged by themselves, all documents would have the label that more of them know."""
    rows = [(0, d, 0, 1) for d in range(200)] + [(1, d, 1, 1) for d in range(180, 400)]
    votes = ballots(rows, labels=2)
    table = scores_of(weighted_majority(votes, exclusive=True)[0], votes)
    assert (table[:180].argmax(1) == 0).all()
    assert (table[200:].argmax(1) == 1).all()


def test_gold_says_who_is_right():
    """Of two that always contradict each other."""
    rows = [(voter, d, voter, 1) for voter in (0, 1) for d in range(80)]
    votes = ballots(rows, labels=2)
    soft, found = weighted_majority(votes, gold_of(range(60), [1] * 60), exclusive=True)
    assert found.accuracy[1] > 0.8
    assert found.accuracy[0] < 0.6
    assert scores_of(soft, votes)[70].argmax() == 1


@given(st.lists(st.floats(0.51, 0.98), min_size=1, max_size=5))
def test_the_condition_is_that_weights_never_overrule_a_majority(accuracy):
    """Checked on every way in which some of the voters can vote on two labels."""
    accuracy = np.array(accuracy)
    weights = np.log(accuracy / (1 - accuracy))
    ways = np.array(list(product((-1, 0, 1), repeat=len(accuracy))))
    count, weight = ways.sum(axis=1), ways @ weights
    overruled = ((count > 0) & (weight < -1e-9)) | ((count < 0) & (weight > 1e-9))
    assert majority_suffices(accuracy, most=len(accuracy)) == (not overruled.any())


def test_fewer_votes_at_once_ask_for_less():
    """Of five such voters three together overrule the best, but any two are outweighed by it."""
    accuracy = np.array([0.8, 0.7, 0.7, 0.7, 0.7])
    assert majority_suffices(accuracy, most=2)
    assert not majority_suffices(np.array([0.9, 0.6, 0.6]), most=3)
    assert not majority_suffices(np.array([0.9, 0.4]), most=2)
