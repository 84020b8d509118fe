"""Dense retrieval: exact maximum inner product between query vectors and the vectors of a view of the labels.

Exact and batched, because approximate indexes lose a fifth of the true neighbours at a million labels and the exact
product is fast enough until memory ends: 10^6 texts of 384 dimensions take 1.5 GB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
        vectors = self._embedder.embed([query for document in queries for query in document])
        ends = np.cumsum([len(document) for document in queries])
        found = [Hits.empty()] * len(queries)
        for document, scores in self._scores(vectors, ends):
            own = vectors[ends[document] - len(queries[document]) : ends[document]]
            best = best_labels(scores, k)
            found[document] = Hits(self._owners[best].astype(np.int32), scores[best], self._best_queries(own, best))
        return found

    def similarities(self, queries: Sequence[str], labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """Compare some labels with each query of one document: cosines, the maximum over a label's texts.

        Args:
            queries: At least one.
            labels: Positions in the taxonomy, shape (k,), k > 0.

        Returns:
            Shape (k, queries).
        """
        counts = self._ends[labels] - self._starts[labels]
        firsts = np.cumsum(counts) - counts
        texts = np.arange(counts.sum()) + np.repeat(self._starts[labels] - firsts, counts)
        product = self._vectors[self._rows[texts]] @ self._embedder.embed(list(queries)).T
        return np.asarray(np.maximum.reduceat(product, firsts, axis=0))

    def _scores(
        self, vectors: NDArray[np.float32], ends: NDArray[np.intp]
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Give each document that has queries, with the maximum over them for every label: shape (labels,).

        Queries of many documents share a product, always of the same shape: a product's last bits depend on its shape,
        and what a document gets must not depend on its neighbours in the batch.
        """
        documents = np.searchsorted(ends, np.arange(len(vectors)), side="right")
        held: NDArray[np.float32] | None = None  # of a document whose queries go on in the next block
        block = np.zeros((_QUERY_BLOCK, self._vectors.shape[1]), dtype=np.float32)
        for start in range(0, len(vectors), _QUERY_BLOCK):
            rows = vectors[start : start + _QUERY_BLOCK]
            block[: len(rows)] = rows
            here, firsts = np.unique(documents[start : start + len(rows)], return_index=True)
            product = block @ self._vectors.T
            for document, first, last in zip(here.tolist(), firsts, [*firsts[1:], len(rows)], strict=True):
                scores = product[first:last].max(axis=0)
                held = scores if held is None else np.maximum(held, scores, out=held)
                if ends[document] <= start + _QUERY_BLOCK:
                    yield document, np.maximum.reduceat(held[self._rows], self._starts)
                    held = None

    def _best_queries(self, queries: NDArray[np.float32], best: NDArray[np.intp]) -> NDArray[np.int32]:
        """Find which query gave each label its score, after the fact: far cheaper than carrying it along."""
        if len(queries) == 1:
            return np.zeros(len(best), dtype=np.int32)
        spans = ((self._starts[label], self._ends[label]) for label in best.tolist())
        texts = (self._vectors[self._rows[start:end]] for start, end in spans)
        return np.array([int(np.argmax((queries @ own.T).max(axis=1))) for own in texts], dtype=np.int32)
