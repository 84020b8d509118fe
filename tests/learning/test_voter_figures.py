"""What is said of voters, against what was counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from elections import ballots, chosen, gold_of, judged

from labelmill.learning.voter_figures import echoes_of, figures_of
from labelmill.learning.votes import KnownLabels


def test_figures_of_labels_that_exclude_each_other():
    """As Snorkel's analysis has them: shares of documents."""
    votes = ballots([(0, 0, 0, 1), (1, 0, 1, 1), (0, 1, 0, 1), (1, 1, 0, 1), (0, 2, 0, 1)], documents=4, labels=2)
    found = figures_of(votes, gold_of([0, 1], [0, 0]), exclusive=True)
    assert found.coverage.tolist() == [0.75, 0.5]
    assert found.overlap.tolist() == [0.5, 0.5]
    assert found.conflict.tolist() == [0.25, 0.25]
    assert found.labels.tolist() == [1, 2]
    assert (found.judged.tolist(), found.right.tolist()) == ([2, 2], [2, 1])


def test_figures_of_other_labels():
    """Voters overlap on a label, and conflict where one is for it and the other against."""
    rows = [(0, 0, 0, 1), (1, 0, 0, -1), (0, 0, 1, 1), (1, 1, 1, 1), (0, 1, 0, 1)]
    nothing = np.empty(0, np.int64)
    found = figures_of(ballots(rows, labels=2), KnownLabels(np.array([0]), nothing, nothing), exclusive=False)
    assert found.overlap.tolist() == [0.5, 0.5]
    assert found.conflict.tolist() == [0.5, 0.5]
    assert found.against.tolist() == [0, 1]
    assert (found.judged.tolist(), found.right.tolist()) == ([2, 1], [0, 1])


def test_a_voter_that_copies_another_is_found_and_independent_ones_are_not():
    """A tenth of the copies altered, it is one still."""
    votes, _ = chosen([0.7, 0.7, 0.7], documents=2000, labels=2)
    rows = list(zip(votes.voter, votes.document, votes.label, votes.sign, strict=True))
    rows += [(3, d, label if d % 10 else 1 - label, 1) for v, d, label, _ in rows if v == 0]
    echoes = echoes_of(ballots(rows), np.array([0.7] * 3 + [0.65]), exclusive=True)
    assert {(echo.first, echo.second) for echo in echoes} == {(0, 3)}
    assert echoes[0].agreement == pytest.approx(0.9, abs=0.01)
    assert echoes[0].expected == pytest.approx(0.7 * 0.65 + 0.3 * 0.35)


@pytest.mark.parametrize("sign", [1, -1])
def test_voters_of_one_word_agree_on_all_that_both_say_and_are_no_echoes_for_that(sign):
    """Of several labels: an echo is one whose votes are among those of another, but for some of a hundred."""
    votes, _ = chosen([0.7, 0.7, 0.7], documents=2000, labels=2)
    rows = [(v, d, label, sign) for v, d, label in zip(votes.voter, votes.document, votes.label, strict=True)]
    rows += [(3, d, label if d % 50 else 1 - label, sign) for v, d, label, _ in rows if v == 0]
    echoes = echoes_of(ballots(rows), np.array([0.7] * 4), exclusive=False)
    assert {(echo.first, echo.second) for echo in echoes} == {(0, 3)}


def test_voters_that_judge_are_compared_by_what_they_say():
    """Of several labels, for and against."""
    votes, _, _ = judged([0.8, 0.8, 0.8], [0.2, 0.2, 0.2], documents=500)
    rows = list(zip(votes.voter, votes.document, votes.label, votes.sign, strict=True))
    rows += [(3, d, label, sign if d % 10 else -sign) for v, d, label, sign in rows if v == 0]
    echoes = echoes_of(ballots(rows), np.array([0.8] * 3 + [0.74]), exclusive=False)
    assert {(echo.first, echo.second) for echo in echoes} == {(0, 3)}
