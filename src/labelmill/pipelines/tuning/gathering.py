"""What is known of gold documents' candidates, gathered once: everything that is learned is learned from this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from labelmill.corpus import chunk
from labelmill.corpus.fields import is_blank
from labelmill.errors import GoldError
from labelmill.eval.gold import ResolvedGold, resolve_gold
from labelmill.learning.folds import draw_parts
from labelmill.learning.fusing import Examples
from labelmill.pipelines.program import Program
from labelmill.pipelines.spec import ProgramSpec
from labelmill.records import Candidate, Document
from labelmill.taxonomy import Taxonomy

_BATCH = 16

OnGathered = Callable[[int, int], None]
"""Told how many documents are done, and of how many."""


@dataclass(frozen=True, slots=True, eq=False)
class GoldSet:
    """Gold documents that something can be learned from.

    Attributes:
        documents: Those whose gold was given, by id; also where it names no label of the taxonomy, or none at all:
            documents to come may be such ones, and whatever they are given is wrong.
        pieces: Each document's chunks.
        labels: Positions of each document's gold labels; of some documents none.
        sizes: How many gold labels each document has, those that the taxonomy lacks included, shape (D,).
        resolved: What became of all gold labels.
        parts: The part of each document, shape (D,): those of one part tell nothing of each other, and are left out
            together wherever something is learned. Documents that begin with the same chunk share one.
    """

    documents: tuple[Document, ...]
    pieces: tuple[tuple[str, ...], ...]
    labels: tuple[frozenset[int], ...]
    sizes: NDArray[np.int64]
    resolved: ResolvedGold
    parts: NDArray[np.int64]

    @classmethod
    def of(cls, spec: ProgramSpec, taxonomy: Taxonomy, documents: Sequence[Document], *, seed: int = 0) -> GoldSet:
        """Resolve the labels, cut the texts and draw the parts; documents that nobody gave gold are left out.

        Raises:
            GoldError: Not one label resolves, an id is used twice, or a document has no text.
        """
        ordered = sorted(documents, key=lambda document: document.id)
        if len({document.id for document in ordered}) < len(ordered):
            raise GoldError("two gold documents have the same id", remedy="Give every document an id of its own.")
        if blank := [document.id for document in ordered if is_blank(document.text)]:
            raise GoldError(f"the gold document {blank[0]!r} has no text", remedy="Leave it out.")
        chosen = [document for document in ordered if document.labels is not None]
        resolved = resolve_gold(((document.id, document.labels) for document in chosen), taxonomy)
        if not len(resolved.gold.labels):  # where there are some and none resolves, that is an error already
            raise GoldError(
                f"none of the {len(ordered)} gold documents has a label of the taxonomy",
                remedy="Give documents with gold labels, ids or unique names, in the field of --labels-field.",
            )
        labels = [resolved.gold.labels[start:end] for start, end in pairwise(resolved.gold.indptr.tolist())]
        pieces = tuple(tuple(chunk(each.text, spec.chunk_characters, spec.chunk_overlap)) for each in chosen)
        return cls(
            tuple(chosen),
            pieces,
            tuple(frozenset(int(label) for label in found if label >= 0) for found in labels),
            resolved.gold.sizes,
            resolved,
            draw_parts(_numbered([each[0] for each in pieces]), seed=seed),
        )

    def __len__(self) -> int:
        return len(self.documents)


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The candidates of gold documents, one after the other, and what is known of them.

    Attributes:
        gold: The documents.
        pools: Each document's candidates, in the order of fusion by rank.
        examples: The evidence, all documents' candidates together.
        seconds: What each lane and scorer took for all documents; the first lane of a query embeds it for the others.
    """

    gold: GoldSet
    pools: tuple[list[Candidate], ...]
    examples: Examples
    seconds: dict[str, float]


def gather(
    program: Program,
    gold: GoldSet,
    phrases: Sequence[Sequence[str]],
    on_gathered: OnGathered = lambda *_: None,
) -> Gathered:
    """Retrieve for every gold document, and note what lanes and scorers say.

    Args:
        program: Assembled for learning.
        gold: The documents.
        phrases: What Infer proposed for each; empty without a model.
        on_gathered: Told after every batch.
    """
    retrieve = program.retrieve
    assert retrieve.reordering is not None
    pools: list[list[Candidate]] = []
    values = []
    for start in range(0, len(gold), _BATCH):
        places = range(start, min(start + _BATCH, len(gold)))
        queries = [program.queries(gold.pieces[place], phrases[place]) for place in places]
        for pool in retrieve.gather(queries):
            pools.append(pool.candidates)
            values.append(pool.values)
        on_gathered(places.stop, len(gold))
    groups = np.repeat(np.arange(len(pools)), [len(pool) for pool in pools])
    correct = np.array(
        [each.label in gold.labels[place] for place, pool in enumerate(pools) for each in pool], dtype=np.bool_
    )
    examples = Examples(
        retrieve.reordering.evidence.columns, np.concatenate(values), correct, groups, gold.parts[groups]
    )
    return Gathered(gold, tuple(pools), examples, dict(retrieve.seconds))


def _numbered(texts: Sequence[str]) -> NDArray[np.int64]:
    """Number texts by their first appearance, shape (n,)."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64)
