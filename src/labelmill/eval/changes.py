"""What differs between the final sets of two runs: the labels that came and went, and the documents that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.rankings import Gold, Rankings

Pairs = NDArray[np.int64]
"""Documents and labels, shape (n, 2), ordered by both."""


@dataclass(frozen=True, slots=True)
class LabelChange:
    """In how many final sets a label came or went.

    Attributes:
        label: Its position.
        documents: In how many.
        right: Of these, in how many it is a gold label.
    """

    label: int
    documents: int
    right: int


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """The labels that the second of two runs has in final sets and the first has not, and the other way round.

    Attributes:
        gained: Pairs of a document and a label.
        lost: Likewise.
        gained_right: Which of `gained` are gold, shape (n,).
        lost_right: Which of `lost` are gold.
    """

    gained: Pairs
    lost: Pairs
    gained_right: NDArray[np.bool_]
    lost_right: NDArray[np.bool_]

    @classmethod
    def of(cls, rankings: Sequence[Rankings], gold: Sequence[Gold]) -> Changes:
        """Compare the final sets of two runs over the same documents; see `labelmill.eval.comparison.compare`."""
        highest = max(int(run.labels.max(initial=0)) for run in rankings)
        before, after = (_selected(run, highest + 1) for run in rankings)
        wanted = [labels.rows * (highest + 1) + labels.labels for labels in gold]
        # Numbers below 0 stand for labels outside the taxonomy, those above for labels that no run names.
        wanted = [
            keys[(labels.labels >= 0) & (labels.labels <= highest)] for keys, labels in zip(wanted, gold, strict=True)
        ]
        gained, lost = np.setdiff1d(after, before), np.setdiff1d(before, after)
        return cls(
            _pairs(gained, highest + 1),
            _pairs(lost, highest + 1),
            np.isin(gained, wanted[1]),
            np.isin(lost, wanted[0]),
        )

    @property
    def documents(self) -> NDArray[np.int64]:
        """The documents whose final set is another, ascending."""
        return np.union1d(self.gained[:, 0], self.lost[:, 0])

    def labels_gained(self, most: int) -> list[LabelChange]:
        """List the labels that came most often."""
        return _most(self.gained, self.gained_right, most)

    def labels_lost(self, most: int) -> list[LabelChange]:
        """List the labels that went most often."""
        return _most(self.lost, self.lost_right, most)

    def of_document(self, document: int) -> tuple[list[int], list[int]]:
        """List the labels that a document gained, and those that it lost."""
        gained, lost = (
            pairs[slice(*np.searchsorted(pairs[:, 0], [document, document + 1])), 1].tolist()
            for pairs in (self.gained, self.lost)
        )
        return gained, lost

    def largest(self, scores: NDArray[np.float64], most: int) -> list[int]:
        """List the documents that changed most: by the difference of their scores, then by labels that came or went.

        Args:
            scores: Of each document in both runs, shape (D, 2).
            most: How many at most.
        """
        differences = np.round(np.abs(scores[:, 1] - scores[:, 0]), 9)
        moved = np.bincount(np.concatenate([self.gained[:, 0], self.lost[:, 0]]), minlength=len(scores))
        order = np.lexsort((np.arange(len(scores)), -moved, -differences))
        return [document for document in order[:most].tolist() if differences[document] or moved[document]]


def _selected(run: Rankings, span: int) -> NDArray[np.int64]:
    """Number each pair of a document and a label of its final set."""
    rows, columns = np.nonzero(run.selected)
    return np.asarray(rows * span + run.labels[rows, columns].astype(np.int64))


def _pairs(keys: NDArray[np.int64], span: int) -> Pairs:
    return np.stack(np.divmod(keys, span), axis=1)


def _most(pairs: Pairs, right: NDArray[np.bool_], most: int) -> list[LabelChange]:
    labels, places, counts = np.unique(pairs[:, 1], return_inverse=True, return_counts=True)
    hits = np.bincount(places, weights=right, minlength=len(labels))
    order = np.lexsort((labels, -counts))[:most]
    return [LabelChange(int(labels[at]), int(counts[at]), int(hits[at])) for at in order]
