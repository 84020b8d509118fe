"""A test of means that is valid for any number of documents: betting against the hypothesis until one is rich.

Let each document bring a gain g >= -least, and let the hypothesis be that the mean gain is not above 0. A gambler
starts with 1 and multiplies it by 1 + stake * g at every document. Under the hypothesis that is a supermartingale,
whatever the stakes, if each depends on earlier documents alone and keeps the factor above 0. So it ever reaches
1 / delta with probability delta at most (Ville 1939), and reaching it rejects the hypothesis (Waudby-Smith and Ramdas
2024, JRSS B, arXiv 2010.09686, section 4). The stake is theirs for n documents (section 3.3): sqrt(2 log(1/delta) /
(n * the mean square so far)).

Unlike the bounds of Hoeffding and Bentkus, a bet profits where gains vary less than they could, as counts of labels do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BOLDEST = 0.95
"""Share of the purse that one document can take at most."""


def play(gains: NDArray[np.float64], least: float, delta: float) -> NDArray[np.float64]:
    """Compute how rich the gambler ever was, in multiples of the start.

    Args:
        gains: Per document, in an order that does not depend on the gains, and per hypothesis; shape (D, T). Their unit
            is a label, or a share of a document's labels: most are within -1..1.
        least: How far below 0 a gain can be, above 0.
        delta: The error for which to stake; the test is valid for any.

    Returns:
        The highest wealth per hypothesis, 1 at least, shape (T,). One of 1 / delta or more rejects the hypothesis that
        the mean gain is 0 or less, with an error of delta at most.
    """
    squares = np.cumsum(gains**2, axis=0) - gains**2
    # One square of 1 goes before the first: until gains are seen to be small, stakes are.
    mean_squares = (1 + squares) / np.arange(1, len(gains) + 1)[:, None]
    stakes = np.minimum(_BOLDEST / least, np.sqrt(2 * np.log(1 / delta) / (len(gains) * mean_squares)))
    wealth = np.cumsum(np.log1p(stakes * gains), axis=0).max(axis=0, initial=0.0)
    # Beyond e^700 all are as good as certain; a float holds no more.
    return np.asarray(np.exp(np.minimum(wealth, 700.0)))


def documents_needed(gains: NDArray[np.float64], least: float, delta: float) -> float:
    """Estimate how many documents like these would make the gambler rich; infinity where none would.

    Args:
        gains: Per document, shape (D,).
        least: How far below 0 a gain can be.
        delta: The error that is allowed.
    """
    shares = np.linspace(0.05, _BOLDEST, 19)[:, None]
    growth = float(np.log1p(shares / least * gains).mean(axis=1).max())
    return float(np.log(1 / delta) / growth) if growth > 0 else float("inf")
