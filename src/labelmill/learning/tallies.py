"""What each document is given at each threshold: counts of labels, and of right ones, from judged candidates.

Thresholds come from one fixed grid, so that no test of a threshold depends on where the gold happens to put it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError

_STEP, _END = 0.05, 9.0


def _make_grid() -> NDArray[np.float64]:
    """Space thresholds evenly in log-odds, to three digits of the smaller of p and 1 - p; the last lets all pass."""
    small = np.array([float(f"{1 / (1 + np.exp(z)):.3g}") for z in np.arange(_END, 0, -_STEP)])
    return np.concatenate([1 - small, [0.5], small[::-1], [0.0]]).round(6)


GRID = _make_grid()
"""Thresholds from strict to lax, shape (T,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Candidates with their probabilities and whether they are right, over D documents.

    Attributes:
        place: The strictest threshold of `GRID` that the candidate passes, shape (n,).
        correct: Whether it is a gold label of its document, shape (n,).
        document: Its document, from 0, shape (n,).
        rank: Its rank within the document, from 1, shape (n,).
        gold: Gold labels per document, the unretrieved ones included, shape (D,).
    """

    place: NDArray[np.intp]
    correct: NDArray[np.bool_]
    document: NDArray[np.int64]
    rank: NDArray[np.int64]
    gold: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        probabilities: NDArray[np.float64],
        correct: NDArray[np.bool_],
        groups: NDArray[np.int64],
        n_gold_per_document: NDArray[np.int64],
    ) -> Judged:
        """Rank each document's candidates by probability, ties in the order given.

        Raises:
            InputError: If arrays do not fit together or a probability is none.
        """
        _check(probabilities, correct, groups, n_gold_per_document)
        # As Decide rounds before it compares: the same candidates pass the same threshold there.
        rounded = probabilities.round(6)
        order = np.lexsort((-rounded, groups))
        sizes = np.bincount(groups, minlength=len(n_gold_per_document))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1
        place = np.searchsorted(-GRID, -rounded, side="left")
        return cls(place, correct, groups, rank, n_gold_per_document)

    def __len__(self) -> int:
        """Count the documents."""
        return len(self.gold)

    def where(self, chosen: NDArray[np.bool_]) -> Judged:
        """Keep some candidates, shape (n,), with the ranks that they have among all."""
        return Judged(self.place[chosen], self.correct[chosen], self.document[chosen], self.rank[chosen], self.gold)

    def tally(self, top_k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Count each document's labels, and its right ones, at each threshold: two arrays of shape (D, T)."""
        shown = self.rank <= top_k
        shape = len(self), len(GRID)
        cells = self.document[shown] * len(GRID) + self.place[shown]
        given = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
        right = np.bincount(cells, self.correct[shown], minlength=shape[0] * shape[1]).reshape(shape)
        return given.cumsum(axis=1, dtype=np.float64), right.cumsum(axis=1)


def _check(
    probabilities: NDArray[np.float64],
    correct: NDArray[np.bool_],
    groups: NDArray[np.int64],
    gold: NDArray[np.int64],
) -> None:
    if not probabilities.shape == correct.shape == groups.shape or probabilities.ndim != 1:
        raise InputError(
            f"probabilities, answers and documents of shapes {probabilities.shape}, {correct.shape} and "
            f"{groups.shape} differ",
            remedy="Give three arrays of one length.",
        )
    wrong = probabilities[~((probabilities >= 0) & (probabilities <= 1))]
    if len(wrong):
        raise InputError(f"{wrong[0]} is not a probability", remedy="Calibrate the scores first.")
    if not gold.sum():
        raise InputError("no document has a gold label", remedy="Give documents with labels.")
    outside = groups[(groups < 0) | (groups >= len(gold))]
    if len(outside):
        raise InputError(f"there is no document {outside[0]} of {len(gold)}", remedy="Number documents from 0.")
    found = np.bincount(groups, correct, minlength=len(gold))
    if (found > gold).any():
        worst = int(np.argmax(found > gold))
        raise InputError(
            f"document {worst} has {int(found[worst])} right candidates and only {gold[worst]} gold labels",
            remedy="Count the gold labels that were not retrieved as well.",
        )
