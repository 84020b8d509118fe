"""Predictions with intervals, of a pilot's documents for a whole corpus: sums, hours, and what both cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SLICES = 5
"""Of the time that the rate is measured in; how far they differ gives its interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A prediction with its interval of 95%."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        """Scale it."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Estimate(self.value * factor, low, high)


@dataclass(frozen=True, slots=True)
class Prices:
    """What things cost, in one currency; 0 for nothing.

    Attributes:
        prompt: A million tokens read.
        cached: A million of them that come out of the prefix cache; None for the price of the others.
        completion: A million tokens written.
        gpu_hour: An hour of one GPU.
        gpus: How many the servers have together.
    """

    prompt: float = 0.0
    cached: float | None = None
    completion: float = 0.0
    gpu_hour: float = 0.0
    gpus: int = 1


def total_of(characters: NDArray[np.int64], values: NDArray[np.int64], documents: int, all_characters: int) -> Estimate:
    """Predict a sum over the corpus by regression on the number of characters.

    Args:
        characters: Of each document that was measured.
        values: What each of them took.
        documents: In the corpus.
        all_characters: Of all of them.
    """
    count = len(values)
    if not count:
        return Estimate(0.0, 0.0, 0.0)
    if count == documents:
        return Estimate(float(values.sum()), float(values.sum()), float(values.sum()))
    mean = all_characters / documents
    spread = characters - characters.mean()
    squares = float(spread @ spread)
    slope = float(spread @ values) / squares if squares and count > 2 else 0.0
    expected = float(values.mean()) + slope * (mean - float(characters.mean()))
    residuals = values - values.mean() - slope * spread
    freedom = max(count - 1 - bool(slope), 1)
    variance = float(residuals @ residuals) / freedom
    leverage = 1 / count + ((mean - float(characters.mean())) ** 2 / squares if slope else 0.0)
    unseen = 1 - count / documents
    margin = _quantile(freedom) * (variance * leverage * unseen) ** 0.5 if count > 1 else expected
    return Estimate(max(expected, 0.0), max(expected - margin, 0.0), expected + margin).times(documents)


def hours_of(moments: NDArray[np.float64], fed: float, documents: int) -> Estimate:
    """Predict the time from how many documents were done per second between the first and the last that were fed."""
    moments = np.sort(moments)
    if not len(moments):
        return Estimate(0.0, 0.0, 0.0)
    begin, end = float(moments[0]), max(fed, float(np.quantile(moments, 0.75)))
    if end <= begin:
        begin, end = 0.0, float(moments[-1])
    edges = np.linspace(begin, end, _SLICES + 1)
    rates = np.histogram(moments[moments > begin], edges)[0] / (edges[1] - edges[0])
    rate = float(rates.mean()) or len(moments) / float(moments[-1])
    margin = _quantile(_SLICES - 1) * float(rates.std(ddof=1)) / _SLICES**0.5
    hours = documents / rate / 3600
    return Estimate(hours, documents / (rate + margin) / 3600, documents / max(rate - margin, rate / 10) / 3600)


def cost_of(totals: dict[str, Estimate], hours: Estimate, prices: Prices) -> Estimate:
    """Add up what tokens, by kind, and hours cost."""
    cached_price = prices.prompt if prices.cached is None else prices.cached
    parts = [
        totals["prompt_tokens"].times(prices.prompt / 1e6),
        totals["cached_tokens"].times((cached_price - prices.prompt) / 1e6),
        totals["completion_tokens"].times(prices.completion / 1e6),
        hours.times(prices.gpu_hour * prices.gpus),
    ]
    return Estimate(*(sum(getattr(part, name) for part in parts) for name in ("value", "low", "high")))


def _quantile(freedom: int) -> float:
    """Give Student's t for two-sided 95%."""
    from scipy.special import stdtrit  # of which `scipy.stats`, slow to load, makes its own

    return float(stdtrit(freedom, 0.975))
