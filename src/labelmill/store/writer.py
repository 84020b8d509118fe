"""The one writer of a run: whole batches, committed together, so that a killed run resumes where it stood."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import orjson

from labelmill.errors import StoreError
from labelmill.keys import Bits, KeyMap, KeySet, text_key
from labelmill.records import Candidate, Failure
from labelmill.store.database import Store
from labelmill.store.located import batches_of, load_keys
from labelmill.store.predictions import insert_predictions, read_candidates
from labelmill.store.results import DocumentResult, Spending, StageResult
from labelmill.taxonomy import Taxonomy

_LAST_BATCH = (
    "SELECT greatest((SELECT max(batch) FROM stages), (SELECT max(batch) FROM documents), "
    "(SELECT max(batch) FROM failures), 0)"
)

_ANSWERS = (
    "SELECT key, output FROM stages "
    "WHERE batch IN (SELECT unnest(?::UINTEGER[])) AND key IN (SELECT unnest(?::VARCHAR[]))"
)
_RETRIEVED = (
    "SELECT DISTINCT ON (retrieval) retrieval, run, document, batch FROM documents "
    "WHERE batch IN (SELECT unnest(?::UINTEGER[])) AND retrieval IN (SELECT unnest(?::VARCHAR[]))"
)


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
    ) -> None:
        """Begin the run, or take it up again; loads the keys of what the file holds."""
        self.run = run
        self._store = store
        self._taxonomy = taxonomy
        # A DuckDB connection runs one statement at a time; batches are written and looked up from worker threads.
        self._lock = threading.Lock()
        self._began = time.monotonic()
        with store.transaction():
            self._put_taxonomy(taxonomy, taxonomy_source)
            self.resumed = self._begin(key, program, taxonomy.key, corpus, version)
        with store.errors():
            self._load()

    def _load(self) -> None:
        """Read which keys there are: once, for a search per batch would take longer with every batch."""
        of_run, run = "run = ?", [self.run]
        store = self._store
        (self._batch,) = store.first(_LAST_BATCH) or (0,)
        (self._seconds,) = store.first("SELECT seconds FROM runs WHERE run = ?", run) or (0.0,)
        self._stages = KeyMap(*load_keys(store, "stages", "key"))
        self._retrievals = KeyMap(*load_keys(store, "documents", "retrieval", "retrieval <> ''"))
        self._done = KeySet(load_keys(store, "documents", "key", of_run, run)[0])
        # Where this run has rows of a document: when it is done anew, they have to go.
        self._places = KeyMap()
        for table in ("documents", "failures") if self.resumed else ():
            self._places.update(*load_keys(store, table, "md5(document)", of_run, run))

    def done(self, key: str) -> bool:
        """Tell whether the document of this key was done before this sitting."""
        return key in self._done

    def done_keys(self) -> Bits:
        """Return the first 64 bits of the keys of all documents that are done, sorted."""
        with self._store.errors():
            return np.sort(load_keys(self._store, "documents", "key", "run = ?", [self.run])[0])

    def failed(self) -> dict[str, str]:
        """Return the ids of the documents that failed before, each with the key of what failed."""
        with self._store.errors():
            rows = self._store.connection.execute(
                "SELECT document, key FROM failures WHERE run = ?", [self.run]
            ).fetchall()
        return dict(rows)

    def forget_failures(self, documents: Sequence[str]) -> None:
        """Drop failures of rows that the corpus no longer has."""
        with self._lock, self._store.transaction():
            self._store.connection.execute(
                "DELETE FROM failures WHERE run = ? AND document IN (SELECT unnest(?::VARCHAR[]))",
                [self.run, list(documents)],
            )

    def answers(self, keys: Iterable[str]) -> dict[str, list[Any]]:
        """Return the stored outputs of stages by key, from any run of the file."""
        with self._lock, self._store.errors():
            found = batches_of(self._stages, keys)
            rows = (
                self._store.connection.execute(_ANSWERS, [sorted(set(found.values())), list(found)]).fetchall()
                if found
                else []
            )
        return {key: orjson.loads(output) for key, output in rows}

    def retrievals(self, keys: Iterable[str]) -> dict[str, list[Candidate]]:
        """Return the candidates stored under these keys by any run of the file, in the order of the fusion."""
        with self._lock, self._store.errors():
            found = batches_of(self._retrievals, keys)
            if not found:
                return {}
            rows = self._store.connection.execute(_RETRIEVED, [sorted(set(found.values())), list(found)]).fetchall()
            if not rows:
                return {}
            candidates = read_candidates(self._store, self._taxonomy, [row[1:] for row in rows])
        return dict(zip([row[0] for row in rows], candidates, strict=True))

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
            fresh = {stage.key: stage for stage in reversed(stages) if stage.key not in self._stages}
            number = {"batch": self._batch}
            with self._store.transaction():
                self._replace([item.document for item in documents] + [item.document for item in failures])
                self._store.insert("stages", [asdict(stage) | number for stage in fresh.values()])
                self._store.insert("documents", [self._document_row(item) | number for item in documents])
                insert_predictions(self._store, self.run, documents, self._batch)
                self._store.insert("failures", [{"run": self.run, **asdict(item), **number} for item in failures])
                self._spend(spent)
                self._touch(self._seconds + time.monotonic() - self._began)
            self._note(documents, failures, fresh)

    def close(self, state: str, seconds: float) -> None:
        """Record how this sitting ended, after how many seconds of work: ``finished``, ``interrupted``, ``budget``."""
        # An interrupted run may still have a batch on its way into the file.
        with self._lock, self._store.transaction():
            self._touch(self._seconds + seconds)
            self._store.connection.execute("UPDATE runs SET state = ? WHERE run = ?", [state, self.run])

    def _replace(self, documents: Sequence[str]) -> None:
        """Drop the rows of documents that this run has already: of those that failed, or whose text has changed."""
        found = {name: self._places.get(text_key(name)) for name in documents} if len(self._places) else {}
        names = [name for name, batch in found.items() if batch is not None]
        batches = sorted({batch for batch in found.values() if batch is not None})
        for table in ("documents", "predictions", "failures") if names else ():
            self._store.connection.execute(
                f"DELETE FROM {table} WHERE run = ? AND batch IN (SELECT unnest(?::UINTEGER[])) "  # noqa: S608
                "AND document IN (SELECT unnest(?::VARCHAR[]))",
                [self.run, batches, names],
            )

    def _note(self, documents: Sequence[DocumentResult], failures: Sequence[Failure], stages: Iterable[str]) -> None:
        """Remember where the rows of a batch are, once they are in."""
        for key in stages:
            self._stages.put(key, self._batch)
        for item in documents:
            if item.retrieval:
                self._retrievals.put(item.retrieval, self._batch)
        # A document comes once in a sitting, but one that failed may be tried again.
        names = [item.document for item in failures]
        names += [item.document for item in documents if text_key(item.document) in self._places]
        for name in names:
            self._places.put(text_key(name), self._batch)

    def _spend(self, spent: Sequence[Spending]) -> None:
        for item in spent:
            self._store.connection.execute(
                "INSERT INTO spent VALUES (?, now(), ?, ?, ?, ?, ?, ?)", [self.run, *asdict(item).values()]
            )

    def _touch(self, seconds: float) -> None:
        self._store.connection.execute(
            "UPDATE runs SET seconds = ?, updated = now() WHERE run = ?", [seconds, self.run]
        )

    def _begin(self, key: str, program: Mapping[str, Any], taxonomy: str, corpus: Sequence[str], version: str) -> bool:
        found = self._store.first("SELECT key FROM runs WHERE run = ?", [self.run])
        if found is None:
            row = {"run": self.run, "key": key, "taxonomy": taxonomy, "program": program, "corpus": list(corpus)}
            # Timestamps as text that DuckDB parses: JSON has none.
            now = self._store.connection.execute("SELECT now()::VARCHAR").fetchall()[0][0]
            rest = {"version": version, "state": "running", "seconds": 0.0, "started": now, "updated": now}
            self._store.insert("runs", [row | rest])
            return False
        if found[0] != key:
            raise StoreError(
                f"{self._store.path} has a run {self.run!r} of another program, taxonomy or model. "
                "Give another name with --run, or another file with --out."
            )
        self._store.connection.execute(
            "UPDATE runs SET state = 'running', updated = now(), corpus = ? WHERE run = ?", [list(corpus), self.run]
        )
        return True

    def _put_taxonomy(self, taxonomy: Taxonomy, source: str) -> None:
        known = self._store.first("SELECT 1 FROM taxonomies WHERE taxonomy = ?", [taxonomy.key])
        if known:
            return
        shown = source.encode(errors="replace").decode()  # the name of a file need not be UTF-8
        self._store.insert("taxonomies", [{"taxonomy": taxonomy.key, "source": shown, "labels": len(taxonomy)}])
        rows = [
            {
                "taxonomy": taxonomy.key,
                "position": position,
                "label": label.id,
                "name": label.name,
                "aliases": label.aliases,
                "description": label.description,
                "parents": label.parents,
            }
            for position, label in enumerate(taxonomy.labels)
        ]
        self._store.insert("labels", rows)

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
