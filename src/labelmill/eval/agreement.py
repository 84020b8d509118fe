"""How far two partitions of the same documents agree, and how alike labels are; arrays in, numbers out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far found groups agree with gold ones.

    Attributes:
        documents: That have both.
        found: Groups found among them.
        gold: Gold groups among them.
        ari: Adjusted Rand index (Hubert and Arabie 1985): 0 by chance, 1 where the partitions are the same.
        nmi: Normalised mutual information, by the arithmetic mean of the entropies. It grows with the number of groups.
        purity: Share of documents that belong to the gold group that is most frequent in their found group. It is 1
            where each document is a group of its own.
        accuracy: Share of documents that are right under the best one-to-one matching of found and gold groups
            (Hungarian method, Kuhn 1955).
    """

    documents: int
    found: int
    gold: int
    ari: float
    nmi: float
    purity: float
    accuracy: float


def agreement(found: NDArray[np.int64], gold: NDArray[np.int64]) -> Agreement:
    """Compare two partitions.

    Args:
        found: A group for each document, any whole number, shape (n,), n from 1.
        gold: The same.
    """
    from scipy.optimize import linear_sum_assignment

    table = _contingency(found, gold)
    rows, columns = linear_sum_assignment(-table)
    total = int(table.sum())
    return Agreement(
        documents=total,
        found=table.shape[0],
        gold=table.shape[1],
        ari=_adjusted_rand(table),
        nmi=_normalised_information(table),
        purity=float(table.max(axis=1).sum() / total),
        accuracy=float(table[rows, columns].sum() / total),
    )


def near_duplicates(vectors: NDArray[np.float32], alike: float) -> list[tuple[int, int, float]]:
    """List pairs of rows whose cosine is at least `alike`, the most alike first.

    Args:
        vectors: Rows of length 1, shape (n, d).
        alike: From -1 to 1.

    Returns:
        The two rows, the smaller number first, and their cosine.
    """
    likeness = vectors @ vectors.T
    first, second = np.nonzero(np.triu(likeness >= alike, k=1))
    pairs = [(int(a), int(b), float(likeness[a, b])) for a, b in zip(first, second, strict=True)]
    return sorted(pairs, key=lambda pair: (-round(pair[2], 5), pair[0], pair[1]))


def _contingency(found: NDArray[np.int64], gold: NDArray[np.int64]) -> NDArray[np.int64]:
    rows, a = np.unique(found, return_inverse=True)
    columns, b = np.unique(gold, return_inverse=True)
    table = np.zeros((len(rows), len(columns)), np.int64)
    np.add.at(table, (a, b), 1)
    return table


def _adjusted_rand(table: NDArray[np.int64]) -> float:
    total = float(table.sum())
    together = _pairs(table)
    a, b = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    all_pairs = total * (total - 1) / 2
    expected = a * b / all_pairs if all_pairs else 0.0
    largest = (a + b) / 2
    return 1.0 if largest == expected else float((together - expected) / (largest - expected))


def _pairs(counts: NDArray[np.int64]) -> float:
    return float((counts.astype(np.float64) * (counts - 1)).sum() / 2)


def _normalised_information(table: NDArray[np.int64]) -> float:
    if table.shape == (1, 1):
        return 1.0
    joint = table / table.sum()
    a, b = joint.sum(axis=1), joint.sum(axis=0)
    there = joint > 0
    shared = float((joint[there] * np.log(joint[there] / np.outer(a, b)[there])).sum())
    mean = (_entropy(a) + _entropy(b)) / 2
    return max(0.0, shared / mean) if mean > 0 else 0.0


def _entropy(shares: NDArray[np.float64]) -> float:
    return float(-(shares * np.log(shares)).sum())
