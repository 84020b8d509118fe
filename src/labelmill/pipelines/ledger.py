"""The stage ledger of a run: gold labels out of a corpus, what was asked and retrieved out of the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from labelmill.corpus import chunk
from labelmill.eval.fates import Proposer
from labelmill.eval.gold import resolve_gold
from labelmill.eval.ledger import GoldLabel, Ledger, Standing, Trace, enter
from labelmill.eval.nearest import NEAR
from labelmill.eval.queries import Queries
from labelmill.eval.rankings import PADDING
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.spec import ProgramSpec
from labelmill.pipelines.windows import find_windows
from labelmill.records import Document
from labelmill.store import Store
from labelmill.store.reader import choose_run, read_taxonomy
from labelmill.store.standings import read_met, read_phrases, read_program, read_standings

_AT_ONCE = 4096
"""Documents that are looked up at a time, so that the queries of the others are not in memory."""


def ledger_of_run(path: str | Path, gold: GoldCorpus, *, run: str | None = None, near: float = NEAR) -> Ledger:
    """Find out at which stage a run lost each gold label that it did not find.

    Which documents count is the same as in `labelmill.pipelines.evaluate.evaluate_run`: those that the run has done or
    failed.

    Args:
        path: The DuckDB file.
        gold: Documents with gold labels, with the texts that were labelled.
        run: The run; the newest by default.
        near: The similarity from which a query counts as having proposed a label.

    Raises:
        GoldError: No gold label can be resolved, or no document of the gold is in the run.
        StoreError: The file or the run is not there.
    """
    with Store(path) as store:
        name = choose_run(store, run)
        done, failed = read_met(store, name)
        known = gold.met(done | failed, name)
        book = _Book(store, name, known, failed)
        entries = [
            entry
            for start in range(0, len(known), _AT_ONCE)
            for entry in enter(book.traces(start, start + _AT_ONCE), top_k=book.spec.top_k, near=near)
        ]
    return Ledger(tuple(entries), book.spec.top_k, near, book.proposer)


class _Book:
    """Traces documents of a run, stretch by stretch."""

    def __init__(self, store: Store, run: str, documents: Sequence[Document], failed: Collection[str]) -> None:
        self._store, self._run, self._documents, self._failed = store, run, documents, failed
        self._taxonomy = read_taxonomy(store, run)
        # Not validated: the run was made with it, perhaps by a version that knew other fields.
        program = read_program(store, run)
        self.spec = ProgramSpec.model_construct(**program)
        alone: Proposer = "student" if self.spec.is_student else "queries"
        self.proposer: Proposer = "votes" if "combine" in program else alone
        self._gold = resolve_gold(((document.id, document.labels) for document in documents), self._taxonomy)

    def traces(self, start: int, end: int) -> list[Trace]:
        """Trace the documents from one number to another."""
        documents = self._documents[start:end]
        labels = [self._labels(row) for row in range(start, start + len(documents))]
        standings = self._standings(documents, labels)
        # Queries are costly to collect, and asked for where a label was not retrieved alone.
        open_ones = [
            document
            for document, gold, placed in zip(documents, labels, standings, strict=True)
            if document.id not in self._failed and any(label.known and label.id not in placed for label in gold)
        ]
        queries = self._queries(open_ones)
        return [
            Trace(document.id, gold, queries.get(document.id, ()), placed, document.id in self._failed, self.proposer)
            for document, gold, placed in zip(documents, labels, standings, strict=True)
        ]

    def _labels(self, row: int) -> tuple[GoldLabel, ...]:
        """Name the gold labels of a document."""
        begin, end = self._gold.gold.indptr[row : row + 2]
        return tuple(map(self._label, self._gold.gold.labels[begin:end].tolist()))

    def _label(self, number: int) -> GoldLabel:
        if number < PADDING:
            text = self._gold.missing[PADDING - 1 - number]
            return GoldLabel(text, (text,), known=False)
        label = self._taxonomy[number]
        return GoldLabel(label.id, tuple(dict.fromkeys((label.name, *label.aliases))))

    def _standings(
        self, documents: Sequence[Document], labels: Sequence[Sequence[GoldLabel]]
    ) -> list[dict[str, Standing]]:
        """Look up where the gold labels of each document stand."""
        asked = [(row, label.id) for row, gold in enumerate(labels) for label in gold if label.known]
        pairs = [(documents[row].id, label) for row, label in asked]
        found: list[dict[str, Standing]] = [{} for _ in documents]
        for (row, label), standing in zip(asked, read_standings(self._store, self._run, pairs), strict=True):
            if standing:
                found[row][label] = Standing(*standing)
        return found

    def _queries(self, documents: Sequence[Document]) -> dict[str, Queries]:
        """Collect what was asked for some documents, as `Program.queries` did; windows are made anew."""
        if self.proposer != "queries":
            return {}
        phrases = read_phrases(self._store, self._run, [document.id for document in documents])
        return {
            document.id: Queries(phrases.get(document.id, ()), map(find_windows, self._pieces(document.text)))
            for document in documents
        }

    def _pieces(self, text: str) -> list[str]:
        """Cut a text whose windows were asked."""
        spec = self.spec
        return [] if spec.infer == "lm" else chunk(text, spec.chunk_characters, spec.chunk_overlap)
