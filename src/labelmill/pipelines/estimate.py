"""Predictions with intervals, of a pilot's documents for a whole corpus: sums, hours, and what both cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SLICES = 5
"""Of the time that the rate is measured in; how far they differ gives its interval."""

_AT_LEAST_TWICE = 2.0
"""How far either way the hours of a pilot may be off that was never in full swing."""


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


def total_of(
    characters: NDArray[np.int64],
    values: NDArray[np.int64],
    documents: int,
    all_characters: int,
    *,
    repeatable: bool = True,
) -> Estimate:
    """Predict a sum over the corpus by regression on the number of characters.

    Args:
        characters: Of each document that was measured.
        values: What each of them took.
        documents: In the corpus.
        all_characters: Of all of them.
        repeatable: Whether the same documents take the same again. Else, as with tokens out of a cache, even the whole
            corpus is but a sample, of what it may take.
    """
    count = len(values)
    if not count:
        return Estimate(0.0, 0.0, 0.0)
    if count == documents and repeatable:
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
    unseen = 1 - count / documents if repeatable else 1.0
    margin = _quantile(freedom) * (variance * leverage * unseen) ** 0.5 if count > 1 else expected
    return Estimate(max(expected, 0.0), max(expected - margin, 0.0), expected + margin).times(documents)


def hours_of(moments: NDArray[np.float64], fed: float, documents: int, *, faster: float = 1.0) -> Estimate:
    """Predict the time of a run, in hours, from when the documents of a pilot were done.

    Between the first that was done and the last that was fed, the servers were as busy as in a run. Where that is most
    of the pilot, the rate is what was done then. Elsewhere it is that of the whole pilot, see `_hours_of_whole`.

    Args:
        moments: When each document was done, in seconds since the beginning.
        fed: When the last of them was begun.
        documents: In the corpus.
        faster: By how much a run may be faster, for having more under way than the pilot; the interval holds that.
    """
    if not len(moments):
        return Estimate(0.0, 0.0, 0.0)
    moments = np.sort(moments)
    begin = float(moments[0])
    middle = moments[(moments > begin) & (moments <= fed)]
    # All but a tenth, since a few long documents at the end are not most of a pilot.
    if len(middle) < max(len(moments) / 2, 2 * _SLICES) or fed < float(np.quantile(moments, 0.9)) / 2:
        return _hours_of_whole(moments, faster).times(documents)
    edges = np.linspace(begin, fed, _SLICES + 1)
    rates = np.histogram(middle, edges)[0] / (edges[1] - edges[0])
    rate = float(rates.mean())
    margin = _quantile(_SLICES - 1) * float(rates.std(ddof=1)) / _SLICES**0.5
    seconds = Estimate(1 / rate, 1 / (rate + margin) / faster, 1 / max(rate - margin, rate / 10))
    return seconds.times(documents / 3600)


def _hours_of_whole(moments: NDArray[np.float64], faster: float) -> Estimate:
    """Predict the hours of one document from a pilot whose documents were nearly all begun before many were done.

    Expected is the whole time for each document: on the slow side, since less was under way towards the end. The
    interval reaches to twice as slow; or further where they are few, as if their times spread as much as their mean.
    It reaches as far to the fast side, or to the documents under way for each mean time that one took, where that is
    faster (Little 1961, L = λW), and from there on to what having more under way may bring.
    """
    count = len(moments)
    expected = max(float(moments[-1]), 1e-9) / count
    off = max(_AT_LEAST_TWICE, 1 + _quantile(max(count - 1, 1)) / count**0.5)
    fastest = min(expected / off, float(moments.mean()) / count)
    return Estimate(expected, fastest / faster, expected * off).times(1 / 3600)


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
