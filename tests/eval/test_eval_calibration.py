"""Reliability and the expected calibration error, against their definitions and Newcombe's published intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.errors import InputError
from labelmill.eval.calibration import expected_calibration_error, reliability

PAIRS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0]), st.booleans()), min_size=1)


def arrays(pairs):
    return np.array([p for p, _ in pairs], dtype=np.float64), np.array([c for _, c in pairs], dtype=np.bool_)


def test_the_error_is_the_weighted_gap_of_the_definition():
    """Two bins of equal width: |0.2 - 0.5| for four pairs and |0.8 - 1| for one."""
    probabilities = np.array([0.1, 0.3, 0.1, 0.3, 0.8])
    correct = np.array([True, True, False, False, True])
    error = expected_calibration_error(probabilities, correct, bins=2, equal_mass=False)
    assert error == pytest.approx((4 * 0.3 + 1 * 0.2) / 5)


def test_bins_of_equal_mass_hold_equally_many_distinct_probabilities():
    """A hundred probabilities near 0 fall into ten bins of ten."""
    probabilities = np.linspace(0, 0.01, 100)
    found = reliability(probabilities, probabilities > 0.005, bins=10)
    assert [one.count for one in found] == [10] * 10
    assert [one.observed for one in found] == [0] * 5 + [1] * 5


def test_calibrated_probabilities_have_a_small_error_and_squared_ones_a_large_one():
    """The error tells probabilities that mean what they say from overconfident ones."""
    generator = np.random.default_rng(0)
    truth = generator.random(20_000)
    correct = generator.random(20_000) < truth
    assert expected_calibration_error(truth, correct) < 0.02
    assert expected_calibration_error(truth**2, correct) == pytest.approx(1 / 6, abs=0.02)


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_that_of_wilson(right, count, low, high):
    """The four examples of Newcombe (1998, table I, method 3)."""
    correct = np.arange(count) < right
    (only,) = reliability(np.full(count, 0.5), correct)
    assert (only.low, only.high) == pytest.approx((low, high), abs=6e-5)


@given(PAIRS, st.integers(1, 20), st.booleans(), st.randoms(use_true_random=False))
def test_bins_partition_the_pairs_whatever_their_order(pairs, bins, equal_mass, random):
    """Counts add up, means are kept, every number lies in 0..1, and shuffling changes nothing."""
    probabilities, correct = arrays(pairs)
    found = reliability(probabilities, correct, bins=bins, equal_mass=equal_mass)
    assert len(found) <= bins
    assert sum(one.count for one in found) == len(pairs)
    assert sum(one.count * one.probability for one in found) == pytest.approx(probabilities.sum())
    assert sum(one.count * one.observed for one in found) == pytest.approx(correct.sum())
    assert all(0 <= one.low <= one.observed <= one.high <= 1 for one in found)
    assert [one.probability for one in found] == sorted(one.probability for one in found)
    random.shuffle(pairs)
    again = reliability(*arrays(pairs), bins=bins, equal_mass=equal_mass)
    assert [(a.count, a.observed) for a in again] == [(b.count, b.observed) for b in found]
    assert 0 <= expected_calibration_error(probabilities, correct, bins=bins, equal_mass=equal_mass) <= 1


@pytest.mark.parametrize(
    ("probabilities", "correct", "bins", "complaint"),
    [
        ([0.5, 1.5], [True, True], 15, "1.5 is not a probability"),
        ([0.5, float("nan")], [True, True], 15, "nan is not a probability"),
        ([0.5], [True, True], 15, "do not pair up"),
        ([0.5], [True], 0, "bins=0"),
        ([], [], 15, "no probabilities"),
    ],
)
def test_what_cannot_be_binned_is_refused(probabilities, correct, bins, complaint):
    """The message names the value."""
    with pytest.raises(InputError, match=complaint):
        expected_calibration_error(np.array(probabilities), np.array(correct, dtype=np.bool_), bins=bins)
