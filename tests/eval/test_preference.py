"""Pairwise judgements, counted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from labelmill.eval.preference import preference


def test_a_win_takes_both_orders():
    """A model that always says the first prefers nothing."""
    verdicts = np.array([[1, 2], [1, 2], [2, 1], [1, 1], [0, 0], [0, 2]])
    result = preference(verdicts)
    assert (result.pairs, result.wins, result.losses, result.ties, result.neither) == (6, 2, 1, 2, 1)
    assert result.rate == pytest.approx(3 / 5)
    assert 0 < result.low < result.rate < result.high < 1


def test_the_interval_is_wilsons():
    """10 of 10: 72.2% to 100%."""
    result = preference(np.array([[1, 2]] * 10))
    assert (result.rate, result.high) == (1.0, pytest.approx(1.0))
    assert result.low == pytest.approx(0.7225, abs=1e-3)


def test_nothing_judged_is_no_rate():
    """Neither without pairs nor where neither label ever fits."""
    for verdicts in (np.empty((0, 2), np.int64), np.zeros((3, 2), np.int64)):
        result = preference(verdicts)
        assert math.isnan(result.rate)
        assert result.neither == len(verdicts)
