"""Answers of a model that belong to no run: found again by their keys, and what they cost."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from labelmill.keys import KeyMap
from labelmill.store.database import Store
from labelmill.store.located import batches_of, last_batch, load_keys
from labelmill.store.results import Spending, StageResult


class KeptAnswers:
    """The answers of a file, for whoever votes: as runs keep theirs, so that neither asks what the other did.

    Looked up from other threads, over a connection of its own; written by the thread that the store belongs to.

    Args:
        store: Open for writing.
        spender: Who is written down as having spent what answers cost, in place of a run.
    """

    def __init__(self, store: Store, spender: str) -> None:
        """Load the keys of the answers that there are."""
        self._store, self._spender = store, spender
        with store.errors():
            self._keys = KeyMap(*load_keys(store, "stages", "key"))
            self._batch = last_batch(store)
            self._reading = store.connection.cursor()
        self._lock = threading.Lock()

    def answers(self, keys: Iterable[str]) -> dict[str, list[Any]]:
        """Return the stored answers of these keys; those that there are."""
        with self._lock, self._store.errors():
            found = batches_of(self._keys, keys)
            if not found:
                return {}
            rows = self._reading.execute(
                "SELECT key, output FROM stages "
                "WHERE batch IN (SELECT unnest(?::UINTEGER[])) AND key IN (SELECT unnest(?::VARCHAR[]))",
                [sorted(set(found.values())), list(found)],
            ).fetchall()
        return {key: orjson.loads(output) for key, output in rows}

    def write(self, stages: Sequence[StageResult], spent: Sequence[Spending]) -> None:
        """Commit answers, of two with one key the first, and what was spent, whatever came of it."""
        with self._lock:
            fresh = {each.key: each for each in reversed(stages) if self._keys.get(each.key) is None}
            if not fresh and not spent:
                return
            self._batch += 1
            with self._store.transaction():
                self._store.insert("stages", [asdict(each) | {"batch": self._batch} for each in fresh.values()])
                for each in spent:
                    self._store.connection.execute(
                        "INSERT INTO spent VALUES (?, now(), ?, ?, ?, ?, ?, ?)", [self._spender, *asdict(each).values()]
                    )
            for key in fresh:
                self._keys.put(key, self._batch)

    def close(self) -> None:
        """Let go of the connection."""
        self._reading.close()
