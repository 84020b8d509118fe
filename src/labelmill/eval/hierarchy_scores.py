"""Final sets in a hierarchy: overlap of what stands above the labels, and credit for labels near to the right ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.hierarchy import Ancestry, Hierarchy
from labelmill.eval.rankings import Gold, Rankings

_BLOCK = 5_000
"""Documents that are expanded to their labels' ancestors at once, which bounds memory."""


@dataclass(frozen=True, slots=True, eq=False)
class HierarchyScores:
    """Precision, recall and F1 that know the hierarchy, pooled over documents.

    ``hp``, ``hr`` and ``hf1``: of the sets with all ancestors added, the root left out (Kiritchenko, Matwin, Nock and
    Famili 2006). ``near_precision`` credits each label of the final set with 1 / (1 + d), d being the number of steps
    to the nearest gold label by way of a common ancestor, 0 where there is none: the path similarity of WordNet
    (Pedersen, Patwardhan and Michelizzi 2004). ``near_recall`` credits each gold label likewise by the nearest label of
    the final set; ``near_f1`` is their harmonic mean.

    Attributes:
        counts: Per document, shape (D, 7): labels in both augmented sets, in the augmented final set, in the augmented
            gold; credit of the final set, its size; credit of the gold labels, their number.
    """

    names: ClassVar[tuple[str, ...]] = ("hf1", "hp", "hr", "near_f1", "near_precision", "near_recall")
    width: ClassVar[int] = 7
    ceiling: ClassVar[float] = 1.0

    counts: NDArray[np.float64]

    @classmethod
    def of(cls, rankings: Rankings, gold: Gold, hierarchy: Hierarchy) -> HierarchyScores:
        """Count each document's final set against its gold labels."""
        rows, columns = np.nonzero(rankings.selected)
        chosen = rankings.labels[rows, columns]
        labels, codes = np.unique(np.concatenate([chosen, gold.labels]), return_inverse=True)
        ancestry = hierarchy.ancestry(labels)
        given = _Pairs(rows.astype(np.int64), codes[: len(rows)])
        wanted = _Pairs(gold.rows, codes[len(rows) :])
        counts = [
            _count(given.between(start, stop), wanted.between(start, stop), stop - start, ancestry, hierarchy.root)
            for start, stop in _blocks(len(gold))
        ]
        return cls(np.concatenate(counts))

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pool the counts over documents."""
        both, chosen, wanted, credit_given, given, credit_wanted, gold = (weights @ self.counts).T
        hp, hr = both / np.maximum(chosen, 1), both / np.maximum(wanted, 1)
        np_, nr = credit_given / np.maximum(given, 1), credit_wanted / np.maximum(gold, 1)
        return np.stack([_harmonic(hp, hr), hp, hr, _harmonic(np_, nr), np_, nr], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Pairs of a document and a label's code, ascending by document."""

    rows: NDArray[np.int64]
    codes: NDArray[np.intp]

    def between(self, start: int, stop: int) -> _Pairs:
        """Keep a range of documents, numbered from 0."""
        low, high = np.searchsorted(self.rows, [start, stop])
        return _Pairs(self.rows[low:high] - start, self.codes[low:high])


@dataclass(frozen=True, slots=True, eq=False)
class _Reach:
    """All that stands above the labels of documents: for each pair of a document and an ancestor the fewest steps.

    Attributes:
        pair: Of every entry, the index of the pair of document and label that it comes from.
        keys: Document and ancestor of every entry as one number.
        steps: From label to ancestor, of every entry.
        nearest: The distinct keys, ascending.
        fewest: The fewest steps of each.
    """

    pair: NDArray[np.int64]
    keys: NDArray[np.int64]
    steps: NDArray[np.int64]
    nearest: NDArray[np.int64]
    fewest: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: _Pairs, ancestry: Ancestry, low: int, span: int) -> _Reach:
        """Expand labels to their ancestors."""
        first = ancestry.indptr[pairs.codes]
        sizes = ancestry.indptr[pairs.codes + 1] - first
        pair = np.repeat(np.arange(len(sizes)), sizes)
        entries = np.repeat(first - np.cumsum(sizes) + sizes, sizes) + np.arange(len(pair))
        keys = pairs.rows[pair] * span + (ancestry.above[entries] - low)
        steps = ancestry.steps[entries]
        order = np.lexsort((steps, keys))
        is_first = np.ones(len(order), dtype=np.bool_)
        is_first[1:] = keys[order][1:] != keys[order][:-1]
        return cls(pair, keys, steps, keys[order][is_first], steps[order][is_first])

    def credit(self, other: _Reach, pairs: int) -> NDArray[np.float64]:
        """Credit each pair with 1 / (1 + steps to the other's nearest label in the same document), shape (pairs,)."""
        credit = np.zeros(pairs)
        if len(other.nearest) and len(self.keys):
            places = np.minimum(np.searchsorted(other.nearest, self.keys), len(other.nearest) - 1)
            met = other.nearest[places] == self.keys
            near = 1.0 / (1.0 + self.steps[met] + other.fewest[places[met]])
            np.maximum.at(credit, self.pair[met], near)
        return credit


def _count(given: _Pairs, wanted: _Pairs, documents: int, ancestry: Ancestry, root: int | None) -> NDArray[np.float64]:
    """Fill `HierarchyScores.counts` for a block of documents."""
    low = int(ancestry.above.min(initial=0))
    span = int(ancestry.above.max(initial=0)) - low + 1
    reach, target = (_Reach.of(pairs, ancestry, low, span) for pairs in (given, wanted))
    chosen, gold = (_without_root(side, root, low, span) for side in (reach, target))
    both = np.intersect1d(chosen, gold, assume_unique=True)
    columns = [np.bincount(keys // span, minlength=documents) for keys in (both, chosen, gold)]
    for pairs, here, there in ((given, reach, target), (wanted, target, reach)):
        credit = here.credit(there, len(pairs.rows))
        columns.append(np.bincount(pairs.rows, weights=credit, minlength=documents))
        columns.append(np.bincount(pairs.rows, minlength=documents))
    return np.stack(columns, axis=1).astype(np.float64)


def _without_root(reach: _Reach, root: int | None, low: int, span: int) -> NDArray[np.int64]:
    """List the augmented sets; the root, above everything, stays only where it is a label of the set itself."""
    if root is None:
        return reach.nearest
    return np.asarray(reach.nearest[(reach.nearest % span != root - low) | (reach.fewest == 0)])


def _blocks(documents: int) -> Iterator[tuple[int, int]]:
    for start in range(0, documents, _BLOCK):
        yield start, min(start + _BLOCK, documents)


def _harmonic(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    total = precision + recall
    return np.asarray(2 * precision * recall / np.where(total > 0, total, 1.0))
