"""The one writer of a run: whole batches, committed together, so that a killed run resumes where it stood."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from labelmill.errors import StoreError
from labelmill.records import Failure, Prediction
from labelmill.store.database import Store
from labelmill.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a model answered at one stage, and what that cost.

    Attributes:
        key: Hash of everything that went in.
        stage: ``infer`` or ``rank``.
        model: The model's name.
        output: The parsed answer: phrases, or chosen numbers.
        prompt_tokens: Tokens read, cached ones included.
        cached_tokens: Tokens of the prompt that came out of the prefix cache.
        completion_tokens: Tokens written.
        seconds: Of the last attempt.
        attempts: How often it was sent.
    """

    key: str
    stage: str
    model: str
    output: list[Any]
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """A document that is done.

    Attributes:
        document: Its id.
        key: Hash of the run's key and the text.
        source: ``file:line``.
        chunks: How many pieces it was read in.
        predictions: The ranking, best first; perhaps empty.
        stages: Keys of the model answers that went into it.
    """

    document: str
    key: str
    source: str
    chunks: int
    predictions: Sequence[Prediction]
    stages: Sequence[str] = ()


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
        """Begin the run, or take it up again."""
        self.run = run
        self._store = store
        # A DuckDB connection runs one statement at a time; batches are written and looked up from worker threads.
        self._lock = threading.Lock()
        with store.transaction():
            self._put_taxonomy(taxonomy, taxonomy_source)
            self.resumed = self._begin(key, program, taxonomy.key, corpus, version)

    def done_keys(self) -> NDArray[np.uint64]:
        """Return the first 64 bits of the keys of all documents that are done, sorted."""
        with self._store.errors():
            columns = self._store.connection.execute(
                "SELECT ('0x' || key[1:16])::UBIGINT AS bits FROM documents WHERE run = ?", [self.run]
            ).fetchnumpy()
        return np.sort(np.asarray(columns["bits"], dtype=np.uint64))

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
        wanted = list(keys)
        if not wanted:
            return {}
        with self._lock, self._store.errors():
            return self._answers(wanted)

    def write(
        self, documents: Sequence[DocumentResult], failures: Sequence[Failure], stages: Sequence[StageResult]
    ) -> None:
        """Commit a batch: its documents replace what an earlier sitting of the run left of them."""
        touched = [item.document for item in documents] + [item.document for item in failures]
        with self._lock, self._store.transaction():
            for table in ("documents", "predictions", "failures") if self.resumed else ():
                self._store.connection.execute(
                    f"DELETE FROM {table} WHERE run = ? AND document IN (SELECT unnest(?::VARCHAR[]))",  # noqa: S608
                    [self.run, touched],
                )
            # One answer a key, the first: what follows from stored answers must be the same every time.
            fresh = {stage.key: stage for stage in stages}
            known = self._answers(list(fresh)) if fresh else {}
            self._store.insert("stages", [asdict(stage) for key, stage in fresh.items() if key not in known])
            self._store.insert("documents", [self._document_row(item) for item in documents])
            self._store.insert("predictions", [row for item in documents for row in self._prediction_rows(item)])
            self._store.insert("failures", [{"run": self.run, **asdict(failure)} for failure in failures])

    def close(self, state: str, seconds: float) -> None:
        """Record how this sitting ended: ``finished`` or ``interrupted``, after how many seconds of work."""
        # An interrupted run may still have a batch on its way into the file.
        with self._lock, self._store.transaction():
            self._store.connection.execute(
                "UPDATE runs SET state = ?, seconds = seconds + ?, updated = now() WHERE run = ?",
                [state, seconds, self.run],
            )

    def _answers(self, keys: list[str]) -> dict[str, list[Any]]:
        rows = self._store.connection.execute(
            "SELECT key, output FROM stages WHERE key IN (SELECT unnest(?::VARCHAR[]))", [keys]
        ).fetchall()
        return {key: orjson.loads(output) for key, output in rows}

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
        }

    def _prediction_rows(self, item: DocumentResult) -> list[dict[str, Any]]:
        return [
            {
                "run": self.run,
                "document": item.document,
                "label": prediction.label,
                "rank": prediction.rank,
                "score": prediction.score,
                "selected": prediction.selected,
                "retrieval_rank": prediction.retrieval_rank,
                "evidence": [
                    {"lane": hit.lane, "rank": hit.rank, "score": hit.score, "query": hit.query}
                    for hit in prediction.evidence
                ],
            }
            for prediction in item.predictions
        ]
