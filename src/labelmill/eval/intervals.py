"""How sure a metric is: percentile bootstrap intervals over documents, in bounded memory.

Documents are drawn with replacement, as many as there are; the interval is the middle 95% of the metric over the
resamples (Efron and Tibshirani 1993, chapter 13), moved so that the resamples' mean falls on the metric. For a mean
over documents nothing moves but the noise of the draw. Averages over labels need it: a resample misses documents of
rare labels, which shifts all resamples together, for macro precision far enough to leave the metric outside its own
interval.

An interval says how the metric would vary with other documents of the same kind, and nothing of other annotators or
other runs of a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError
from labelmill.eval.metrics import Statistic

LEVEL = 0.95
"""The share of resamples inside an interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric and its 95% interval: fractions from 0 to 1, but for the sizes of final sets.

    Attributes:
        value: The metric over all documents, each once.
        low: The 2.5th percentile over the resamples, centred on the value.
        high: The 97.5th percentile over the resamples, centred on the value.
    """

    value: float
    low: float
    high: float


def bootstrap(
    statistics: Sequence[Statistic],
    documents: int,
    *,
    resamples: int = 1000,
    seed: int = 0,
    cells: int = 4_000_000,
) -> dict[str, Interval]:
    """Compute each statistic's metrics and their intervals, all over the same resamples.

    Args:
        statistics: What to measure.
        documents: How many documents they speak of, D, at least 1.
        resamples: How many times to draw D documents with replacement.
        seed: Seed of the draws; the same seed and data give the same intervals.
        cells: How many numbers one array of weights or of counts may hold, which bounds memory: 32 MB by default.

    Returns:
        The intervals by metric name, in the order of the statistics.

    Raises:
        InputError: If there are no resamples to take percentiles of.
    """
    if resamples < 1:
        raise InputError(f"{resamples} bootstrap resamples give no interval", remedy="Ask for at least 1.")
    once = np.ones((1, documents))
    ceilings = np.concatenate([np.full(len(statistic.names), statistic.ceiling) for statistic in statistics])
    # A weighted mean of ones can come out one part in 10^16 above 1.
    values = np.clip(np.concatenate([statistic(once) for statistic in statistics], axis=1)[0], 0.0, ceilings)
    widest = max(statistic.width for statistic in statistics)
    batch = max(1, cells // max(documents, widest))
    samples = np.concatenate(
        [
            np.concatenate([statistic(weights) for statistic in statistics], axis=1)
            for weights in _draw(documents, resamples, batch, seed)
        ]
    )
    low, high = np.clip(_spread(samples, values), 0.0, ceilings)
    names = [name for statistic in statistics for name in statistic.names]
    return {
        name: Interval(float(value), float(lowest), float(highest))
        for name, value, lowest, highest in zip(names, values, low, high, strict=True)
    }


def _spread(samples: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute both ends of the interval, shape (2, metrics); resamples that say nothing of a metric are left out."""
    bounds = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    silent = np.isnan(samples)
    if not silent.any():
        return np.asarray(np.quantile(samples - samples.mean(axis=0) + values, bounds, axis=0))
    # Where no resample says anything, the value itself is all there is.
    samples = np.where(silent.all(axis=0), values, samples)
    return np.asarray(np.nanquantile(samples - np.nanmean(samples, axis=0) + values, bounds, axis=0))


def _draw(documents: int, resamples: int, batch: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each document was drawn, shape (at most batch, documents) a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, batch):
        rows = min(batch, resamples - start)
        drawn = generator.integers(0, documents, size=(rows, documents))
        drawn += np.arange(rows)[:, None] * documents
        counts = np.bincount(drawn.ravel(), minlength=rows * documents)
        yield counts.reshape(rows, documents).astype(np.float64)
