"""A classifier as a retriever: what labelled documents teach of each label that enough of them have.

Ridge regression of every label on the document's vector, one against the rest, in closed form: learning it anew without
some of the documents takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelmill.keys import content_key
from labelmill.retrievers.base import Embedder, Hits, best_labels
from labelmill.retrievers.documents import embed_documents

CLASSIFIER_VERSION = 2
"""Raised whenever the same examples would give other numbers."""

LEAST_EXAMPLES = 3
"""Of a label, below which nothing is learned of it."""

_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Of the penalty; that of the least error on examples left out is taken."""

_DIGITS = 5
_KEPT = 16


class Classifier:
    """Scores labels by regression on the vectors of labelled documents; up to some ten thousand of them.

    Args:
        embedder: Embeds examples and documents.
        texts: For each example its chunks.
        labels: For each example its labels' positions in the taxonomy.

    Attributes:
        fingerprint: The embedder's, the examples' and their labels'.
    """

    def __init__(self, embedder: Embedder, texts: Sequence[Sequence[str]], labels: Sequence[Sequence[int]]) -> None:
        """Embed the examples and learn; raises as `embed_documents` does."""
        self.name = f"classifier.{embedder.name}"
        own = [sorted(set(given)) for given in labels]
        self.fingerprint = content_key(CLASSIFIER_VERSION, embedder.fingerprint, [list(each) for each in texts], own)
        self._embedder = embedder
        self._vectors = _with_constant(embed_documents(embedder, texts))
        flat = np.array([position for each in own for position in each], dtype=np.int32)
        found, counts = np.unique(flat, return_counts=True)
        self._labels = found[counts >= LEAST_EXAMPLES]
        self._has = np.zeros((len(own), len(self._labels)))
        for place, each in enumerate(own):
            self._has[place, np.isin(self._labels, each)] = 1
        self._weights = np.zeros((self._vectors.shape[1], len(self._labels)))
        self._strength = _STRENGTHS[-1]
        self._others: dict[tuple[int, ...], NDArray[np.float64]] = {}
        if len(self._labels):
            self._learn()

    def retrieve(
        self, queries: Sequence[Sequence[str]], k: int, without: Sequence[Sequence[int]] | None = None
    ) -> list[Hits]:
        """Find the labels that the regression gives the most; see `Retriever`.

        Args:
            queries: For each document its chunks; they make one query, so that every hit is of query 0.
            k: How many labels a document gets at most.
            without: For each document the places of the examples that do not count for it: its own, for one.
        """
        if not len(self._labels):
            return [Hits.empty() for _ in queries]
        left_out = [()] * len(queries) if without is None else without
        vectors = _with_constant(embed_documents(self._embedder, queries))
        return [self._retrieve_one(vector, k, tuple(out)) for vector, out in zip(vectors, left_out, strict=True)]

    def _retrieve_one(self, vector: NDArray[np.float64], k: int, left_out: tuple[int, ...]) -> Hits:
        # One product a document, not one a batch: its last bits depend on the shape.
        scores = vector @ (self._weights_without(left_out) if left_out else self._weights)
        if left_out:
            # Whether a label is known at all must not tell of the examples that are left out, either.
            left = self._has.sum(axis=0) - self._has[list(left_out)].sum(axis=0)
            scores = np.where(left >= LEAST_EXAMPLES, scores, -np.inf)
        rounded = np.round(scores, _DIGITS).astype(np.float32)
        best = best_labels(rounded, k)
        return Hits(self._labels[best].astype(np.int32), rounded[best], np.zeros(len(best), dtype=np.int32))

    def _weights_without(self, left_out: tuple[int, ...]) -> NDArray[np.float64]:
        """Learn without some examples, at the same strength; the same ones are usually asked for again."""
        if left_out not in self._others:
            if len(self._others) >= _KEPT:
                self._others.clear()
            rest = np.delete(np.arange(len(self._vectors)), left_out)
            self._others[left_out] = _solve(self._vectors[rest], self._has[rest], self._strength)
        return self._others[left_out]

    def _learn(self) -> None:
        """Choose the penalty by the squared error on examples left out one by one, which has a closed form."""
        values, axes = np.linalg.eigh(self._vectors.T @ self._vectors)
        turned = self._vectors @ axes
        least = np.inf
        for strength in _STRENGTHS:
            shrunk = axes / (np.maximum(values, 0) + strength)
            weights = shrunk @ (turned.T @ self._has)
            leverage = np.minimum((turned * (self._vectors @ shrunk)).sum(axis=1), 1 - 1e-6)
            left_out = (self._has - self._vectors @ weights) / (1 - leverage)[:, None]
            error = float((left_out**2).sum())
            if error < least:
                least, self._weights, self._strength = error, weights, strength


def _solve(vectors: NDArray[np.float64], has: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """Regress labels on vectors: (V'V + strength I)^-1 V'Y."""
    ridge = strength * np.eye(vectors.shape[1])
    return np.asarray(np.linalg.solve(vectors.T @ vectors + ridge, vectors.T @ has))


def _with_constant(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Add a column of ones: how frequent a label is."""
    return np.concatenate([vectors.astype(np.float64), np.ones((len(vectors), 1))], axis=1)
