"""A student before a program: how certain it must be for its answer to stand, by what a user wants to be promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labelmill.corpus import chunk
from labelmill.errors import InputError
from labelmill.eval import resolve_gold
from labelmill.learning.calibration import Calibration
from labelmill.learning.cascading import DELTA, Cascade, Kind, certainty, fit_certainty, parse_cascade, shown_by, state
from labelmill.models.embedders import leaves_this_machine
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.distilling.lessons import seen_keys
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.learned_from import keys_of_texts
from labelmill.pipelines.program import Program
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.spec import ProgramSpec, remake
from labelmill.records import Document
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.students import StudentFolder
from labelmill.taxonomy import Taxonomy


def with_cascade(
    spec: ProgramSpec,
    wish: str,
    student: StudentFolder | None,
    taxonomy: Taxonomy,
    gold: GoldCorpus | None,
    embedders: Sequence[Embedder] = (),
) -> ProgramSpec:
    """Put a student before a program.

    Args:
        spec: The program.
        wish: What the student's answers shall hold to, as `parse_cascade` reads it.
        student: The student.
        taxonomy: The labels.
        gold: Documents with gold, by which to show it; None for those that the student was judged by when it was made.
        embedders: Those of the program that are loaded, in its order.

    Raises:
        InputError: There is no student, the program is one itself, or nothing shows that the promise would be kept.
    """
    kind, level = parse_cascade(wish)
    if student is None or spec.is_student:
        raise InputError(
            "a cascade needs a student and another program, which does the rest",
            remedy="Give --student STUDENT, and the program with --program or its own options.",
        )
    own = ProgramFile.read(student.path).spec
    assert own.decision is not None
    if gold is None:
        against = "teacher" if kind == "agreement" else "gold"
        if f"{against}.given" not in student.held:
            raise InputError(
                f"{kind} cannot be promised: this student was not judged by gold",
                remedy="Give documents with gold with --gold, or promise agreement with its teacher.",
            )
        table = {name: student.held[f"{against}.{name}"] for name in (kind, "given", "right", "wanted")}
        shown = "its teacher's labels" if against == "teacher" else "gold labels"
    else:
        if kind == "agreement":
            raise InputError(
                "agreement with the teacher is not shown by gold",
                remedy="Leave --gold out, or promise precision or recall.",
            )
        fresh = replace(gold, documents=unseen(student, gold.documents))
        table = _judge(
            assemble(own, taxonomy, embedders=_embedders(own, spec, embedders), student=student), kind, fresh
        )
        shown = "gold labels"
    least, expected = fit_certainty(
        kind, level, table[kind], table["given"], table["right"], table["wanted"], most=own.decision.top_k
    )
    cascade = Cascade(
        kind=kind,
        certainty=least,
        promise=f"{kind}>={level:g}",
        statement=state(kind, level, DELTA, shown_by(kind, table["wanted"]), shown),
        expected=expected,
        candidates=own.candidates,
        calibration=own.calibration or Calibration(),
        decision=own.decision,
    )
    shown_on = keys_of_texts(each for each in gold.documents if each.labels is not None) if gold else ()
    taught = tuple(sorted({*spec.learned_from, *own.learned_from, *shown_on}))
    return remake(spec, student=student.key, cascade=cascade, learned_from=taught)


def _judge(program: Program, kind: Kind, gold: GoldCorpus) -> dict[str, NDArray[np.float64]]:
    """Have a student answer for documents with gold, and say of each how certain it is and how right."""
    spec, taxonomy = program.spec, program.taxonomy
    labelled = [each for each in gold.documents if each.labels is not None]
    resolved = resolve_gold([(each.id, each.labels) for each in labelled], taxonomy).gold
    ends = resolved.indptr.tolist()
    rows = list[tuple[float, int, int, int]]()
    for place, each in enumerate(labelled):
        wanted = resolved.labels[ends[place] : ends[place + 1]].tolist()
        known = {taxonomy.labels[n].id for n in wanted if n >= 0}  # what the taxonomy lacks counts as missed
        pieces = chunk(each.text, spec.chunk_characters, spec.chunk_overlap)
        (found,) = program.retrieve.retrieve([program.queries(pieces, ())], spec.candidates)
        answer = program.decide(found)
        given = np.array([one.selected for one in answer], dtype=np.bool_)
        sure = certainty(kind, np.array([one.score for one in answer]), given)
        right = sum(one.selected and one.label in known for one in answer)
        rows.append((sure, int(given.sum()), right, len(wanted)))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return dict(zip((kind, "given", "right", "wanted"), columns, strict=True))


def unseen(student: StudentFolder, documents: Sequence[Document]) -> tuple[Document, ...]:
    """Keep the documents that a student did not learn from: of others it says what its teacher said.

    Raises:
        InputError: There are none.
    """
    kept = tuple(
        each
        for each, own in zip(documents, np.isin(seen_keys(d.text for d in documents), student.seen), strict=True)
        if not own
    )
    if documents and not kept:
        raise InputError(
            f"the student learned from all of the {len(documents):,} gold documents, or from such that begin alike",
            path=student.path,
            remedy="Give gold of other documents, or distil with --gold, which judges it by what it says without them.",
        )
    return kept


def refuse_addresses(student: StudentFolder, embedders: Sequence[str]) -> None:
    """Send no text to a machine that nobody but a student's file names.

    Raises:
        InputError: Its embedder is at another machine.
    """
    named = student.header.embedder
    if named and named not in embedders and leaves_this_machine(named):
        raise InputError(
            f"this student sends every text to another machine, for its embedder {named!r}",
            path=student.path,
            remedy=f"If texts may go there, say so with --embedder {named!r}.",
        )


def _embedders(own: ProgramSpec, spec: ProgramSpec, loaded: Sequence[Embedder]) -> list[Embedder] | None:
    """Take the program's embedder where it is the student's."""
    known = dict(zip(spec.embedders, loaded, strict=False))
    found = [known[name] for name in own.embedders if name in known]
    return found if len(found) == len(own.embedders) and found else None
