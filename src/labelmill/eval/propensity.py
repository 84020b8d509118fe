"""Rare labels weighed up, and frequent and rare labels apart: both by how often labels are gold somewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.rankings import Gold, Rankings
from labelmill.eval.ratios import Shares

A, B = 0.55, 1.5
"""The parameters that Jain, Prabhu and Varma (KDD 2016, section 4.2) give where none were fitted to a data set."""


@dataclass(frozen=True, slots=True, eq=False)
class Frequencies:
    """How often labels are gold in a corpus.

    Attributes:
        labels: Positions in the taxonomy, or numbers below -1 for labels outside it, ascending and distinct, int32.
        counts: In how many documents each is gold, int64, same shape.
        documents: How many documents with gold labels the corpus has.
    """

    labels: NDArray[np.int32]
    counts: NDArray[np.int64]
    documents: int

    @classmethod
    def of(cls, gold: Gold) -> Frequencies:
        """Count the labels of a corpus."""
        labels, counts = np.unique(gold.labels, return_counts=True)
        return cls(labels, counts.astype(np.int64), int(np.count_nonzero(gold.sizes)))

    def look_up(self, labels: NDArray[np.int32]) -> NDArray[np.int64]:
        """Give the count of each label, in any shape; 0 for one that the corpus does not have."""
        if not len(self.labels):
            return np.zeros(labels.shape, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.labels, labels), len(self.labels) - 1)
        return np.where(self.labels[places] == labels, self.counts[places], 0)

    def weights(self, labels: NDArray[np.int32]) -> NDArray[np.float64]:
        """Compute each label's inverse propensity, 1 + C (n + B)^-A with C = (ln N - 1) (B + 1)^A.

        Jain, Prabhu and Varma 2016, equation 3, for a label that n of N documents have. Below e documents C would be
        negative and is taken as 0: all labels then weigh the same.
        """
        scale = max(0.0, np.log(max(self.documents, 1)) - 1.0) * (B + 1) ** A
        return np.asarray(1.0 + scale * (self.look_up(labels) + B) ** -A)

    def is_head(self, labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Say which labels are of the head: the most frequent ones that carry half of the corpus's gold labels.

        Halves of equal mass are what extreme classification compares (five of them in DECAF, Mittal et al. 2021).
        Labels that are equally frequent are on the same side; the cut is where the head's share is closest to a half,
        and of two equally close the one with the smaller head.
        """
        by_count, mass = np.unique(self.counts, return_inverse=True)
        carried = np.cumsum((np.bincount(mass, minlength=len(by_count)) * by_count)[::-1])
        shares = np.concatenate([[0], carried]) / max(1, carried[-1] if len(carried) else 1)
        classes = int(np.argmin(np.abs(shares - 0.5)))
        least = by_count[::-1][classes - 1] if classes else np.iinfo(np.int64).max
        return np.asarray(self.look_up(labels) >= least)


def score_propensities(
    rankings: Rankings, hits: NDArray[np.bool_], gold: Gold, frequencies: Frequencies, ks: Sequence[int]
) -> Shares:
    """Score rankings with each hit weighed by its label's inverse propensity.

    ``psp@k`` sums the weights of the hits among the first k, ``psndcg@k`` discounts them by log2(1 + rank) and divides
    by the sum of min(k, g) discounts. What is reachable is the same for the gold labels themselves, the heaviest
    first. Both are summed over documents before they are divided, as the Extreme Classification Repository does
    (``psprecision`` and ``psndcg`` of pyxclib), so that figures compare with published ones.

    Args:
        rankings: Shape (D, K).
        hits: Whether each ranked label is gold, shape (D, K).
        gold: Gold labels, at least one a document.
        frequencies: Where the propensities come from.
        ks: The depths.
    """
    reached = np.where(hits, frequencies.weights(rankings.labels), 0.0)
    best = _heaviest_first(gold, frequencies.weights(gold.labels), max(ks))
    width = max(reached.shape[1], best.shape[1])
    discounts = 1.0 / np.log2(np.arange(2, width + 2))
    scores: dict[str, Shares] = {"psp": {}, "psndcg": {}}
    for k in ks:
        ideals = np.cumsum(discounts)[np.minimum(np.minimum(k, gold.sizes), width) - 1]
        top, ideal = reached[:, :k], best[:, :k]
        scores["psp"][f"psp@{k}"] = top.sum(axis=1) / k, ideal.sum(axis=1) / k
        scores["psndcg"][f"psndcg@{k}"] = (
            top @ discounts[: top.shape[1]] / ideals,
            ideal @ discounts[: ideal.shape[1]] / ideals,
        )
    return scores["psp"] | scores["psndcg"]


def score_head_and_tail(
    rankings: Rankings, hits: NDArray[np.bool_], gold: Gold, frequencies: Frequencies, ks: Sequence[int]
) -> Shares:
    """Score recall and rank-precision over the frequent and over the rare gold labels alone.

    ``r@k_head`` and ``rp@k_head`` are `r@k` and `rp@k` with a document's gold labels of the head in place of all of
    them, averaged over the documents that have any; ``_tail`` likewise. The places of the ranking are those of all
    labels together.
    """
    in_head = frequencies.is_head(gold.labels)
    head_hits = hits & frequencies.is_head(rankings.labels)
    scores: Shares = {}
    for side, found, wanted in (("head", head_hits, in_head), ("tail", hits & ~head_hits, ~in_head)):
        sizes = np.bincount(gold.rows[wanted], minlength=len(gold))
        counted = (sizes > 0).astype(np.float64)
        for name in ("r", "rp"):
            for k in ks:
                places = np.maximum(sizes if name == "r" else np.minimum(sizes, k), 1)
                scores[f"{name}@{k}_{side}"] = found[:, :k].sum(axis=1) / places, counted
    return scores


def _heaviest_first(gold: Gold, weights: NDArray[np.float64], depth: int) -> NDArray[np.float64]:
    """Lay each document's heaviest gold weights out in a row, shape (D, at most `depth`), padded with 0."""
    order = np.lexsort((-weights, gold.rows))
    columns = np.arange(len(weights)) - np.repeat(gold.indptr[:-1], gold.sizes)
    width = min(depth, int(gold.sizes.max(initial=1)))
    kept = columns < width
    best = np.zeros((len(gold), width))
    best[gold.rows[kept], columns[kept]] = weights[order][kept]
    return best
