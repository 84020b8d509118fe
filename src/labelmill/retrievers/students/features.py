"""A document as a row of numbers, for students: hashed words and pairs of words, an embedder's vector, or both.

Words are hashed, so that a student's file holds none of the texts that it learned from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.base import Embedder
from labelmill.retrievers.bm25 import analyzer
from labelmill.retrievers.documents import embed_documents

FEATURES_VERSION = 1
"""Raised whenever the same text would get another row."""

SLOTS = 2**20
"""That words are hashed into."""

_LEAST_DOCUMENTS = 2
_MOST_SLOTS = 200_000
"""Of those that are kept, the most frequent."""


class TfIdf:
    """TF-IDF of stemmed words and pairs of neighbouring words, by MurmurHash3, over the slots that occur.

    Args:
        slots: Those that count, ascending, int32, shape (F,).
        idf: Inverse document frequency of each, float32, shape (F,).
    """

    def __init__(self, slots: NDArray[np.int32], idf: NDArray[np.float32]) -> None:
        """Keep what was learned."""
        self.slots, self.idf = slots, idf

    @classmethod
    def learn(cls, texts: Sequence[Sequence[str]], names: Sequence[Sequence[str]] = ()) -> TfIdf:
        """Learn how frequent words are in texts; both as `rows` has them.

        Args:
            texts: Of documents.
            names: Of labels: their words count as well, though no document has them.
        """
        counts = _count(texts, _hasher(), analyzer())
        frequencies = np.bincount(counts.indices, minlength=SLOTS)
        known = frequencies >= min(_LEAST_DOCUMENTS, len(texts))
        if names:
            known[_count(names, _hasher(), analyzer()).indices] = True
        kept = np.flatnonzero(known)
        kept = np.sort(kept[np.lexsort((kept, -frequencies[kept]))[:_MOST_SLOTS]])
        idf = np.log((1 + len(texts)) / (1 + frequencies[kept])) + 1
        return cls(kept.astype(np.int32), idf.astype(np.float32))

    def rows(self, texts: Sequence[Sequence[str]]) -> Any:
        """Make a row of length 1 for each document, given by its chunks: CSR float32, shape (texts, F)."""
        from scipy import sparse
        from sklearn.preprocessing import normalize

        counts = _count(texts, self._hasher, self._analyzer)
        places = self._places[counts.indices]
        known = places >= 0
        ends = np.append(0, np.cumsum(known))[counts.indptr]
        values = (1 + np.log(counts.data[known])) * self.idf[places[known]]
        rows = sparse.csr_array((values, places[known], ends), shape=(len(texts), len(self.slots)))
        return normalize(rows, copy=False) if len(self.slots) else rows

    @cached_property
    def _places(self) -> NDArray[np.int32]:
        places = np.full(SLOTS, -1, dtype=np.int32)
        places[self.slots] = np.arange(len(self.slots), dtype=np.int32)
        return places

    @cached_property
    def _hasher(self) -> Any:
        return _hasher()

    @cached_property
    def _analyzer(self) -> Any:
        return analyzer()


class Features:
    """Rows of documents: TF-IDF, an embedder's vector, or one beside the other, each of length 1.

    Args:
        tfidf: The words; None to do without.
        embedder: None to do without.
    """

    def __init__(self, tfidf: TfIdf | None, embedder: Embedder | None) -> None:
        """Keep both; one of them at least."""
        self.tfidf, self.embedder = tfidf, embedder

    def rows(self, texts: Sequence[Sequence[str]]) -> Any:
        """Make a row for each document, given by its chunks: CSR float32, shape (texts, F).

        A row does not depend on the others in the call.
        """
        from scipy import sparse

        parts = [] if self.tfidf is None else [self.tfidf.rows(texts)]
        if self.embedder is not None:  # one that remembers is empty at first, and so false
            parts.append(sparse.csr_array(embed_documents(self.embedder, texts)))
        return parts[0] if len(parts) == 1 else sparse.hstack(parts, format="csr")


def _hasher() -> Any:
    from sklearn.feature_extraction import FeatureHasher

    return FeatureHasher(SLOTS, input_type="string", dtype=np.float32, alternate_sign=False)


def _count(texts: Sequence[Sequence[str]], hasher: Any, words: Any) -> Any:
    counts = hasher.transform(_terms(chunks, words.analyze) for chunks in texts)
    counts.sum_duplicates()
    return counts


def _terms(chunks: Sequence[str], analyze: Any) -> Iterator[str]:
    for chunk in chunks:
        words = analyze(chunk)
        yield from words
        for one, next_one in pairwise(words):
            yield f"{one} {next_one}"
