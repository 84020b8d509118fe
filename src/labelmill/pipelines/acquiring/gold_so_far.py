"""What is labelled already: which labels have how much gold, and how sure it is, of the documents of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from labelmill.errors import StoreError
from labelmill.eval.gold import resolve_gold
from labelmill.learning.acquisition import unit_rows
from labelmill.learning.annotators import majority_of
from labelmill.pipelines.gold import GoldCorpus
from labelmill.records import Document
from labelmill.store import Store
from labelmill.store.shortlist import Belief, read_annotators, read_met, read_pairs
from labelmill.store.votes import read_voters
from labelmill.taxonomy import Taxonomy

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class GoldSoFar:
    """Documents with gold.

    Attributes:
        documents: Those with a text, in order.
        labels: The positions of each document's labels, by its id.
        here: Ids of those that are in the run.
        said: Of each annotator what he gave to each document that he labelled: positions by the document's id. The gold
            is one, of the documents that none of the others labelled.
    """

    documents: tuple[Document, ...]
    labels: Mapping[str, frozenset[int]]
    here: list[str]
    said: Mapping[str, Mapping[str, frozenset[int]]]

    @classmethod
    def read(
        cls, store: Store, run: str, taxonomy: Taxonomy, gold: GoldCorpus | None, annotators: Sequence[str]
    ) -> GoldSoFar:
        """Read the gold, and what annotators said who are voters of the file.

        Raises:
            GoldError: No gold label can be resolved.
            StoreError: The file has no such voter.
        """
        told = [each for each in gold.documents if each.labels is not None] if gold else []
        resolved = resolve_gold(((each.id, each.labels) for each in told), taxonomy)
        starts = resolved.gold.indptr
        labels = {
            name: frozenset(int(label) for label in resolved.gold.labels[starts[row] : starts[row + 1]] if label >= 0)
            for row, name in enumerate(resolved.documents)
        }
        said = _annotators(store, taxonomy, annotators, run)
        several = {document for own in said.values() for document in own}
        for document in sorted(several - labels.keys()):  # an order that is the same in every process
            labels[document] = _majority([own[document] for own in said.values() if document in own])
        alone = {name: own for name, own in labels.items() if name not in several}
        here = read_met(store, run, list(labels))
        return cls(tuple(told), labels, here, {**said, "": alone} if alone else said)

    def times(self, labels: int) -> NDArray[np.float64]:
        """Count the documents that have each label, shape (labels,)."""
        flat = [label for own in self.labels.values() for label in own]
        return np.bincount(np.array(flat, np.int64), minlength=labels).astype(np.float64)

    def counts(self, taxonomy: Taxonomy) -> dict[str, int]:
        """Count the documents that have each label, by its id."""
        times = self.times(len(taxonomy))
        return {taxonomy[int(label)].id: int(times[label]) for label in np.flatnonzero(times)}

    def profile(self, labels: int, most: int) -> sparse.csr_matrix:
        """Lay out which labels `most` documents with gold have; rows of length 1, shape (documents, labels)."""
        rows = spread([own for own in self.labels.values() if own], most)
        place = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
        flat = np.array([label for own in rows for label in sorted(own)], np.int64)
        return unit_rows(sparse.csr_matrix((np.ones(len(flat)), (place, flat)), shape=(len(rows), labels)))

    def taught(
        self, store: Store, run: str, depth: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.bool_]]:
        """Read scores and ranks of the run's documents with gold, and whether gold has each label."""
        found = read_pairs(store, run, Belief("score"), self.here, depth)
        return found.probability, found.rank, self.has(found.row, found.label)

    def has(self, row: NDArray[np.int64], label: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Tell whether documents, by their places in `here`, have labels."""
        own = [self.labels[name] for name in self.here]
        pairs = zip(row.tolist(), label.tolist(), strict=True)
        return np.array([position in own[place] for place, position in pairs], dtype=np.bool_)


def spread(values: Sequence[_T], most: int) -> Sequence[_T]:
    """Keep so many of a list at most, evenly over its length."""
    return values[:: -(-len(values) // most)] if len(values) > most else values


def _annotators(
    store: Store, taxonomy: Taxonomy, names: Sequence[str], run: str
) -> dict[str, dict[str, frozenset[int]]]:
    if not names:
        return {}
    there = [voter.voter for voter in read_voters(store)]
    if unknown := [name for name in names if name not in there]:
        raise StoreError(f"{store.path} has no voter {unknown[0]!r}. It has: {', '.join(there) or 'none'}.")
    places = {label.id: place for place, label in enumerate(taxonomy)}
    found: dict[str, dict[str, frozenset[int]]] = {name: {} for name in names}
    for voter, document, labels in read_annotators(store, names, run):
        found[voter][document] = frozenset(places[label] for label in labels if label in places)
    return found


def _majority(given: Sequence[frozenset[int]]) -> frozenset[int]:
    """Keep the labels that more than half of the annotators gave, as `labelmill import` does."""
    times = Counter(label for own in given for label in own)
    return frozenset(label for label, count in times.items() if count >= majority_of(len(given)))
