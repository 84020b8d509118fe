"""A student as a retriever: what a cheap model, trained on a program's own labels, says of a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.base import Hits
from labelmill.retrievers.students.features import Features
from labelmill.retrievers.students.linear import Found

NAME = "student"


class Model(Protocol):
    """Knows labels by rows of features."""

    def find(self, rows: object, k: int) -> list[Found]:
        """Find the best labels of each row, CSR, and scores in 0..1, not increasing."""
        ...


class Student:
    """Scores labels by a model of features; a document's chunks are one query, so that every hit is of query 0.

    Args:
        features: Makes rows of documents.
        model: Knows labels.
        positions: In the taxonomy, of each label that the model knows, int32; -1 where the taxonomy lacks it.
        fingerprint: The model's, and its features'.
    """

    def __init__(self, features: Features, model: Model, positions: NDArray[np.int32], fingerprint: str) -> None:
        """Keep all."""
        self.name = NAME
        self.fingerprint = fingerprint
        self._features, self._model = features, model
        self._positions = positions
        self._gone = int((positions < 0).sum())

    def retrieve(self, queries: Sequence[Sequence[str]], k: int) -> list[Hits]:
        """Find the best labels for each document's chunks; see `Retriever`."""
        if not queries:
            return []
        rows = self._features.rows(queries)
        return [self._hits(*found, k) for found in self._model.find(rows, min(k + self._gone, len(self._positions)))]

    def _hits(self, labels: NDArray[np.intp], scores: NDArray[np.float64], k: int) -> Hits:
        positions = self._positions[labels]
        known = positions >= 0
        best = positions[known][:k]
        return Hits(best, scores[known][:k].astype(np.float32), np.zeros(len(best), dtype=np.int32))
