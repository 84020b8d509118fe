"""What pairwise judgements say: how often the first of two things is preferred, each pair judged in both orders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Z = 1.959964
"""Of a two-sided interval of 95%."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Pairwise judgements, counted.

    Attributes:
        pairs: That were judged in both orders.
        wins: Where the first thing was preferred in both.
        losses: Where the second was.
        ties: Where the answer went with the order, or one order found neither.
        neither: Where both orders found that neither will do.
        rate: Wins and half of the ties, of all but `neither`; NaN where there is none.
        low: Of the 95% interval of `rate` (Wilson 1927).
        high: Of the same.
    """

    pairs: int
    wins: int
    losses: int
    ties: int
    neither: int
    rate: float
    low: float
    high: float


def preference(verdicts: NDArray[np.int64]) -> Preference:
    """Count judgements. A model that prefers a position, and not a thing, gives ties.

    Args:
        verdicts: Shape (n, 2): for each pair, what was said with the first thing in front, and with it behind. 1 is
            the thing in front, 2 the one behind, 0 neither.
    """
    front, behind = verdicts[:, 0], verdicts[:, 1]
    wins = int(((front == 1) & (behind == 2)).sum())
    losses = int(((front == 2) & (behind == 1)).sum())
    neither = int(((front == 0) & (behind == 0)).sum())
    ties = len(verdicts) - wins - losses - neither
    decided = len(verdicts) - neither
    rate = (wins + ties / 2) / decided if decided else math.nan
    return Preference(len(verdicts), wins, losses, ties, neither, rate, *_wilson(rate, decided))


def _wilson(rate: float, count: int) -> tuple[float, float]:
    if not count:
        return math.nan, math.nan
    spread = 1 + _Z**2 / count
    middle = (rate + _Z**2 / (2 * count)) / spread
    half = _Z * math.sqrt(rate * (1 - rate) / count + _Z**2 / (4 * count**2)) / spread
    return max(0.0, middle - half), min(1.0, middle + half)
