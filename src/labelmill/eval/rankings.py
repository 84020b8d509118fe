"""What an evaluation compares: the ranked labels of each document, and its gold labels. Arrays only, no metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

PADDING = -1
"""Fills a row of `Rankings` that has fewer labels than the widest one."""


@dataclass(frozen=True, slots=True, eq=False)
class Rankings:
    """The ranked labels of D documents, and which of them are in the final set.

    Making one counts a repeated label once: the first place stands, later ones are removed and the rest moves up. The
    label is in the final set where any of its repetitions was. Padding ends up behind the labels.

    Attributes:
        labels: Positions in the taxonomy, best first, int32, shape (D, K); `PADDING` where a document has fewer.
        selected: Whether the decision put the label into the document's final set, bool, shape (D, K).
    """

    labels: NDArray[np.int32]
    selected: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Check the shapes and remove repetitions."""
        labels = np.asarray(self.labels, dtype=np.int32)
        selected = np.asarray(self.selected, dtype=np.bool_)
        if labels.ndim != 2 or labels.shape != selected.shape:
            raise ValueError(f"labels and selected must share a shape (D, K): {labels.shape} != {selected.shape}")
        if labels.size and labels.min() < PADDING:
            raise ValueError(f"a predicted label is a position from 0 (or {PADDING} for padding), not {labels.min()}")
        labels, selected = _distinct(labels, selected)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "selected", selected)

    @classmethod
    def from_lists(cls, labels: Sequence[Sequence[int]], selected: Sequence[Sequence[bool]]) -> Self:
        """Pad lists of unequal length; both have one list per document, of equal lengths."""
        width = max(map(len, labels), default=0)
        padded = np.full((len(labels), width), PADDING, dtype=np.int32)
        chosen = np.zeros((len(labels), width), dtype=np.bool_)
        for row, (ranked, flags) in enumerate(zip(labels, selected, strict=True)):
            padded[row, : len(ranked)] = ranked
            chosen[row, : len(ranked)] = flags
        return cls(padded, chosen)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.bool_]) -> Rankings:
        """Keep the documents that a mask of shape (D,) names."""
        return Rankings(self.labels[rows], self.selected[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Gold:
    """The gold labels of D documents as one flat array; a label is counted once per document.

    A gold label that the taxonomy does not have is a number below `PADDING` (-2, -3, ...), one for each distinct such
    label: no prediction can equal it, yet it belongs to the document's gold set (see `labelmill.eval.gold`).

    Attributes:
        indptr: Document i has ``labels[indptr[i]:indptr[i + 1]]``, int64, shape (D + 1,).
        labels: Positions in the taxonomy, ascending and distinct within a document, int32.
    """

    indptr: NDArray[np.int64]
    labels: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Check the structure, then sort and deduplicate each document's labels."""
        indptr = np.asarray(self.indptr, dtype=np.int64)
        labels = np.asarray(self.labels, dtype=np.int32)
        if indptr.ndim != 1 or not len(indptr) or indptr[0] != 0 or indptr[-1] != len(labels):
            raise ValueError(f"indptr must run from 0 to the number of labels, {len(labels)}")
        if np.any(np.diff(indptr) < 0):
            raise ValueError("indptr must not decrease")
        if np.any(labels == PADDING):
            raise ValueError(f"{PADDING} is padding, not a gold label")
        indptr, labels = _distinct_flat(indptr, labels)
        object.__setattr__(self, "indptr", indptr)
        object.__setattr__(self, "labels", labels)

    @classmethod
    def from_lists(cls, labels: Iterable[Iterable[int]]) -> Self:
        """Flatten one collection of positions per document."""
        rows = [list(row) for row in labels]
        flat = np.array([label for row in rows for label in row], dtype=np.int32)
        return cls(np.cumsum([0, *map(len, rows)], dtype=np.int64), flat)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many gold labels each document has, shape (D,)."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> NDArray[np.int64]:
        """The document of each entry of `labels`, same shape."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def take(self, rows: NDArray[np.bool_]) -> Gold:
        """Keep the documents that a mask of shape (D,) names."""
        kept = np.concatenate([[0], np.cumsum(self.sizes[rows])])
        return Gold(kept, self.labels[np.repeat(rows, self.sizes)])


def _distinct(labels: NDArray[np.int32], selected: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Keep the first of equal labels in each row, and move padding to the end."""
    order = np.argsort(labels, axis=1, kind="stable")
    by_label = np.take_along_axis(labels, order, axis=1)
    repeats = np.zeros(labels.shape, dtype=np.bool_)
    repeats[:, 1:] = (by_label[:, 1:] == by_label[:, :-1]) & (by_label[:, 1:] != PADDING)
    keep = labels != PADDING
    if repeats.any():
        # In the sorted order, the run of equal labels that holds a column starts at the last column that is no repeat.
        starts = np.maximum.accumulate(np.where(repeats, 0, np.arange(labels.shape[1])), axis=1)
        row, column = np.nonzero(repeats)
        selected = selected.copy()
        np.logical_or.at(selected, (row, order[row, starts[row, column]]), selected[row, order[row, column]])
        keep[row, order[row, column]] = False
    if np.all(keep[:, 1:] <= keep[:, :-1]):
        front = np.broadcast_to(np.arange(labels.shape[1]), labels.shape)
    else:
        front = np.argsort(~keep, axis=1, kind="stable")
    kept = np.take_along_axis(keep, front, axis=1)
    ranked = np.where(kept, np.take_along_axis(labels, front, axis=1), np.int32(PADDING))
    return ranked, kept & np.take_along_axis(selected, front, axis=1)


def _distinct_flat(indptr: NDArray[np.int64], labels: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Sort the labels within each document and keep one of each."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    order = np.lexsort((labels, rows))
    rows, labels = rows[order], labels[order]
    first = np.ones(len(labels), dtype=np.bool_)
    first[1:] = (rows[1:] != rows[:-1]) | (labels[1:] != labels[:-1])
    sizes = np.bincount(rows[first], minlength=len(indptr) - 1)
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), labels[first]
