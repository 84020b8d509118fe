"""Which labels phrases are near to, by their vectors and by their letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.pipelines.gaps.phrases import Phrase, Told
from labelmill.retrievers.base import Embedder, Hits
from labelmill.retrievers.index import Indexes

NEAREST = 3
"""Labels that are told of a proposal."""

_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Far:
    """Phrases that no label is near to.

    Attributes:
        phrases: The phrases, in the order in which they were given.
        vectors: Their unit vectors, float32, shape (n, d).
        labels: Positions of the labels nearest to each, the nearest first, int32, shape (n, `NEAREST`); -1 for none.
        likeness: Cosines with these, by the nearest of their names and aliases, float32, same shape.
        spelled: Likeness of the letters to the most alike name or alias of any label, float32, shape (n,).
        looked_at: How many phrases were looked at.
    """

    phrases: list[Phrase]
    vectors: NDArray[np.float32]
    labels: NDArray[np.int32]
    likeness: NDArray[np.float32]
    spelled: NDArray[np.float32]
    looked_at: int


def far(
    phrases: Sequence[Phrase],
    indexes: Indexes,
    embedder: Embedder,
    *,
    near: float,
    spelled: float,
    most: int,
    told: Told,
) -> Far:
    """Leave out what a label is near to, by vectors or by letters, until so many are left.

    Args:
        phrases: The most important first.
        indexes: Of the taxonomy.
        embedder: Makes the vectors.
        near: Least cosine with a name or alias that is near.
        spelled: Least cosine of the character n-grams that is near.
        most: Phrases to keep at most; what comes behind is not looked at.
        told: Told how far it is.
    """
    dense, letters = indexes.dense("aliases", embedder), indexes.characters("aliases")
    kept, parts = list[Phrase](), list[tuple[NDArray[np.float32], ...]]()
    labels = list[NDArray[np.int32]]()
    looked_at = 0
    for start in range(0, len(phrases), _AT_ONCE):
        if len(kept) >= most:
            break
        some = phrases[start : start + _AT_ONCE]
        looked_at = start + len(some)
        queries = [[phrase.text] for phrase in some]
        nearest, likeness = _laid_out(dense.retrieve(queries, NEAREST))
        left = np.flatnonzero(likeness[:, 0] < near)
        _, alike = _laid_out(letters.retrieve([queries[place] for place in left.tolist()], 1))
        left, alike = left[alike[:, 0] < spelled], alike[alike[:, 0] < spelled]
        kept += (own := [some[place] for place in left.tolist()])
        labels.append(nearest[left])
        vectors = embedder.embed([phrase.text for phrase in own])  # which are remembered
        parts.append((vectors, likeness[left], alike[:, 0]))
        told("comparing with the labels", looked_at, len(phrases))
    if not parts:
        return Far([], *_nothing(), looked_at=0)
    vectors, likeness, alike = (np.concatenate([part[column] for part in parts])[:most] for column in range(3))
    return Far(kept[:most], vectors, np.concatenate(labels)[:most], likeness, alike, looked_at)


def _laid_out(hits: Sequence[Hits]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Lay hits out as rows of equal length: labels, -1 for none, and scores, 0 for none."""
    labels = np.full((len(hits), NEAREST), -1, dtype=np.int32)
    scores = np.zeros((len(hits), NEAREST), dtype=np.float32)
    for row, found in enumerate(hits):
        labels[row, : len(found.labels)] = found.labels
        scores[row, : len(found.scores)] = found.scores
    return labels, np.round(scores, 4)


def _nothing() -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    none = np.empty((0, NEAREST), np.float32)
    return none, none.astype(np.int32), none, none[:, 0]
