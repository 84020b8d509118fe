"""Precision and recall of the final sets that each threshold would give, over all pairs of document and label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError


@dataclass(frozen=True, slots=True)
class ThresholdPoint:
    """The final sets of one threshold.

    Attributes:
        threshold: The least score of a label; minus infinity where all are given.
        precision: Of all labels given, the share that is right; 0 where none is given.
        recall: Of all gold labels, the share that is given.
        f1: Their harmonic mean.
        labels: Labels per document.
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    labels: float


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCurve:
    """What every threshold would give, from one sort; micro averages, as in `labelmill.eval.metrics.MicroScores`.

    >>> curve = ThresholdCurve.of(np.array([0.9, 0.2]), np.array([True, False]), gold=2, documents=1)
    >>> curve.at(0.5).precision, curve.at(0.5).recall
    (1.0, 0.5)

    Attributes:
        scores: Distinct scores, the highest first, shape (s,).
        given: How many labels have each score or a higher one, shape (s,).
        right: How many of these are gold, shape (s,).
        gold: How many gold labels there are, those that were never ranked included.
        documents: How many documents.
    """

    scores: NDArray[np.float64]
    given: NDArray[np.int64]
    right: NDArray[np.int64]
    gold: int
    documents: int

    @classmethod
    def of(cls, scores: NDArray[np.float64], hits: NDArray[np.bool_], *, gold: int, documents: int) -> ThresholdCurve:
        """Sort the labels that a final set may have.

        Args:
            scores: Of pairs of document and label, shape (n,).
            hits: Whether each is gold, shape (n,).
            gold: How many gold labels the documents have, at least 1.
            documents: How many documents there are, at least 1.

        Raises:
            InputError: The shapes differ, or there are no gold labels or no documents.
        """
        if scores.ndim != 1 or scores.shape != hits.shape:
            raise InputError(
                f"scores of shape {scores.shape} and hits of shape {hits.shape} do not pair up",
                remedy="Give two arrays of one length.",
            )
        if gold < 1 or documents < 1:
            raise InputError(f"{gold} gold labels of {documents} documents give no curve", remedy="Give one at least.")
        distinct, places, counts = np.unique(-scores, return_inverse=True, return_counts=True)
        right = np.bincount(places, weights=hits, minlength=len(distinct)).astype(np.int64)
        return cls(-distinct, np.cumsum(counts), np.cumsum(right), gold, documents)

    @property
    def best(self) -> ThresholdPoint:
        """The highest F1, of equal ones that of the highest threshold; what `at` gives of none where nothing is."""
        if not len(self.scores):
            return self.at(-np.inf)
        return self._point(int(np.argmax(2 * self.right / (self.given + self.gold))))

    def at(self, threshold: float) -> ThresholdPoint:
        """Give what a threshold gives, whether a label has that very score or not."""
        place = int(np.searchsorted(-self.scores, -threshold, side="right")) - 1
        return self._point(place, threshold)

    def points(self, most: int = 200) -> tuple[ThresholdPoint, ...]:
        """List thresholds, the highest first: all, or so many that labels between two are about equally many."""
        if len(self.scores) <= most:
            return tuple(map(self._point, range(len(self.scores))))
        wanted = np.linspace(self.given[0], self.given[-1], most)
        places = np.unique(np.searchsorted(self.given, wanted))
        return tuple(map(self._point, places.tolist()))

    def _point(self, place: int, threshold: float | None = None) -> ThresholdPoint:
        given, right = (int(self.given[place]), int(self.right[place])) if place >= 0 else (0, 0)
        return ThresholdPoint(
            threshold=float(self.scores[place]) if threshold is None else threshold,
            precision=right / given if given else 0.0,
            recall=right / self.gold,
            f1=2 * right / (given + self.gold),
            labels=given / self.documents,
        )
