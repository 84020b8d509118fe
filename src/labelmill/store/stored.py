"""What a file holds that a run can use again: documents that are done, answers of a model, candidates.

Keys are loaded once, for a search per batch would take longer with every batch; DuckDB is asked only for what is there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from labelmill.keys import KeyMap, KeySet, text_key
from labelmill.records import Candidate, Failure
from labelmill.store.database import Store
from labelmill.store.located import batches_of, load_keys
from labelmill.store.predictions import read_candidates
from labelmill.store.results import DocumentResult
from labelmill.taxonomy import Taxonomy

_ANSWERS = (
    "SELECT key, output FROM stages "
    "WHERE batch IN (SELECT unnest(?::UINTEGER[])) AND key IN (SELECT unnest(?::VARCHAR[]))"
)
_RETRIEVED = (
    "SELECT DISTINCT ON (retrieval) retrieval, run, document, batch FROM documents "
    "WHERE batch IN (SELECT unnest(?::UINTEGER[])) AND retrieval IN (SELECT unnest(?::VARCHAR[]))"
)
_TOKENS = "SELECT coalesce(sum(prompt_tokens + completion_tokens), 0)::BIGINT FROM spent WHERE run = ?"


class Stored:
    """What one run finds in a file.

    Args:
        store: The file, open for reading or for writing.
        run: The run's name; it need not be there.
        taxonomy: The labels.
    """

    def __init__(self, store: Store, run: str, taxonomy: Taxonomy) -> None:
        """Load the keys of what the file holds."""
        self._store = store
        self._run = run
        self._taxonomy = taxonomy
        # A DuckDB connection runs one statement at a time; batches are written and looked up from worker threads.
        self.lock = threading.Lock()
        of_run = "run = ?", [run]
        with store.errors():
            self._stages = KeyMap(*load_keys(store, "stages", "key"))
            self._retrievals = KeyMap(*load_keys(store, "documents", "retrieval", "retrieval <> ''"))
            self._done = KeySet(load_keys(store, "documents", "key", *of_run)[0])
            # Where this run has rows of a document: when it is done anew, they have to go.
            self._places = KeyMap()
            for table in ("documents", "failures"):
                self._places.update(*load_keys(store, table, "md5(document)", *of_run))

    def done(self, key: str) -> bool:
        """Tell whether the document of this key was done before this sitting."""
        return key in self._done

    def failed(self) -> dict[str, tuple[str, str]]:
        """Return the ids of the documents that failed before, each with the key of what failed, and the kind."""
        with self.lock, self._store.errors():
            rows = self._store.connection.execute(
                "SELECT document, key, kind FROM failures WHERE run = ?", [self._run]
            ).fetchall()
        return {document: (key, kind) for document, key, kind in rows}

    def spent(self) -> tuple[int, float]:
        """Return the tokens that the run has taken so far, read and written, and its seconds at work."""
        with self.lock, self._store.errors():
            (tokens,) = self._store.first(_TOKENS, [self._run]) or (0,)
            (seconds,) = self._store.first("SELECT seconds FROM runs WHERE run = ?", [self._run]) or (0.0,)
        return tokens, seconds

    def has_answer(self, key: str) -> bool:
        """Tell whether there is an answer of this key."""
        return self._stages.get(key) is not None

    def answers(self, keys: Iterable[str]) -> dict[str, list[Any]]:
        """Return the stored outputs of stages by key, from any run of the file."""
        with self.lock, self._store.errors():
            found = batches_of(self._stages, keys)
            rows = (
                self._store.connection.execute(_ANSWERS, [sorted(set(found.values())), list(found)]).fetchall()
                if found
                else []
            )
        return {key: orjson.loads(output) for key, output in rows}

    def retrievals(self, keys: Iterable[str]) -> dict[str, list[Candidate]]:
        """Return the candidates stored under these keys by any run of the file, in the order of the fusion."""
        with self.lock, self._store.errors():
            found = batches_of(self._retrievals, keys)
            if not found:
                return {}
            rows = self._store.connection.execute(_RETRIEVED, [sorted(set(found.values())), list(found)]).fetchall()
            if not rows:
                return {}
            candidates = read_candidates(self._store, self._taxonomy, [row[1:] for row in rows])
        return dict(zip([row[0] for row in rows], candidates, strict=True))

    def batches_of(self, documents: Iterable[str]) -> dict[str, int]:
        """Return those of some documents that the run has rows of, each with the batch of these."""
        if not len(self._places):
            return {}
        found = ((name, self._places.get(text_key(name))) for name in documents)
        return {name: batch for name, batch in found if batch is not None}

    def note(
        self, batch: int, documents: Sequence[DocumentResult], failures: Sequence[Failure], stages: Iterable[str]
    ) -> None:
        """Remember where the rows of a batch are, once they are in."""
        for key in stages:
            self._stages.put(key, batch)
        for item in documents:
            if item.retrieval:
                self._retrievals.put(item.retrieval, batch)
        # A document comes once in a sitting, but one that failed may be tried again.
        names = [item.document for item in failures]
        names += [item.document for item in documents if text_key(item.document) in self._places]
        for name in names:
            self._places.put(text_key(name), batch)
