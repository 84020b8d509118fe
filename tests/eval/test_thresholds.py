"""Thresholds: what each gives, by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.errors import InputError
from labelmill.eval.thresholds import ThresholdCurve, ThresholdPoint

PAIRS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, -1.0]), st.booleans()), max_size=40)


def curve_of(pairs, gold=None, documents=3):
    scores, hits = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs], dtype=bool)
    return ThresholdCurve.of(scores, hits, gold=gold or max(1, int(hits.sum())), documents=documents)


def test_a_curve_by_hand():
    """Five labels of two documents, four gold ones, of which one was never ranked."""
    curve = curve_of([(0.9, True), (0.6, False), (0.6, True), (0.3, True), (0.1, False)], gold=4, documents=2)
    assert curve.points() == (
        ThresholdPoint(0.9, 1.0, 1 / 4, 2 / 5, 0.5),
        ThresholdPoint(0.6, 2 / 3, 2 / 4, 4 / 7, 1.5),
        ThresholdPoint(0.3, 3 / 4, 3 / 4, 6 / 8, 2.0),
        ThresholdPoint(0.1, 3 / 5, 3 / 4, 6 / 9, 2.5),
    )
    assert curve.best.threshold == 0.3
    assert curve.at(0.5) == ThresholdPoint(0.5, 2 / 3, 2 / 4, 4 / 7, 1.5)
    assert curve.at(-np.inf).labels == 2.5
    assert curve.at(1.0) == ThresholdPoint(1.0, 0.0, 0.0, 0.0, 0.0)


@given(PAIRS, st.floats(-2, 3))
def test_a_threshold_gives_what_counting_gives(pairs, threshold):
    """Labels that score as much as it are given."""
    point = curve_of(pairs).at(threshold)
    given_labels = [hit for score, hit in pairs if score >= threshold]
    gold = max(1, sum(hit for _, hit in pairs))
    assert point.precision == (sum(given_labels) / len(given_labels) if given_labels else 0.0)
    assert point.recall == sum(given_labels) / gold
    assert point.labels == len(given_labels) / 3


@given(PAIRS)
def test_the_best_is_the_best(pairs):
    curve = curve_of(pairs)
    assert curve.best.f1 == max((point.f1 for point in curve.points()), default=0.0)


def test_long_curves_are_thinned_and_keep_their_ends():
    curve = curve_of([(n / 10_000, n % 3 == 0) for n in range(10_000)])
    points = curve.points(50)
    assert len(points) == 50
    assert (points[0].threshold, points[-1].threshold) == (0.9999, 0.0)
    assert all(curve.at(point.threshold) == point for point in points)


def test_what_gives_no_curve_is_an_error():
    with pytest.raises(InputError, match="do not pair up"):
        ThresholdCurve.of(np.zeros(2), np.zeros(3, dtype=bool), gold=1, documents=1)
    with pytest.raises(InputError, match="0 gold labels of 1 documents"):
        ThresholdCurve.of(np.zeros(2), np.zeros(2, dtype=bool), gold=0, documents=1)
