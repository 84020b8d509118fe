"""Which documents with gold to label again: those of which least is known by the run and all who labelled them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.annotators import Annotations, weigh_annotations
from labelmill.pipelines.acquiring.gold_so_far import GoldSoFar
from labelmill.store import Store
from labelmill.store.shortlist import Belief, BelievedPairs, read_pairs


@dataclass(frozen=True, slots=True, eq=False)
class LookAgain:
    """Documents with gold, with what is thought of their labels now.

    Attributes:
        documents: Their ids, in the order of doubt, the worst first.
        doubt: How many labels the gold has wrong or lacks, as is to be expected; shape (n,).
        pairs: Labels of these documents, with their probability by the run and all annotators; rank is 0 of those that
            the run does not rank.
    """

    documents: list[str]
    doubt: NDArray[np.float64]
    pairs: BelievedPairs

    @classmethod
    def none(cls) -> LookAgain:
        """Look at nothing again."""
        return cls([], np.empty(0), BelievedPairs.none())


def look_again(
    store: Store, run: str, so_far: GoldSoFar, belief: Belief, depth: int, labels: int, most: int
) -> LookAgain:
    """Weigh what the run and all annotators say of each document with gold; keep those with most doubt.

    Args:
        store: Where the run is.
        run: Its name.
        so_far: The gold.
        belief: What the run's scores mean.
        depth: How far down its rankings.
        labels: How many there are in the taxonomy.
        most: Documents that are kept.
    """
    pairs = _with_unranked(read_pairs(store, run, belief, so_far.here, depth), so_far, labels)
    said = np.stack([_says(so_far, name, pairs) for name in so_far.said], axis=1)
    believed = weigh_annotations(Annotations(pairs.row, pairs.probability, said, labels))
    wrong = np.where(so_far.has(pairs.row, pairs.label), 1 - believed, believed)
    doubt = np.asarray(np.bincount(pairs.row, wrong, len(so_far.here)), np.float64)
    order = np.lexsort((np.arange(len(doubt)), -np.round(doubt, 9)))[:most]
    place = np.full(len(doubt), -1)
    place[order] = np.arange(len(order))
    kept = np.flatnonzero(place[pairs.row] >= 0)
    kept = kept[np.lexsort((-believed[kept], place[pairs.row[kept]]))]
    found = BelievedPairs(
        place[pairs.row[kept]], pairs.label[kept], believed[kept], pairs.selected[kept], pairs.rank[kept]
    )
    return LookAgain([so_far.here[each] for each in order], doubt[order], found)


def _with_unranked(ranked: BelievedPairs, so_far: GoldSoFar, labels: int) -> BelievedPairs:
    """Add labels that somebody gave and the run does not rank, as probable as such a label is.

    That is by the gold: how many of its labels the run does not rank, over all labels that it does not rank.
    """
    given = [
        frozenset().union(so_far.labels[name], *(own.get(name, frozenset()) for own in so_far.said.values()))
        for name in so_far.here
    ]
    rows = np.repeat(np.arange(len(given), dtype=np.int64), [len(own) for own in given])
    flat = np.array([label for own in given for label in sorted(own)], np.int32)
    missing = ~np.isin(rows * labels + flat, ranked.row * labels + ranked.label)
    rows, flat = rows[missing], flat[missing]
    unranked = max(len(given) * labels - len(ranked.row), 1)
    rare = (np.count_nonzero(so_far.has(rows, flat)) + 0.5) / (unranked + 1)
    nothing = np.zeros(len(rows))
    return BelievedPairs(
        np.concatenate([ranked.row, rows]),
        np.concatenate([ranked.label, flat]),
        np.concatenate([ranked.probability, np.full(len(rows), rare)]),
        np.concatenate([ranked.selected, nothing.astype(np.bool_)]),
        np.concatenate([ranked.rank, nothing.astype(np.int32)]),
    )


def _says(so_far: GoldSoFar, name: str, pairs: BelievedPairs) -> NDArray[np.int8]:
    """Lay out what an annotator says of each pair, as `Annotations` has it."""
    given = [so_far.said[name].get(document) for document in so_far.here]
    rows = zip(pairs.row.tolist(), pairs.label.tolist(), strict=True)
    own = ((given[row], label) for row, label in rows)
    return np.array([-1 if labels is None else label in labels for labels, label in own], dtype=np.int8)
