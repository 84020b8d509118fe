"""Neighbours: the labels of the labelled documents that are most like a document, by the cosine of their texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.base import Embedder, Hits, best_labels

NEAREST = 20
_POWER = 4
"""What a cosine is raised to: the nearest of a document's neighbours should outweigh the many."""

_SMOOTHING = 0.5


class Neighbours:
    """Labels of the nearest labelled documents; some thousands of them at most.

    A label scores the sum of the likenesses of the nearest documents that have it, as a share of all their likeness.

    Args:
        embedder: Of documents.
        texts: Of the labelled documents.
        labels: Positions of their labels in the taxonomy.
    """

    name = "neighbours"

    def __init__(self, embedder: Embedder, texts: Sequence[str], labels: Sequence[Sequence[int]]) -> None:
        """Keep the documents; they are embedded with the first query."""
        self._embedder = embedder
        self._texts = list(texts)
        self._labels = [np.unique(np.array(each, dtype=np.int32)) for each in labels]

    def retrieve(self, queries: Sequence[Sequence[str]], k: int, *, without: Sequence[int] | None = None) -> list[Hits]:
        """Find the labels of each document's neighbours; see `Retriever`.

        Args:
            queries: For each document its chunks.
            k: How many labels a document gets at most.
            without: For each document its own place among the labelled ones, which is left out.
        """
        vectors = self._embed(queries)
        return [
            self._retrieve_one(vector, k, None if without is None else without[place])
            for place, vector in enumerate(vectors)
        ]

    def log_shares(self, positions: NDArray[np.int32], *, without: int | None = None) -> NDArray[np.float64]:
        """Give the smoothed log share of the labelled documents that have each label, shape (k,).

        Args:
            positions: Labels, shape (k,).
            without: The place of a labelled document that is left out.
        """
        labels, counts = self._counts
        at = np.minimum(np.searchsorted(labels, positions), max(len(labels) - 1, 0))
        found = np.zeros(len(positions))
        if len(labels):
            found = np.where(labels[at] == positions, counts[at], 0).astype(np.float64)
        total = len(self._texts)
        if without is not None:
            found -= np.isin(positions, self._labels[without])
            total -= 1
        return np.asarray(np.log((found + _SMOOTHING) / (total + 2 * _SMOOTHING)))

    def _retrieve_one(self, vector: NDArray[np.float32], k: int, own: int | None) -> Hits:
        # A sum of products row by row, and no matrix product, whose last bits depend on its shape.
        likeness = np.maximum((self._vectors * vector).sum(axis=1), 0) ** _POWER
        if own is not None:
            likeness[own] = 0
        nearest = best_labels(np.where(likeness > 0, likeness, -np.inf).astype(np.float32), NEAREST)
        if not len(nearest):
            return Hits.empty()
        labels = np.concatenate([self._labels[place] for place in nearest.tolist()])
        weights = np.repeat(likeness[nearest], [len(self._labels[place]) for place in nearest.tolist()])
        found, inverse = np.unique(labels, return_inverse=True)
        scores = (np.bincount(inverse, weights=weights) / likeness[nearest].sum()).astype(np.float32)
        best = best_labels(scores, k)
        return Hits(found[best].astype(np.int32), scores[best], np.zeros(len(best), dtype=np.int32))

    def _embed(self, documents: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Embed documents as the means of their chunks: shape (n, d), rows of length 1."""
        vectors = self._embedder.embed([chunk for chunks in documents for chunk in chunks])
        means, start = [], 0
        for chunks in documents:
            mean = vectors[start : start + len(chunks)].sum(axis=0)
            means.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
            start += len(chunks)
        return np.array(means, dtype=np.float32).reshape(len(documents), vectors.shape[1])

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        return self._embed([[text] for text in self._texts])

    @cached_property
    def _counts(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        return np.unique(np.concatenate([*self._labels, np.empty(0, np.int32)]), return_counts=True)
