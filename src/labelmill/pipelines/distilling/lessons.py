"""What a student is to learn: a run's labels of documents, and the documents' texts, which the run's file has not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from labelmill.corpus import Corpus, chunk
from labelmill.errors import InputError
from labelmill.keys import key_bits
from labelmill.pipelines.confidence import claims_probabilities
from labelmill.pipelines.spec import ProgramSpec
from labelmill.pipelines.todo import document_key
from labelmill.records import Document
from labelmill.store import Store
from labelmill.store.reader import RankedLabels, choose_run, read_ranked, read_taxonomy
from labelmill.store.stored import Stored
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.usages import document_key as key_of_text

_DEPTH = 50
"""Labels of a document that are looked at."""

LEAST_DOCUMENTS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """N documents with what a teacher says of them, m probabilities in all.

    Attributes:
        run: The teacher's run.
        taxonomy: Its labels.
        program: Its specification, as it is stored.
        documents: Ids, in the order of the corpus.
        chunks: Of each document.
        row: Index into `documents` of each probability, ascending, int64, shape (m,).
        label: Its label's position, int32, shape (m,).
        target: The probability, float32, shape (m,).
        given: Whether the label is in the document's final set, shape (m,).
        seen: The key of each document, by which it is known again, uint64, shape (N,).
        notes: What is to be known about them.
    """

    run: str
    taxonomy: Taxonomy
    program: Mapping[str, Any]
    documents: tuple[str, ...]
    chunks: tuple[tuple[str, ...], ...]
    row: NDArray[np.int64]
    label: NDArray[np.int32]
    target: NDArray[np.float32]
    given: NDArray[np.bool_]
    seen: NDArray[np.uint64]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Count the documents."""
        return len(self.documents)

    @property
    def top_k(self) -> int:
        """Labels of a final set at most, as the teacher has it."""
        return int(self.program.get("top_k") or ProgramSpec().top_k)


def read_lessons(path: str | Path, run: str | None, corpus: Corpus) -> Lessons:
    """Read a run and the texts of its documents.

    Args:
        path: The DuckDB file.
        run: The run; the newest by default.
        corpus: Where the texts are.

    Raises:
        InputError: Too few of the run's documents are in the corpus, or none has a label.
        StoreError: There is no such run.
    """
    with Store(path) as store:
        name = choose_run(store, run)
        ranked, taxonomy = read_ranked(store, name, depth=_DEPTH), read_taxonomy(store, name)
        key, stored = store.first("SELECT key, program FROM runs WHERE run = ?", [name]) or ("", "{}")
        program = orjson.loads(stored)
        done = None if "combine" in program else Stored(store, name, taxonomy).done
    place = {document: row for row, document in enumerate(ranked.documents)}
    texts: dict[int, str] = {}
    changed = 0
    for item in corpus.documents():
        if isinstance(item, Document) and item.id in place:
            if done is None or done(document_key(key, item)):
                texts[place[item.id]] = item.text
            else:
                changed += 1
    if len(texts) < LEAST_DOCUMENTS:
        also = f"; {changed:,} others have another text now" if changed else ""
        raise InputError(
            f"{len(texts):,} of the {len(place):,} documents of run {name!r} are in the corpus{also}, "
            f"and {LEAST_DOCUMENTS} are the least to learn from",
            path=str(corpus.paths[0]),
            remedy="Give the files that were labelled with --corpus, and the same --id-field and --text-field.",
        )
    notes = [f"{changed:,} documents are left out, whose text has changed since they were labelled"] if changed else []
    if missing := len(place) - len(texts) - changed:
        notes.append(f"{missing:,} documents of the run are not in the corpus, and are left out")
    return _lay_out(name, taxonomy, program, ranked, texts, notes)


def _lay_out(
    run: str,
    taxonomy: Taxonomy,
    program: Mapping[str, Any],
    ranked: RankedLabels,
    texts: Mapping[int, str],
    notes: list[str],
) -> Lessons:
    known = np.zeros(len(ranked.documents), dtype=np.bool_)
    known[list(texts)] = True
    kept = known[ranked.rows]
    target = ranked.scores[kept].astype(np.float32)
    if not claims_probabilities(program):
        notes.append(f"the scores of run {run!r} are no probabilities: the student learns its final sets")
        target = ranked.selected[kept].astype(np.float32)
    if not (target > 0).any():
        raise InputError(f"run {run!r} gives its documents no label", remedy="Name another with --run.")
    spec = ProgramSpec()
    order = np.flatnonzero(known)
    return Lessons(
        run,
        taxonomy,
        program,
        tuple(ranked.documents[row] for row in order.tolist()),
        tuple(tuple(chunk(texts[row], spec.chunk_characters, spec.chunk_overlap)) for row in order.tolist()),
        np.searchsorted(order, ranked.rows[kept]),
        ranked.labels[kept],
        np.clip(target, 0, 1),
        ranked.selected[kept],
        seen_keys(texts[row] for row in order.tolist()),
        tuple(notes),
    )


def seen_keys(texts: Iterable[str]) -> NDArray[np.uint64]:
    """Identify documents by their beginnings: those that begin alike may be the same."""
    return key_bits(key_of_text(text) for text in texts)
