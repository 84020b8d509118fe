"""Gold documents as an optimiser needs them: cut into pieces, resolved, and parted into train, validation, held-out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from labelmill.corpus import chunk
from labelmill.errors import GoldError
from labelmill.eval.gold import resolve_gold
from labelmill.pipelines.program import Program
from labelmill.records import Candidate, Document

LEAST_DOCUMENTS = 6
"""Two for each part."""

_VALIDATION = 0.4
_HELD_OUT = 0.3


@dataclass(frozen=True, slots=True)
class Case:
    """A gold document.

    Attributes:
        document: Its id.
        pieces: What is read at once, in order.
        gold: Positions of its gold labels; numbers below -1 for those that the taxonomy does not have.
        shown: The piece that a demonstration would show, and the gold labels that this piece supports.
        candidates: What Rank is asked about, where that is what is optimised.
    """

    document: str
    pieces: tuple[str, ...]
    gold: tuple[int, ...]
    shown: tuple[str, tuple[int, ...]] = ("", ())
    candidates: tuple[Candidate, ...] = ()

    @property
    def known(self) -> tuple[int, ...]:
        """The gold labels that the taxonomy has."""
        return tuple(position for position in self.gold if position >= 0)


@dataclass(frozen=True, slots=True)
class Parts:
    """Gold documents by what they are for.

    Attributes:
        train: Become demonstrations, and what a teacher reads to write instructions.
        validation: Choose among prompts.
        held_out: Tell whether the chosen prompt is better than the one before; nothing else sees them.
    """

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    held_out: tuple[Case, ...]

    @classmethod
    def split(cls, cases: Sequence[Case], seed: int) -> Parts:
        """Part documents at random, 30 : 40 : 30; their order in the file does not matter.

        Raises:
            GoldError: They are fewer than `LEAST_DOCUMENTS`.
        """
        if len(cases) < LEAST_DOCUMENTS:
            raise GoldError(
                f"{len(cases)} documents with gold labels of the taxonomy are too few to optimise prompts",
                remedy=f"Give at least {LEAST_DOCUMENTS}; with 30 or more, what they say can be relied on.",
            )
        drawn = sorted(cases, key=lambda case: case.document)
        random.Random(seed).shuffle(drawn)  # noqa: S311 - no secret
        held_out = max(2, round(_HELD_OUT * len(drawn)))
        validation = max(2, round(_VALIDATION * len(drawn)))
        return cls(
            tuple(drawn[held_out + validation :]),
            tuple(drawn[held_out : held_out + validation]),
            tuple(drawn[:held_out]),
        )

    @property
    def all(self) -> tuple[Case, ...]:
        """Every document."""
        return (*self.train, *self.validation, *self.held_out)


def make_cases(program: Program, documents: Sequence[Document]) -> list[Case]:
    """Resolve gold labels and cut documents into pieces; documents without a gold label of the taxonomy are left out.

    A demonstration shows one piece. Of a document that has several, it is the one by which most gold labels are
    retrieved, within twice as many ranks as there are, and with these labels alone: the others may be said elsewhere
    in the document.

    Raises:
        GoldError: Not one label resolves, or an id is used twice.
    """
    spec = program.spec
    resolved = resolve_gold(((document.id, document.labels) for document in documents), program.taxonomy)
    rows = resolved.gold.indptr
    gold = {
        name: tuple(int(label) for label in resolved.gold.labels[rows[row] : rows[row + 1]])
        for row, name in enumerate(resolved.documents)
    }
    if len(gold) < len(documents):
        raise GoldError("two gold documents have the same id", remedy="Give every document an id of its own.")
    cut = (
        Case(item.id, tuple(chunk(item.text, spec.chunk_characters, spec.chunk_overlap)), gold[item.id])
        for item in documents
    )
    return [replace(case, shown=_shown(program, case)) for case in cut if case.known and case.pieces]


def _shown(program: Program, case: Case) -> tuple[str, tuple[int, ...]]:
    """Choose the piece to show, by the summed reciprocal ranks of its gold labels, and the labels that it supports."""
    if len(case.pieces) == 1:
        return case.pieces[0], case.known
    queries = [program.queries([piece], ()) for piece in case.pieces]
    found = program.retrieve.retrieve(queries, min(program.spec.listed, 2 * len(case.known)))
    ranks = [
        {candidate.label: rank for rank, candidate in enumerate(candidates, start=1) if candidate.label in case.known}
        for candidates in found
    ]
    best = max(range(len(case.pieces)), key=lambda place: (sum(1 / rank for rank in ranks[place].values()), -place))
    return case.pieces[best], tuple(label for label in case.known if label in ranks[best])
