"""Character 3-5-grams, TF-IDF weighted: finds names through typing errors, inflection and compounds, in any script."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.base import Hits
from labelmill.retrievers.views import View

_FEATURES = 2**20
_TEXTS_PER_LABEL = 4
"""How many texts are kept per wanted label, since several texts of one label may come first."""


_Texts = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Texts that a query finds, as columns of the matrix, and their scores."""


class Characters:
    """Cosine of TF-IDF weighted character n-grams over a view; maximum over a label's texts and over the queries.

    Args:
        view: The texts of the labels.
        matrix: Their weighted n-grams, CSR, shape (n-grams, texts): transposed, ready for the product.
        idf: Inverse document frequency of each n-gram, float32, shape (n-grams,).
    """

    def __init__(self, view: View, matrix: Any, idf: NDArray[np.float32]) -> None:
        """Keep the matrix and the weights that queries need."""
        self.name = f"{view.name}.characters"
        self._owners = view.owners
        self._matrix = matrix
        self._idf = idf

    @classmethod
    def build(cls, view: View, folder: Path) -> None:
        """Write the matrix of the view's texts into a folder, as npz and npy (nothing pickled)."""
        from scipy import sparse

        counts = _count(view.texts)
        frequencies = np.bincount(counts.indices, minlength=_FEATURES)
        idf = (np.log((1 + counts.shape[0]) / (1 + frequencies)) + 1).astype(np.float32)
        np.save(folder / "idf.npy", idf)
        sparse.save_npz(folder / "matrix.npz", _weigh(counts, idf).T.tocsr(), compressed=False)

    @classmethod
    def open(cls, view: View, folder: Path) -> Characters:
        """Read what `build` wrote."""
        from scipy import sparse

        with (folder / "matrix.npz").open("rb") as file:  # scipy leaves it open where it is damaged
            matrix = sparse.load_npz(file)
        return cls(view, matrix, np.load(folder / "idf.npy", allow_pickle=False))

    def retrieve(self, queries: Sequence[Sequence[str]], k: int) -> list[Hits]:
        """Find the best labels for each document's queries; see `Retriever`."""
        flat = [query for document in queries for query in document]
        if not flat:
            return [Hits.empty() for _ in queries]
        rows = self._best_texts(_weigh(_count(flat), self._idf), k)
        ends = np.cumsum([len(document) for document in queries]).tolist()
        return [self._merge(rows[end - len(document) : end], k) for document, end in zip(queries, ends, strict=True)]

    def _best_texts(self, weighted: Any, k: int) -> list[_Texts]:
        """Find for each query the texts that hold its best k labels, whatever the ties."""
        wanted = min(k * _TEXTS_PER_LABEL, self._matrix.shape[1])
        found = self._product(weighted, wanted)
        rows: list[_Texts] = []
        for row, (start, end) in enumerate(pairwise(found.indptr)):
            texts, scores = found.indices[start:end], found.data[start:end]
            # A cut through equal scores, or after one label's many texts, may have left out a better label.
            if len(texts) == wanted and len(np.unique(self._owners[texts[scores > scores.min()]])) < k:
                whole = self._product(weighted[row], self._matrix.shape[1])
                texts, scores = whole.indices, whole.data
            rows.append((texts, scores))
        return rows

    def _product(self, weighted: Any, wanted: int) -> Any:
        """Multiply, and keep the best texts of each query: CSR, shape (queries, texts)."""
        from sparse_dot_topn import sp_matmul_topn

        return sp_matmul_topn(weighted, self._matrix, top_n=wanted, sort=True)

    def _merge(self, rows: Sequence[_Texts], k: int) -> Hits:
        """Reduce each query's texts to the best labels: maximum over queries and over a label's texts."""
        if not rows:
            return Hits.empty()
        texts = np.concatenate([texts for texts, _ in rows])
        scores = np.concatenate([scores for _, scores in rows])
        numbers = np.repeat(np.arange(len(rows), dtype=np.int32), [len(texts) for texts, _ in rows])
        labels = self._owners[texts]
        order = np.lexsort((numbers, -scores, labels))
        best = order[np.unique(labels[order], return_index=True)[1]]
        best = best[np.lexsort((labels[best], -scores[best]))][:k]
        return Hits(labels[best].astype(np.int32), scores[best].astype(np.float32), numbers[best])


def _count(texts: Sequence[str]) -> Any:
    """Count the n-grams within word borders; CSR float32, shape (texts, n-grams)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(3, 5),
        n_features=_FEATURES,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    return vectorizer.transform(texts)


def _weigh(counts: Any, idf: NDArray[np.float32]) -> Any:
    """Weigh by sublinear term frequency and idf, and scale rows to length 1."""
    from sklearn.preprocessing import normalize

    weighted = counts.copy()
    weighted.data = (1 + np.log(weighted.data)) * idf[weighted.indices]
    return normalize(weighted, copy=False)
