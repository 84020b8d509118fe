"""What is measured: the ranking of each document, and the final sets pooled over documents and over labels.

Every number here is a `Statistic`: a function of how often each document counts. Once each gives the metric itself; the
counts of a resample give that resample's metric (see `labelmill.eval.intervals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.rankings import PADDING, Gold, Rankings


class Statistic(Protocol):
    """Some metrics as functions of how often each document counts."""

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics' names, in the order of the columns."""
        ...

    @property
    def width(self) -> int:
        """How many numbers it holds per row of weights, for bounding memory."""
        ...

    @property
    def ceiling(self) -> float:
        """The largest value that its metrics can have: 1 for fractions."""
        ...

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the metrics, shape (b, len(names)), for weights of shape (b, D).

        NaN stands where a resample has nothing to say, for example no document with a rare label.
        """
        ...


def find_hits(rankings: Rankings, gold: Gold) -> NDArray[np.bool_]:
    """Say which ranked labels are gold labels of their document, shape (D, K)."""
    if not len(gold.labels):
        return np.zeros(rankings.labels.shape, dtype=np.bool_)
    # One integer per (document, label), ascending in `gold` because rows and labels are.
    low = int(min(gold.labels.min(), PADDING))
    span = int(max(gold.labels.max(), rankings.labels.max(initial=PADDING))) - low + 1
    wanted = gold.rows * span + (gold.labels - low)
    given = np.arange(len(rankings))[:, None] * span + (rankings.labels.astype(np.int64) - low)
    place = np.minimum(np.searchsorted(wanted, given), len(wanted) - 1)
    return np.asarray(wanted[place] == given)


def score_rankings(
    hits: NDArray[np.bool_], sizes: NDArray[np.int64], ks: Sequence[int]
) -> dict[str, NDArray[np.float64]]:
    """Score each document's ranking at each k; a ranking shorter than k is as if padded with wrong labels.

    With h hits in the top k and g gold labels: ``p@k`` is h / k, ``r@k`` is h / g, and ``rp@k`` is h / min(k, g), the
    rank-precision of IReRa (arXiv 2401.12178). ``ndcg@k`` has gain 1 for a gold label, the discount 1 / log2(1 + rank)
    as scikit-learn's ``ndcg_score``, and the sum for min(k, g) hits at the top as its ideal.

    Args:
        hits: Whether each ranked label is gold, shape (D, K).
        sizes: How many gold labels each document has, at least 1, shape (D,).
        ks: The depths.

    Returns:
        For each metric at each k the documents' values from 0 to 1, shape (D,), named ``rp@5`` and so on.
    """
    discounts = 1.0 / np.log2(np.arange(2, max(*ks, hits.shape[1], 1) + 2))
    ideals = np.concatenate([[0.0], np.cumsum(discounts)])
    scores: dict[str, dict[int, NDArray[np.float64]]] = {"p": {}, "r": {}, "rp": {}, "ndcg": {}}
    for k in ks:
        top = hits[:, :k]
        found = top.sum(axis=1, dtype=np.float64)
        reachable = np.minimum(k, sizes)
        scores["p"][k] = found / k
        scores["r"][k] = found / sizes
        scores["rp"][k] = found / reachable
        # Rounding could carry a perfect ranking's sum past its ideal by one part in 10^16.
        scores["ndcg"][k] = np.minimum(1.0, top @ discounts[: top.shape[1]] / ideals[reachable])
    return {f"{name}@{k}": values for name, at in scores.items() for k, values in at.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """Means over documents.

    Attributes:
        names: One name per column.
        values: What each document scores, shape (D, len(names)).
    """

    ceiling: ClassVar[float] = 1.0

    names: tuple[str, ...]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, scores: dict[str, NDArray[np.float64]]) -> Self:
        """Stack named values of shape (D,)."""
        return cls(tuple(scores), np.stack(list(scores.values()), axis=1))

    @property
    def width(self) -> int:
        """One number per metric."""
        return len(self.names)

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average over documents."""
        return np.asarray(weights @ self.values / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, eq=False)
