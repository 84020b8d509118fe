"""The labels above each label, with their distances: what makes one wrong label nearer than another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from labelmill.taxonomy import Taxonomy

LEVELS = 32
"""How far up is looked. Real taxonomies have fewer levels; a chain of all labels must not fill the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Ancestry:
    """The labels above some labels, each label itself among them, at distance 0.

    Attributes:
        indptr: Label i of those asked for has the entries from ``indptr[i]`` to ``indptr[i + 1]``, int64.
        above: Positions in the taxonomy, ascending and distinct within a label, int64.
        steps: How many steps up, the fewest where several ways lead there, int64, same shape.
    """

    indptr: NDArray[np.int64]
    above: NDArray[np.int64]
    steps: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Hierarchy:
    """The parents of all labels of a taxonomy as arrays; several parents and even cycles are borne.

    Attributes:
        indptr: Label i has ``parents[indptr[i]:indptr[i + 1]]``, int64, shape (L + 1,).
        parents: Positions in the taxonomy, int64.
        root: The one label that stands above others and below none; None where there are several such labels.
    """

    indptr: NDArray[np.int64]
    parents: NDArray[np.int64]
    root: int | None

    @classmethod
    def of(cls, taxonomy: Taxonomy) -> Hierarchy | None:
        """Read the hierarchy of a taxonomy; None where no label has a parent that is one."""
        positions = {label.id: position for position, label in enumerate(taxonomy)}
        rows = [[positions[parent] for parent in label.parents if parent in positions] for label in taxonomy]
        return cls.from_lists(rows) if any(rows) else None

    @classmethod
    def from_lists(cls, parents: list[list[int]]) -> Hierarchy:
        """Flatten one list of positions per label."""
        indptr = np.cumsum([0, *map(len, parents)], dtype=np.int64)
        flat = np.array([parent for row in parents for parent in row], dtype=np.int64)
        tops = np.flatnonzero((np.diff(indptr) == 0) & (np.bincount(flat, minlength=len(parents)) > 0))
        return cls(indptr, flat, int(tops[0]) if len(tops) == 1 else None)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def ancestry(self, labels: NDArray[np.int32]) -> Ancestry:
        """Walk up from each label, level by level and all labels at once, at most `LEVELS` steps.

        Args:
            labels: Positions; a number below 0, for a label outside the taxonomy, has only itself above it.

        Returns:
            One entry per label, in order.
        """
        span = len(self)
        codes, here = np.arange(len(labels)), labels.astype(np.int64)
        found, steps = [codes * span + np.maximum(here, 0)], [np.zeros(len(labels), dtype=np.int64)]
        seen = np.sort(found[0])
        codes, here = codes[here >= 0], here[here >= 0]
        for step in range(1, LEVELS + 1):
            counts = self.indptr[here + 1] - self.indptr[here]
            first = np.repeat(self.indptr[here] - np.cumsum(counts) + counts, counts)
            keys = np.unique(np.repeat(codes, counts) * span + self.parents[first + np.arange(len(first))])
            keys = keys[~_among(keys, seen)]
            if not len(keys):
                break
            found.append(keys)
            steps.append(np.full(len(keys), step, dtype=np.int64))
            seen = np.sort(np.concatenate([seen, keys]), kind="stable")
            codes, here = np.divmod(keys, span)
        return _gather(np.concatenate(found), np.concatenate(steps), labels, span)


def _among(keys: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which keys are among the known ones, which ascend."""
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.asarray(known[places] == keys)


def _gather(keys: NDArray[np.int64], steps: NDArray[np.int64], labels: NDArray[np.int32], span: int) -> Ancestry:
    """Sort what was found by label; a label outside the taxonomy stands for itself, by its own negative number."""
    order = np.argsort(keys)
    codes, above = np.divmod(keys[order], span)
    outside = labels[codes] < 0
    sizes = np.bincount(codes, minlength=len(labels))
    return Ancestry(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.where(outside, labels[codes], above).astype(np.int64),
        steps[order],
    )
