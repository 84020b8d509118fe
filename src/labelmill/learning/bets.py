"""A test of means that is valid for any number of documents: betting against the hypothesis until one is rich.

Let each document bring a gain g >= -least, and let the hypothesis be that the mean gain is not above 0. A gambler who
starts with 1 and stakes a fixed share on every document has the product of (1 + share * g / least). Under the
hypothesis that is a supermartingale: it ever reaches 1 / delta with probability delta at most (Ville 1939), so reaching
it rejects the hypothesis (Waudby-Smith and Ramdas 2024, JRSS B, arXiv 2010.09686, section 4). A mixture of gamblers is
a gambler. Unlike the bounds of Hoeffding and Bentkus, a bet profits where gains vary less than they could, as counts of
labels do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STAKES = (0.5, 0.95)
"""The shares staked. The best share for tens of documents is mostly near 1; the half wins where gains vary much."""


def play(gains: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Compute how rich the gambler ever was, in multiples of the start.

    Args:
        gains: Per document, in an order that does not depend on the gains, and per hypothesis; shape (D, T).
        least: How far below 0 a gain can be, above 0.

    Returns:
        The highest wealth per hypothesis, 1 at least, shape (T,). One of 1 / delta or more rejects the hypothesis that
        the mean gain is 0 or less, with an error of delta at most.
    """
    purses = [np.cumsum(np.log1p(stake / least * gains), axis=0) for stake in STAKES]
    together = np.logaddexp.reduce(purses, axis=0) - np.log(len(STAKES))
    # Beyond e^700 all are as good as certain; a float holds no more.
    return np.asarray(np.exp(np.clip(together.max(axis=0, initial=0.0), 0.0, 700.0)))


def documents_needed(gains: NDArray[np.float64], least: float, delta: float) -> float:
    """Estimate after how many documents like these a gambler is rich: infinity where the stakes gain nothing.

    Args:
        gains: Per document, shape (D,).
        least: How far below 0 a gain can be.
        delta: The error that is allowed.
    """
    growth = max(float(np.log1p(stake / least * gains).mean()) for stake in STAKES)
    return float(np.log(len(STAKES) / delta) / growth) if growth > 0 else float("inf")
