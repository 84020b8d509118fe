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
    names = [name for texts, _ in asked for name in texts]
    if not queries or not names:
        return [Nearest()] * len(asked)
    owners = np.repeat(np.arange(len(asked)), [len(texts) for texts, _ in asked])
    query_groups = np.repeat(np.arange(len(distinct)), [len(group) for group in distinct])
    product = _compare(_grams(names), of_label[owners], _grams(queries), query_groups).tocoo()
    similarities = np.round(product.data, 6)  # noise in the last bits should order nothing
    order = np.lexsort((product.col, -similarities, owners[product.row]))
    found, first = np.unique(owners[product.row][order], return_index=True)
    nearest = [Nearest()] * len(asked)
    for label, place in zip(found.tolist(), order[first].tolist(), strict=True):
        nearest[label] = Nearest(queries[product.col[place]], min(1.0, round(float(similarities[place]), 6)))
    return nearest


def _compare(names: Any, name_groups: NDArray[np.intp], queries: Any, query_groups: NDArray[np.intp]) -> Any:
    """Multiply names with the queries of their own group; CSR, shape (names, queries).

    One product does it for all groups, as a column stands for a group and an n-gram together.
    """
    from scipy import sparse

    columns, places = np.unique(_columns(queries, query_groups), return_inverse=True)
    if not len(columns):
        return sparse.csr_matrix((names.shape[0], queries.shape[0]), dtype=np.float32)
    wanted = _columns(names, name_groups)
    at = np.minimum(np.searchsorted(columns, wanted), len(columns) - 1)
    shared = columns[at] == wanted
    starts = np.concatenate([[0], np.cumsum(shared)])[names.indptr]
    left = sparse.csr_matrix((names.data[shared], at[shared], starts), shape=(names.shape[0], len(columns)))
    right = sparse.csr_matrix((queries.data, places, queries.indptr), shape=(queries.shape[0], len(columns)))
    return left @ right.T


def _columns(grams: Any, groups: NDArray[np.intp]) -> NDArray[np.int64]:
    """Number each n-gram of each text together with the text's group."""
    return np.asarray(np.repeat(groups.astype(np.int64), np.diff(grams.indptr)) * _FEATURES + grams.indices)


def _grams(texts: Sequence[str]) -> Any:
    """Count the n-grams of texts as rows of length 1; CSR float32, shape (texts, n-grams)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=_FEATURES, alternate_sign=False, norm="l2", dtype=np.float32
    )
    return vectorizer.transform(texts)