class MicroScores:
    """Precision, recall and F1 of the final sets, pooled over all pairs of document and label.

    Attributes:
        counts: Per document: gold labels in its final set, labels in its final set, gold labels; shape (D, 3).
    """

    names: ClassVar[tuple[str, ...]] = ("micro_f1", "micro_precision", "micro_recall")
    width: ClassVar[int] = 3
    ceiling: ClassVar[float] = 1.0

    counts: NDArray[np.float64]

    @classmethod
    def of(cls, rankings: Rankings, hits: NDArray[np.bool_], gold: Gold) -> Self:
        """Count each document's final set against its gold labels."""
        right = (rankings.selected & hits).sum(axis=1)
        return cls(np.stack([right, rankings.selected.sum(axis=1), gold.sizes], axis=1).astype(np.float64))

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pool the counts over documents."""
        right, chosen, wanted = (weights @ self.counts).T
        return np.stack(_scores(right, chosen, wanted), axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class MacroScores:
    """Precision, recall and F1 of the final sets, computed per label, then averaged with equal weight.

    The average runs over the labels that occur in gold or in a final set, as scikit-learn's
    ``f1_score(average="macro", labels=those, zero_division=0)``: a label that no document has and none was given is no
    success and no failure. A resample averages over the labels that occur in it; counting the absent ones as zero
    would pull every resample below the metric, because a resample misses about a third of the rare labels.

    Attributes:
        right: Sparse counts of gold labels in the final sets, shape (L, D) for the L labels that occur.
        chosen: Sparse counts of labels in the final sets, shape (L, D).
        wanted: Sparse counts of gold labels, shape (L, D).
    """

    names: ClassVar[tuple[str, ...]] = ("macro_f1", "macro_precision", "macro_recall")
    ceiling: ClassVar[float] = 1.0

    right: Any
    chosen: Any
    wanted: Any

    @classmethod
    def of(cls, rankings: Rankings, hits: NDArray[np.bool_], gold: Gold) -> Self:
        """Count each label's final sets against gold, as sparse matrices over documents."""
        from scipy.sparse import csr_matrix

        rows, columns = np.nonzero(rankings.selected)
        chosen = rankings.labels[rows, columns]
        right = hits[rows, columns]
        labels, codes = np.unique(np.concatenate([chosen, gold.labels]), return_inverse=True)
        chosen_codes, gold_codes = np.split(codes, [len(chosen)])
        shape = len(labels), len(gold)

        def count(label: NDArray[np.intp], document: NDArray[np.int64]) -> Any:
            return csr_matrix((np.ones(len(label)), (label, document)), shape=shape)

        return cls(
            right=count(chosen_codes[right], rows[right]),
            chosen=count(chosen_codes, rows),
            wanted=count(gold_codes, gold.rows),
        )

    @property
    def width(self) -> int:
        """Three counts and three scores per label, all alive at once."""
        return 6 * int(self.right.shape[0])

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score each label that occurs, then average over them."""
        columns = np.ascontiguousarray(weights.T)
        right, chosen, wanted = self.right @ columns, self.chosen @ columns, self.wanted @ columns
        occurring = np.count_nonzero(chosen + wanted, axis=0)
        totals = np.stack([scores.sum(axis=0) for scores in _scores(right, chosen, wanted)], axis=1)
        return np.asarray(totals / np.maximum(occurring, 1)[:, None])


def _scores(
    right: NDArray[np.float64], chosen: NDArray[np.float64], wanted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute F1, precision and recall from counts of any one shape; 0 where nothing is divided by nothing."""
    # The counts are whole numbers, so a divisor below 1 is 0, and then so is what it divides.
    f1 = 2 * right / np.maximum(chosen + wanted, 1)
    return f1, right / np.maximum(chosen, 1), right / np.maximum(wanted, 1)
