"""Choosing a batch of documents for a person: doubt, disagreement, tail labels and coverage, greedily, one by one.

Two of the parts depend on what was chosen before. The tail part is a concave function of how often each label is in the
gold, and coverage is facility location over a sample of the corpus; both are monotone and submodular (Wei, Iyer and
Bilmes 2015, *Submodularity in data subset selection and active learning*, ICML), so that the greedy choice is within
1 - 1/e of the best, and that a second document like the first is worth less by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

PARTS = ("uncertainty", "disagreement", "tail", "diversity")

_HIGH, _HIGHEST = 0.95, 1 / 3
"""What counts as 1 of a part: a quantile over the candidates, so that one odd document does not set the scale, but at
least that share of the greatest value, so that it is seen."""

_CELLS = 1 << 22
"""How near documents are to each other, that is computed at once."""

_KEPT = 1 << 25
"""How near documents are to each other, that is kept (128 MB); what is more is computed anew where it is wanted."""

_AGAIN = 64
"""Documents whose coverage is computed anew at once, the most promising ones."""

_ALIKE = 0.97
"""Cosine from which on two documents are one, for a batch: the second comes only where nothing else is left."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What the parts weigh against each other; each is between 0 and 1 before.

    Attributes:
        uncertainty: Expected wrong decisions on the document's labels.
        disagreement: Of runs, voters or lanes.
        tail: Labels that have little gold so far.
        diversity: How much of the corpus the document is near to, and nothing chosen so far is.
    """

    uncertainty: float = 1.0
    disagreement: float = 0.5
    tail: float = 1.0
    diversity: float = 1.0


@dataclass(frozen=True, eq=False)
class Pool:
    """n documents that may be chosen.

    Attributes:
        doubt: Expected wrong decisions, shape (n,).
        disagreement: Shape (n,).
        profile: Probability of each label, shape (n, labels); sparse.
        places: Where documents are, with rows of length 1 or 0, dense or sparse, shape (n, width). Near documents have
            a high product.
        ground: Which documents are a fair sample of the corpus, bool, shape (n,); coverage is of them.
        known: Where documents with gold are, shape (g, width); None where that is not known.
        gold: How many documents have each label in the gold so far, shape (labels,).
        labelled: Which documents have gold already, bool, shape (n,): another look at them adds no label and covers
            nothing.
    """

    doubt: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    profile: sparse.csr_matrix
    places: Any
    ground: NDArray[np.bool_]
    gold: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    known: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Documents that were chosen.

    Attributes:
        chosen: Their numbers, in order, shape (k,).
        parts: What each part was worth at that moment, weighted, shape (k, parts).
        alike: The greatest cosine with one chosen before, shape (k,).
    """

    chosen: NDArray[np.int64]
    parts: NDArray[np.float64]
    alike: NDArray[np.float64]


def choose_batch(pool: Pool, count: int, weights: Weights = Weights()) -> Batch:
    """Choose documents one by one, each the one that is worth most beside those before; ties go to the first.

    Args:
        pool: The documents.
        count: How many at most.
        weights: What the parts weigh.
    """
    number = len(pool.doubt)
    static = [
        weights.uncertainty * _scaled(pool.doubt),
        weights.disagreement * _scaled(pool.disagreement),
    ]
    tail, cover = _Tail(pool), _Cover(pool)
    free = np.ones(number, np.bool_)
    alike = np.zeros(number)
    chosen: list[int] = []
    parts: list[list[float]] = []
    nearest: list[float] = []
    for _ in range(min(count, number)):
        some = free & (alike < _ALIKE)
        barred = ~(some if some.any() else free)
        given = [*static, weights.tail * tail.gain()]
        while True:
            # Coverage only falls, so that what it was before is the most that it can be.
            columns = [*given, weights.diversity * cover.most()]
            worth = np.round(np.sum(columns, axis=0), 9)
            worth[barred] = -np.inf
            best = int(np.argmax(worth))
            if cover.is_new[best]:
                break
            stale = np.where(cover.is_new, -np.inf, worth)
            stale[best] = np.inf
            cover.renew(np.argpartition(-stale, min(_AGAIN, number) - 1)[:_AGAIN])
        chosen.append(best)
        parts.append([float(column[best]) for column in columns])
        nearest.append(float(alike[best]))
        free[best] = False
        np.maximum(alike, cover.like(best), out=alike)
        if not pool.labelled[best]:
            tail.take(best)
            cover.take(best)
    table = np.array(parts, dtype=np.float64).reshape(len(chosen), len(PARTS))
    return Batch(np.array(chosen, dtype=np.int64), table, np.array(nearest))


