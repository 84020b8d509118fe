"""Labels of a run, and gold, as they look from higher up: rolled up to a depth, or with all that stands above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError
from labelmill.eval.gold import ResolvedGold
from labelmill.eval.rankings import PADDING, Gold
from labelmill.store import RankedLabels
from labelmill.taxonomy import Taxonomy


@dataclass(frozen=True)
class Rollup:
    """How labels are to be seen.

    Attributes:
        depth: In place of a deeper label all those above it at this depth; 1 is the top. None leaves them as they are.
        ancestors: Whether all that stands above a label is added to it.
        taxonomy: The whole hierarchy, where the run had a part of it; None for the run's own labels.
    """

    depth: int | None = None
    ancestors: bool = False
    taxonomy: Taxonomy | None = None

    def __bool__(self) -> bool:
        """Whether anything changes."""
        return bool(self.depth or self.ancestors)

    def over(self, labels: Taxonomy) -> Upwards:
        """Apply it to a run's labels.

        Raises:
            InputError: There is no hierarchy over them.
        """
        whole = self.taxonomy or labels
        known = {label.id for label in whole}
        joined = Taxonomy((*whole.labels, *(label for label in labels if label.id not in known)), whole.source)
        places = [joined.position(label.id) for label in labels]
        if not any(joined.lineage.parents[place] for place in places):
            raise InputError(
                f"none of the run's {len(labels):,} labels has a parent in the hierarchy",
                path=whole.source or None,
                remedy="Give a taxonomy that has their parents."
                if self.taxonomy
                else "Give it whole, with --taxonomy.",
            )
        if self.taxonomy is None and (cut := sum(any(p not in known for p in label.parents) for label in labels)):
            raise InputError(
                f"{cut:,} of the run's {len(labels):,} labels have parents that the run left out, so that it does not "
                "know what stands above them",
                remedy="Give the whole taxonomy, with --taxonomy.",
            )
        return Upwards(joined, np.array(places, dtype=np.int32), self.depth, self.ancestors)


@dataclass(frozen=True, eq=False)
class Upwards:
    """The labels that stand for each label of a run.

    Attributes:
        taxonomy: The whole hierarchy, and whatever labels of the run it lacks.
        places: Of each label of the run its position there, int32.
        depth: As of `Rollup`.
        ancestors: As of `Rollup`.
    """

    taxonomy: Taxonomy
    places: NDArray[np.int32]
    depth: int | None
    ancestors: bool

    def of(self, position: int) -> tuple[int, ...]:
        """List what stands for a label of the whole taxonomy: the label that it is rolled up to, then what is above."""
        lineage = self.taxonomy.lineage
        rolled = (position,) if self.depth is None else lineage.at_depth(position, self.depth)
        if not self.ancestors:
            return rolled
        return tuple(dict.fromkeys([*rolled, *(above for each in rolled for above in lineage.ancestors(each))]))

    @cached_property
    def rows(self) -> list[tuple[str, str, str, int]]:
        """List every label of the run with what stands for it: ids of both, the latter's name, and its place."""
        labels = self.taxonomy.labels
        return [
            (labels[place].id, labels[above].id, labels[above].name, order)
            for place in self.places.tolist()
            for order, above in enumerate(self.of(place))
        ]

    def ranked(self, ranked: RankedLabels) -> RankedLabels:
        """See predictions so: a label takes the best rank and score of those it stands for, and their selection."""
        own, codes = np.unique(self.places[ranked.labels], return_inverse=True)
        standing = [self.of(place) for place in own.tolist()]
        sizes = np.array([len(each) for each in standing], dtype=np.int64)
        flat = np.array([above for each in standing for above in each], dtype=np.int64)
        source = np.repeat(np.arange(len(codes)), sizes[codes])
        order = np.arange(len(source)) - np.repeat(np.cumsum(sizes[codes]) - sizes[codes], sizes[codes])
        labels = flat[np.repeat((np.cumsum(sizes) - sizes)[codes], sizes[codes]) + order]
        by_rank = np.lexsort((order, ranked.ranks[source], ranked.rows[source]))
        source, labels = source[by_rank], labels[by_rank]
        keys, first, which = np.unique(
            ranked.rows[source] * len(self.taxonomy) + labels, return_index=True, return_inverse=True
        )
        selected = np.zeros(len(keys), dtype=np.bool_)
        np.logical_or.at(selected, which, ranked.selected[source])
        kept = np.argsort(first, kind="stable")  # by document and rank again
        rows = ranked.rows[source[first[kept]]]
        starts = np.searchsorted(rows, rows)  # of each document's first
        return replace(
            ranked,
            rows=rows,
            labels=labels[first[kept]].astype(np.int32),
            ranks=(np.arange(len(rows)) - starts + 1).astype(np.int32),
            selected=selected[kept],
            scores=ranked.scores[source[first[kept]]],
        )

    def gold(self, resolved: ResolvedGold) -> ResolvedGold:
        """See gold labels, resolved in the whole taxonomy, in the same way; what is in no taxonomy stays as it is."""
        labels, ends = resolved.gold.labels.tolist(), resolved.gold.indptr.tolist()
        rows: list[Sequence[int]] = [
            list(dict.fromkeys(above for label in labels[start:end] for above in self._gold_of(label)))
            for start, end in pairwise(ends)
        ]
        return replace(resolved, gold=Gold.from_lists(rows))

    def _gold_of(self, label: int) -> tuple[int, ...]:
        return self.of(label) if label > PADDING else (label,)
