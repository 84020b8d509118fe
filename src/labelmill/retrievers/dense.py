"""Dense retrieval: exact maximum inner product between query vectors and the vectors of a view of the labels.

Exact and batched, because approximate indexes lose a fifth of the true neighbours at a million labels and the exact
product is fast enough until memory ends: 10^6 texts of 384 dimensions take 1.5 GB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.base import Embedder, Hits, best_labels
from labelmill.retrievers.views import View

_QUERY_BLOCK = 64
"""Queries a matrix product takes at once; bounds memory at 64 x texts x 4 bytes."""


class Dense:
    """Cosine similarity over one view; a label scores the maximum over its texts and over the queries.

    Args:
        view: The texts of the labels.
        vectors: Their unit vectors, float32, shape (texts, dimensions).
        embedder: What made them, and embeds the queries.
    """

    def __init__(self, view: View, vectors: NDArray[np.float32], embedder: Embedder) -> None:
        """Keep the vectors, and where each label's texts begin."""
        self.name = f"{view.name}.{embedder.name}"
        self._embedder = embedder
        # Equal texts share one row: a product's last bits depend on the column, and labels of one name must tie.
        rows: dict[str, int] = {}
        self._rows = np.array([rows.setdefault(text, len(rows)) for text in view.texts], dtype=np.intp)
        first = np.unique(self._rows, return_index=True)[1]
        self._vectors = np.ascontiguousarray(vectors[first] if len(rows) < len(vectors) else vectors, dtype=np.float32)
        self._owners, self._starts = np.unique(view.owners, return_index=True)
        self._ends = np.append(self._starts[1:], len(view.owners))

    def retrieve(self, queries: Sequence[Sequence[str]], k: int) -> list[Hits]:
        """Find the best labels for each document's queries; see `Retriever`."""
        if not queries:
            return []
        flat = [query for document in queries for query in document]
        vectors = self._embedder.embed(flat)
        ends = np.cumsum([len(document) for document in queries])
        # One product per document, never across documents: a product's last bits depend on its shape, and what a
        # document gets must not depend on its neighbours in the batch.
        return [self._retrieve_one(rows, k) for rows in np.split(vectors, ends[:-1])]

    def _retrieve_one(self, queries: NDArray[np.float32], k: int) -> Hits:
        if not len(queries):
            return Hits.empty()
        row_scores = np.full(len(self._vectors), -np.inf, dtype=np.float32)
        for start in range(0, len(queries), _QUERY_BLOCK):
            block = queries[start : start + _QUERY_BLOCK] @ self._vectors.T
            np.maximum(row_scores, block.max(axis=0), out=row_scores)
        scores = np.maximum.reduceat(row_scores[self._rows], self._starts)
        best = best_labels(scores, k)
        return Hits(self._owners[best].astype(np.int32), scores[best], self._best_queries(queries, best))

    def _best_queries(self, queries: NDArray[np.float32], best: NDArray[np.intp]) -> NDArray[np.int32]:
        """Find which query gave each label its score, after the fact: far cheaper than carrying it along."""
        if len(queries) == 1:
            return np.zeros(len(best), dtype=np.int32)
        spans = ((self._starts[label], self._ends[label]) for label in best.tolist())
        texts = (self._vectors[self._rows[start:end]] for start, end in spans)
        return np.array([int(np.argmax((queries @ own.T).max(axis=1))) for own in texts], dtype=np.int32)
