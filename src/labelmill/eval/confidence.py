"""The calibration error of an evaluation's first candidates, as a function of how often each document counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.calibration import reliability
from labelmill.eval.rankings import PADDING, Rankings

DEPTH = 10
"""Candidates of each document that are looked at: further down all probabilities are small, and so are their errors."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationError:
    """The expected calibration error over the first candidates of all documents; see `labelmill.eval.calibration`.

    The bins are those of all documents, for every resample.

    Attributes:
        gaps: Per bin and document, gold labels less the sum of probabilities, sparse, shape (bins, D).
        counts: Candidates of each document that are looked at, shape (D,).
    """

    names: ClassVar[tuple[str, ...]] = (f"ece@{DEPTH}",)
    ceiling: ClassVar[float] = 1.0

    gaps: Any
    counts: NDArray[np.float64]

    @classmethod
    def of(cls, rankings: Rankings, hits: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> CalibrationError:
        """Compare probabilities of shape (D, K) with hits.

        Raises:
            InputError: If one of the first candidates has a number that is no probability.
        """
        from scipy.sparse import csr_matrix

        rows, columns = np.nonzero(rankings.labels[:, :DEPTH] != PADDING)
        given, right = probabilities[rows, columns], hits[rows, columns]
        found = reliability(given, right)
        # A bin holds a stretch of the sorted probabilities.
        bins = np.empty(len(given), dtype=np.intp)
        bins[np.argsort(given, kind="stable")] = np.repeat(np.arange(len(found)), [one.count for one in found])
        shape = len(found), len(rankings)
        return cls(
            csr_matrix((right - given, (bins, rows)), shape=shape),
            np.bincount(rows, minlength=shape[1]).astype(np.float64),
        )

    @property
    def width(self) -> int:
        """One sum per bin."""
        return int(self.gaps.shape[0]) + 1

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average the bins' gaps; NaN where a resample has no candidates."""
        gaps = np.abs(self.gaps @ np.ascontiguousarray(weights.T)).sum(axis=0)
        counts = weights @ self.counts
        errors = np.divide(gaps, counts, out=np.full(len(gaps), np.nan), where=counts > 0)
        return np.asarray(errors[:, None])
