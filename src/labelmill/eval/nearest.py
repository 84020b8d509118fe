"""How near a label's names come to the queries of its document: cosine of character n-grams, many documents at once.

No model takes part, so that the measure is the same for every run: counts of the 3-, 4- and 5-grams within word
borders, in lower case, as vectors of length 1. Equal texts have 1, "bakes breads" and "bake bread" 0.63; texts that
share no more than an ending have 0.1 to 0.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAR = 0.5
"""The similarity from which a query counts as having proposed a label."""

Asked = tuple[Sequence[str], Sequence[str]]
"""A label's names, and the queries of its document."""

_FEATURES = 2**20
_PAIRS = 1_000_000
"""Pairs of a name and a query that are compared at once, which bounds memory to some 100 MB; one label of one document
may have more."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The query that comes nearest to a label.

    Attributes:
        query: Its text; empty where no query shares an n-gram with any of the label's names.
        similarity: From 0 to 1.
    """

    query: str = ""
    similarity: float = 0.0


def nearest_queries(asked: Sequence[Asked]) -> list[Nearest]:
    """Find for each label of each document the query that comes nearest to any of its names.

    Args:
        asked: For each label its names and the queries of its document; labels of one document share one object of
            queries, which are then counted once.

    Returns:
        One `Nearest` for each label, in order: the first of equally near queries.
    """
    return [nearest for batch in _batches(asked) for nearest in _nearest(batch)]


def _batches(asked: Sequence[Asked]) -> Iterator[Sequence[Asked]]:
    """Cut what is asked where a batch would hold too many pairs."""
    start = pairs = 0
    for end, (names, queries) in enumerate(asked):
        size = len(names) * len(queries)
        if pairs and pairs + size > _PAIRS:
            yield asked[start:end]
            start, pairs = end, 0
        pairs += size
    if start < len(asked):
        yield asked[start:]


def _nearest(asked: Sequence[Asked]) -> list[Nearest]:
    """Compare the names of each label with the queries of its document alone."""
    groups: dict[int, int] = {}
    of_label = np.array([groups.setdefault(id(queries), len(groups)) for _, queries in asked])
    distinct = list({id(queries): queries for _, queries in asked}.values())
    queries = [query for group in distinct for query in group]
    owners = np.repeat(np.arange(len(asked)), [len(texts) for texts, _ in asked])
    query_groups = np.repeat(np.arange(len(distinct)), [len(group) for group in distinct])
    names = _Texts.of([name for texts, _ in asked for name in texts], of_label[owners])
    product = names.cosines(_Texts.of(queries, query_groups))
    similarities = np.minimum(np.round(product.data, 6), 1.0)  # noise in the last bits should order nothing
    order = np.lexsort((product.col, -similarities, owners[product.row]))
    found, first = np.unique(owners[product.row][order], return_index=True)
    nearest = [Nearest()] * len(asked)
    for label, place in zip(found.tolist(), order[first].tolist(), strict=True):
        nearest[label] = Nearest(queries[product.col[place]], float(similarities[place]))
    return nearest


@dataclass(frozen=True, slots=True, eq=False)
class _Texts:
    """Texts as sums of their words: n-grams do not cross words, and the windows of a document share all of theirs.

    Attributes:
        words: How often a text has each word of its group; CSR, shape (texts, words).
        grams: How often a word has each n-gram; CSR, shape (words, n-grams).
        groups: The group of each word, shape (words,).
    """

    words: Any
    grams: Any
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str], groups: NDArray[np.intp]) -> _Texts:
        """Split texts into words; those of different groups have none in common."""
        from scipy import sparse

        split = [text.lower().split() for text in texts]
        places: dict[tuple[int, str], int] = {}
        columns = [
            places.setdefault((group, word), len(places))
            for group, words in zip(groups.tolist(), split, strict=True)
            for word in words
        ]
        starts = np.cumsum([0, *map(len, split)])
        counts = sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(texts), len(places)))
        distinct = {word: number for number, word in enumerate(dict.fromkeys(word for _, word in places))}
        grams = _grams(list(distinct))[[distinct[word] for _, word in places]]
        return cls(counts, grams, np.array([group for group, _ in places], dtype=np.int64))

    def cosines(self, others: _Texts) -> Any:
        """Compute the cosines with texts of the same group, where they are not 0; COO, shape (texts, others)."""
        product = (self.words @ self._products(others) @ others.words.T).tocoo()
        product.data /= self._lengths()[product.row] * others._lengths()[product.col]
        return product

    def _lengths(self) -> NDArray[np.float64]:
        squares = (self.words @ self._products(self)).multiply(self.words).sum(axis=1)
        return np.asarray(np.sqrt(squares)).ravel()

    def _products(self, others: _Texts) -> Any:
        """Multiply the n-grams of words of the same group; CSR, shape (words, words of the others).

        One product does it for all groups, as a column stands for a group and an n-gram together.
        """
        from scipy import sparse

        columns, places = np.unique(others._columns(), return_inverse=True)
        if not len(columns):
            return sparse.csr_matrix((len(self.groups), len(others.groups)))
        wanted = self._columns()
        at = np.minimum(np.searchsorted(columns, wanted), len(columns) - 1)
        shared = columns[at] == wanted
        starts = np.concatenate([[0], np.cumsum(shared)])[self.grams.indptr]
        shape = len(self.groups), len(columns)
        left = sparse.csr_matrix((self.grams.data[shared], at[shared], starts), shape=shape)
        right = sparse.csr_matrix(
            (others.grams.data, places, others.grams.indptr), shape=(len(others.groups), shape[1])
        )
        return left @ right.T

    def _columns(self) -> NDArray[np.int64]:
        """Number each n-gram of each word together with the word's group."""
        return np.asarray(np.repeat(self.groups, np.diff(self.grams.indptr)) * _FEATURES + self.grams.indices)


def _grams(words: Sequence[str]) -> Any:
    """Count the n-grams of words; CSR, shape (words, n-grams)."""
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer

    if not words:
        return sparse.csr_matrix((0, _FEATURES))
    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=_FEATURES, alternate_sign=False, norm=None
    )
    return vectorizer.transform(words)
