"""The one writer of a run: whole batches, committed together, so that a killed run resumes where it stood."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labelmill.errors import StoreError
from labelmill.records import Failure
from labelmill.store.database import Store
from labelmill.store.located import last_batch
from labelmill.store.predictions import insert_predictions
from labelmill.store.results import DocumentResult, Spending, StageResult
from labelmill.store.stored import Stored
from labelmill.store.taxonomies import put_taxonomy
from labelmill.taxonomy import Taxonomy

RENEW_EVERY = 256
"""Batches: 8,192 documents or so, in which DuckDB takes some 30 MB more, until it is closed."""


class RunWriter:
    """Writes one run into a store.

    Args:
        store: Open for writing.
        run: The run's name.
        key: Hash of the program and the taxonomy; a run of this name with another key is refused.
        program: The whole specification, as JSON values.
        taxonomy: The labels; stored once per version, so that runs can be read without the file.
        taxonomy_source: Where they came from.
        corpus: The paths of the documents.
        version: Of labelmill.
        renew_every: Batches after which the file is opened anew, lest memory grow with it.
    """

    def __init__(
        self,
        store: Store,
        *,
        run: str,
        key: str,
        program: Mapping[str, Any],
        taxonomy: Taxonomy,
        taxonomy_source: str,
        corpus: Sequence[str],
        version: str,
        renew_every: int = RENEW_EVERY,
    ) -> None:
        """Begin the run, or take it up again; loads the keys of what the file holds."""
        self.run = run
        self._store = store
        self._began = time.monotonic()
        self._renew_every, self._since_renewed = renew_every, 0
        with store.transaction():
            put_taxonomy(store, taxonomy, taxonomy_source)
            self._begin(key, program, taxonomy.key, corpus, version)
        self.stored = Stored(store, run, taxonomy)
        self._lock = self.stored.lock
        with store.errors():
            self._batch = last_batch(store)
        self._seconds = self.stored.spent()[1]

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self._store.path

    def forget_failures(self, documents: Sequence[str]) -> None:
        """Drop failures of rows that the corpus no longer has."""
        with self._lock, self._store.transaction():
            self._store.connection.execute(
                "DELETE FROM failures WHERE run = ? AND document IN (SELECT unnest(?::VARCHAR[]))",
                [self.run, list(documents)],
            )

    def write(
        self,
        documents: Sequence[DocumentResult],
        failures: Sequence[Failure],
        stages: Sequence[StageResult],
        spent: Sequence[Spending] = (),
    ) -> None:
        """Commit a batch: its documents replace what an earlier sitting of the run left of them.

        Args:
            documents: Those that are done.
            failures: Those that failed.
            stages: Answers to keep; one whose key is there already is left out.
            spent: What the batch used of a model, whatever became of it.
        """
        with self._lock:
            self._batch += 1
            # One answer a key, the first: what follows from stored answers must be the same every time.
            fresh = {stage.key: stage for stage in reversed(stages) if not self.stored.has_answer(stage.key)}
            number = {"batch": self._batch}
            with self._store.transaction():
                self._replace([item.document for item in documents] + [item.document for item in failures])
                self._store.insert("stages", [asdict(stage) | number for stage in fresh.values()])
                self._store.insert("documents", [self._document_row(item) | number for item in documents])
                insert_predictions(self._store, self.run, documents, self._batch)
                self._store.insert("failures", [{"run": self.run, **asdict(item), **number} for item in failures])
                self._spend(spent)
                self._touch(self._seconds + time.monotonic() - self._began)
            self.stored.note(self._batch, documents, failures, fresh)
            self._since_renewed += 1
            if self._since_renewed == self._renew_every:
                self._renew()

    def take_batch(self) -> int:
        """Number a commit that is made beside this writer."""
        with self._lock:
            self._batch += 1
            return int(self._batch)

    def close(
        self, state: str, seconds: float, spent: Sequence[Spending] = (), prefix: tuple[int, int] | None = None
    ) -> None:
        """Record how this sitting ended.

        Args:
            state: ``finished``, ``interrupted`` or ``budget``.
            seconds: Of work.
            spent: What was used of a model since the last batch.
            prefix: Tokens that the servers looked for in their prefix caches in this sitting, and that they found.
        """
        # An interrupted run may still have a batch on its way into the file.
        with self._lock, self._store.transaction():
            self._spend(spent)
            self._touch(self._seconds + seconds)
            self._store.connection.execute("UPDATE runs SET state = ? WHERE run = ?", [state, self.run])
            self._store.connection.execute(
                "INSERT INTO sittings VALUES (?, now(), ?, ?, ?, ?)",
                [self.run, state, seconds, *(prefix or (None, None))],
            )

    def _renew(self) -> None:
        """Open the file anew, and see that nobody wrote into it while it was closed: what was loaded would be old."""
        self._store.renew()
        self._since_renewed = 0
        with self._store.errors():
            last = last_batch(self._store)
        if last > self._batch:
            raise StoreError(
                f"Another process wrote into {self.path} meanwhile. Let one run write at a time, then run the same "
                "command: it goes on where it stopped."
            )

    def _replace(self, documents: Sequence[str]) -> None:
        """Drop the rows of documents that this run has already: of those that failed, or whose text has changed."""
        found = self.stored.batches_of(documents)
        names, batches = list(found), sorted(set(found.values()))
        for table in ("documents", "predictions", "failures") if names else ():
            self._store.connection.execute(
                f"DELETE FROM {table} WHERE run = ? AND batch IN (SELECT unnest(?::UINTEGER[])) "  # noqa: S608
                "AND document IN (SELECT unnest(?::VARCHAR[]))",
                [self.run, batches, names],
            )

    def _spend(self, spent: Sequence[Spending]) -> None:
        for item in spent:
            self._store.connection.execute(
                "INSERT INTO spent VALUES (?, now(), ?, ?, ?, ?, ?, ?)", [self.run, *asdict(item).values()]
            )

    def _touch(self, seconds: float) -> None:
        self._store.connection.execute(
            "UPDATE runs SET seconds = ?, updated = now() WHERE run = ?", [seconds, self.run]
        )

    def _begin(self, key: str, program: Mapping[str, Any], taxonomy: str, corpus: Sequence[str], version: str) -> None:
        found = self._store.first("SELECT key FROM runs WHERE run = ?", [self.run])
        if found is None:
            row = {"run": self.run, "key": key, "taxonomy": taxonomy, "program": program, "corpus": list(corpus)}
            # Timestamps as text that DuckDB parses: JSON has none.
            now = self._store.connection.execute("SELECT now()::VARCHAR").fetchall()[0][0]
            rest = {"version": version, "state": "running", "seconds": 0.0, "started": now, "updated": now}
            self._store.insert("runs", [row | rest])
            return
        if found[0] != key:
            raise StoreError(
                f"{self._store.path} has a run {self.run!r} of another program, taxonomy or model. "
                "Give another name with --run, or another file with --out."
            )
        self._store.connection.execute(
            "UPDATE runs SET state = 'running', updated = now(), corpus = ? WHERE run = ?", [list(corpus), self.run]
        )

    def _document_row(self, item: DocumentResult) -> dict[str, Any]:
        return {
            "run": self.run,
            "document": item.document,
            "key": item.key,
            "source": item.source,
            "chunks": item.chunks,
            "stages": list(item.stages),
            "retrieval": item.retrieval,
        }
