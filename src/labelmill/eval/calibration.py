"""Whether probabilities mean what they say: reliability per bin, and the expected calibration error.

A set of probabilities is calibrated where, of all the labels that were given about p, a share of p is right. Nothing
here depends on the order of the pairs, and equal probabilities never fall into different bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError

_Z = 1.959963984540054
"""The 97.5th percentile of the normal distribution: intervals are of 95%."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The pairs of document and label whose probability is about the same; all but `count` from 0 to 1.

    Attributes:
        count: How many pairs, at least 1.
        probability: Their mean probability.
        observed: The share of them that is right.
        low: Lower end of the 95% Wilson interval of `observed`.
        high: Upper end of it.
    """

    count: int
    probability: float
    observed: float
    low: float
    high: float


def reliability(
    probabilities: NDArray[np.float64], correct: NDArray[np.bool_], *, bins: int = 15, equal_mass: bool = True
) -> tuple[ReliabilityBin, ...]:
    """Compare probabilities with what was observed, bin by bin, the lowest first; an empty bin is left out.

    The interval is that of Wilson (1927), which stays within 0..1 and holds for shares near 0. It counts the pairs as
    independent; those of one document are not quite, so the truth is a little wider.

    Args:
        probabilities: Of pairs of document and label, each from 0 to 1, shape (n,).
        correct: Whether each pair is right, shape (n,).
        bins: How many bins at most.
        equal_mass: About the same number of pairs per bin (Nixon et al. 2019, arXiv 1904.01685), which keeps a bin
            from resting on two pairs where nearly all probabilities are small; else bins of equal width.

    Raises:
        InputError: If the shapes differ, a probability is not from 0 to 1, or `bins` is below 1.
    """
    _check(probabilities, correct, bins)
    if not len(probabilities):
        return ()
    place = (
        _by_mass(probabilities, bins) if equal_mass else np.minimum((probabilities * bins).astype(np.intp), bins - 1)
    )
    counts = np.bincount(place, minlength=bins)
    sums = np.bincount(place, weights=probabilities, minlength=bins)
    right = np.bincount(place, weights=correct, minlength=bins)
    return tuple(
        ReliabilityBin(int(n), float(total / n), float(hits / n), *_wilson(hits, n))
        for n, total, hits in zip(counts, sums, right, strict=True)
        if n
    )


def expected_calibration_error(
    probabilities: NDArray[np.float64], correct: NDArray[np.bool_], *, bins: int = 15, equal_mass: bool = True
) -> float:
    """Average the gap between probability and observed share over the bins, weighted by their counts.

    This is the ECE of Naeini et al. (2015, AAAI), sum over bins of (n_b / n) |observed_b - probability_b|, from 0 to 1.
    Also perfect probabilities have a positive one from finite data, the more so the more bins.

    Args:
        probabilities: As for `reliability`.
        correct: As for `reliability`.
        bins: As for `reliability`.
        equal_mass: As for `reliability`; with it, this is the adaptive error of Nixon et al. (2019).

    Raises:
        InputError: As `reliability`, and if there is not one pair.
    """
    found = reliability(probabilities, correct, bins=bins, equal_mass=equal_mass)
    if not found:
        raise InputError("a calibration error of no probabilities is undefined", remedy="Give one pair at least.")
    total = sum(one.count for one in found)
    return sum(one.count * abs(one.observed - one.probability) for one in found) / total


def _by_mass(probabilities: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """Place each probability by the share of pairs below it, equal ones at the middle of theirs."""
    _, inverse, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - counts / 2
    # Below `bins`, because the middle of the last one is below the number of pairs.
    return np.asarray((middles * bins / len(probabilities)).astype(np.intp)[inverse])


def _wilson(right: float, count: int) -> tuple[float, float]:
    """Compute the 95% interval of a share of `right` out of `count`."""
    share, spread = right / count, _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z * np.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    # Rounding may carry an end past the share itself where that is 0 or 1.
    return float(min(share, max(0.0, centre - half))), float(max(share, min(1.0, centre + half)))


def _check(probabilities: NDArray[np.float64], correct: NDArray[np.bool_], bins: int) -> None:
    if probabilities.ndim != 1 or probabilities.shape != correct.shape:
        raise InputError(
            f"probabilities of shape {probabilities.shape} and answers of shape {correct.shape} do not pair up",
            remedy="Give two arrays of one length.",
        )
    wrong = probabilities[~((probabilities >= 0) & (probabilities <= 1))]
    if len(wrong):
        raise InputError(
            f"{wrong[0]} is not a probability",
            remedy="Give numbers from 0 to 1; the scores of an untuned program are none.",
        )
    if bins < 1:
        raise InputError(f"bins={bins} is too few", remedy="Give 1 or more.")