class _Tail:
    """The gain in the sum over labels of the logarithm of how often each is in the gold, one added."""

    def __init__(self, pool: Pool) -> None:
        self._profile = pool.profile
        self._new = ~pool.labelled
        self._counts = pool.gold.astype(np.float64).copy()
        self._scale = 0.0

    def gain(self) -> NDArray[np.float64]:
        """Compute what each document would add; a label that is already frequent adds next to nothing."""
        profile = self._profile
        rises = np.log1p(profile.data / (1.0 + self._counts[profile.indices]))
        sums = np.add.reduceat(np.append(rises, 0.0), profile.indptr[:-1]) if len(rises) else np.zeros(len(self._new))
        sums = np.where(np.diff(profile.indptr) > 0, sums, 0.0) * self._new
        self._scale = self._scale or _height(sums)
        return np.asarray(np.minimum(sums / self._scale, 1.0))

    def take(self, document: int) -> None:
        """Count a chosen document's labels as so much gold as they are probable."""
        row = self._profile[document]
        self._counts[row.indices] += row.data


class _Cover:
    """Facility location: over the sample, the sum of how near the nearest chosen or known document is."""

    def __init__(self, pool: Pool) -> None:
        self._places = pool.places
        self._new = ~pool.labelled
        self._sample = pool.places[np.flatnonzero(pool.ground)]
        number, width = pool.places.shape[0], self._sample.shape[0]
        self._reached = np.zeros(width, np.float32)
        if pool.known is not None and pool.known.shape[0]:
            parts = [
                _product(self._sample[rows], pool.known).max(axis=1) for rows in _parts(width, pool.known.shape[0])
            ]
            self._reached = np.maximum(np.concatenate(parts), 0.0)
        self._kept: NDArray[np.float32] | None = None
        if number * width <= _KEPT:
            self._kept = np.concatenate([self._near(rows) for rows in _parts(number, width)])
        self._sums = np.zeros(number)
        self.is_new = np.zeros(number, np.bool_)
        for rows in _parts(number, width):
            self.renew(rows)
        self._scale = _height(self._sums)

    def most(self) -> NDArray[np.float64]:
        """Say how much nearer the sample would come with each document: at most so much, where it is not new."""
        return np.asarray(np.minimum(self._sums / self._scale, 1.0))

    def renew(self, rows: NDArray[np.intp]) -> None:
        """Compute it, by what is reached now."""
        near = self._near(rows)
        self._sums[rows] = np.maximum(near - self._reached, 0.0).sum(axis=1, dtype=np.float64) * self._new[rows]
        self.is_new[rows] = True

    def like(self, document: int) -> NDArray[np.float64]:
        """Compute every document's cosine with one."""
        return _product(self._places, self._places[document : document + 1])[:, 0].astype(np.float64)

    def take(self, document: int) -> None:
        """Let a chosen document reach what it is near to."""
        self._reached = np.maximum(self._reached, self._near(np.array([document]))[0])
        self.is_new[:] = False

    def _near(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Compute how near documents are to the sample."""
        if self._kept is not None:
            return self._kept[rows]
        return np.maximum(_product(self._places[rows], self._sample), 0.0)


def _parts(number: int, width: int) -> list[NDArray[np.intp]]:
    """Cut rows of this width into parts that are not too large to be computed at once."""
    size = max(1, _CELLS // max(width, 1))
    return [np.arange(start, min(start + size, number)) for start in range(0, number, size)] or [np.arange(0)]


def unit_rows(rows: Any) -> Any:
    """Scale rows to length 1, dense or sparse; rows of zeros stay."""
    if sparse.issparse(rows):
        lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        return sparse.csr_matrix(sparse.diags(1 / np.maximum(lengths, 1e-12)) @ rows)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _product(left: Any, right: Any) -> NDArray[np.float32]:
    found = left @ right.T
    return np.asarray(found.toarray() if sparse.issparse(found) else found, dtype=np.float32)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.minimum(values / _height(values), 1.0)


def _height(values: NDArray[np.float64]) -> float:
    """Find what counts as 1."""
    if not len(values):
        return 1.0
    return max(float(np.quantile(values, _HIGH)), _HIGHEST * float(values.max())) or 1.0
