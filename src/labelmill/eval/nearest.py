"""How near a label's names come to the queries of its document: cosine of character n-grams.

No model takes part, so that the measure is the same for every run: counts of the 3-, 4- and 5-grams within word
borders, in lower case, as vectors of length 1. Equal texts have 1, "bakes breads" and "bake bread" 0.63; texts that
share no more than an ending have 0.1 to 0.3.

A document has hundreds of windows, made of the same few words. So names are multiplied with words, and the product with
a window is a sum over its words. Its length, which is not, is computed for the few windows that can be the nearest: it
is at least as long as if no two of its words shared an n-gram. All sums are of whole numbers, and so exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.queries import Queries

NEAR = 0.5
"""The similarity from which a query counts as having proposed a label."""

Asked = tuple[Sequence[str], Sequence[str]]
"""A label's names, and the queries of its document."""

_SIZES = (3, 4, 5)
_FEATURES = 2**20
_DIGITS = 6
"""What noise in the last bits would order is equal."""

_NAMES, _CELLS = 64, 2_000_000
"""Names that are compared at once, and these times the n-grams of the document's words, which bounds memory to some
30 MB; one label may have more."""

_NONE = np.empty(0, dtype=np.int64)


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
        asked: For each label its names and the queries of its document; labels of one document that follow each other
            share one object of queries, which is then taken apart once.

    Returns:
        One `Nearest` for each label, in order: the first of equally near queries.
    """
    found: list[Nearest] = []
    places = np.zeros(_FEATURES, dtype=np.int32)
    for _, group in groupby(asked, key=lambda each: id(each[1])):
        some = list(group)
        document = _Document(some[0][1], places)
        most = min(_NAMES, _CELLS // max(1, len(document.grams)))
        for labels in _blocks([names for names, _ in some], most):
            found += document.nearest(labels)
    return found


def _blocks(labels: Sequence[Sequence[str]], most: int) -> Iterator[Sequence[Sequence[str]]]:
    """Cut labels where they would have too many names together."""
    start = together = 0
    for end, names in enumerate(labels):
        if together and together + len(names) > most:
            yield labels[start:end]
            start, together = end, 0
        together += len(names)
    yield labels[start:]


class _Document:
    """The queries of a document, taken apart.

    Args:
        given: The queries.
        places: Zeros, one for each n-gram there can be; used within calls, and zeros again after them.

    Attributes:
        grams: Numbers of the n-grams of the words of all queries, one word after the other.
    """

    def __init__(self, given: Sequence[str], places: NDArray[np.int32]) -> None:
        self._queries = given if isinstance(given, Queries) else Queries(given)
        grams = [_grams(word) for word in self._queries.words]
        self.grams = np.concatenate([_NONE, *grams])
        self._borders = np.cumsum([0, *map(len, grams)])
        squares = np.cumsum([0, *map(_square, self._queries.words)])
        self._least = np.sqrt(squares[self._queries.ends] - squares[self._queries.starts])
        self._alone = self._queries.ends - self._queries.starts == 1  # a word alone is as long as its bound says
        self._lengths: dict[tuple[str, ...], float] = {}
        self._places = places

    def nearest(self, labels: Sequence[Sequence[str]]) -> list[Nearest]:
        """Find the nearest query of each label, given by its names."""
        names = [name for each in labels for name in each]
        if not len(self.grams) or not names:
            return [Nearest()] * len(labels)
        products, lengths = self._multiply(names)
        bounds = np.zeros_like(products)
        np.divide(products, lengths[:, None] * self._least, out=bounds, where=products > 0)
        found, start = [], 0
        for each in labels:
            own = slice(start, start + len(each))
            found.append(self._best(products[own], lengths[own], bounds[own]))
            start += len(each)
        return found

    def _multiply(self, names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Multiply names with queries, shape (names, queries), and give the lengths of the names."""
        each = [np.concatenate([_NONE, *map(_grams, name.split())]) for name in names]
        flat = np.concatenate(each)
        # Columns of the n-grams that the names have; where one is there twice, its last. What none has is in column 0.
        self._places[flat] = np.arange(1, len(flat) + 1)
        width = len(flat) + 1
        cells = np.repeat(np.arange(len(names)), [len(grams) for grams in each]) * width + self._places[flat]
        vectors = np.bincount(cells, minlength=len(names) * width).reshape(len(names), width).astype(np.float64)
        own = self._places[self.grams]
        self._places[flat] = 0
        sums = np.zeros((len(names), len(self._borders)))
        np.cumsum(np.add.reduceat(vectors[:, own], self._borders[:-1], axis=1), axis=1, out=sums[:, 1:])
        return sums[:, self._queries.ends] - sums[:, self._queries.starts], np.sqrt((vectors**2).sum(axis=1))

    def _best(
        self, products: NDArray[np.float64], lengths: NDArray[np.float64], bounds: NDArray[np.float64]
    ) -> Nearest:
        """Find the nearest query of one label; products and bounds have the shape (names, queries)."""
        if not bounds.size or not bounds.any():
            return Nearest()
        least = float(bounds.ravel()[top := int(bounds.argmax())])
        if not self._alone[top % bounds.shape[1]]:
            (least,), _ = self._similarities(products, lengths, np.array([top]))
        similarities, queries = self._similarities(
            products, lengths, np.flatnonzero(bounds >= least - 2 * 10.0**-_DIGITS)
        )
        best = np.lexsort((queries, -similarities))[0]
        return Nearest(self._queries[int(queries[best])], float(similarities[best]))

    def _similarities(
        self, products: NDArray[np.float64], lengths: NDArray[np.float64], places: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Compute cosines at some places of the products, and say of which queries they are."""
        names, queries = np.divmod(places, products.shape[1])
        others = np.array([self._length(query) for query in queries.tolist()])
        return np.minimum(np.round(products.ravel()[places] / (lengths[names] * others), _DIGITS), 1.0), queries

    def _length(self, query: int) -> float:
        """Compute how long the vector of a query is."""
        start, end = self._queries.starts[query], self._queries.ends[query]
        words = tuple(self._queries.words[start:end])
        if words not in self._lengths:
            self._lengths[words] = _sum_squares(self.grams[self._borders[start] : self._borders[end]]) ** 0.5
        return self._lengths[words]


@lru_cache(maxsize=100_000)
def _grams(word: str) -> NDArray[np.int64]:
    """Number the n-grams of a word, each as often as it is there, as scikit-learn's ``char_wb`` has them."""
    padded = f" {word.lower()} "
    cut = [padded[start : start + size] for size in _SIZES for start in range(len(padded) - size + 1)]
    return np.array([_feature(gram) for gram in cut], dtype=np.int64)


@lru_cache(maxsize=100_000)
def _square(word: str) -> int:
    """Square the vector of a word."""
    return _sum_squares(_grams(word))


def _sum_squares(grams: NDArray[np.int64]) -> int:
    """Sum the squares of how often each n-gram is there."""
    return sum(count * count for count in Counter(grams.tolist()).values())


@lru_cache(maxsize=200_000)
def _feature(gram: str) -> int:
    """Number an n-gram, as scikit-learn's ``HashingVectorizer``: some share a number."""
    from sklearn.utils import murmurhash3_32

    return abs(int(murmurhash3_32(gram))) % _FEATURES
