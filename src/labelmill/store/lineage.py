"""On which run of an older version of the taxonomy a run builds, and of how many documents it asks a model nothing.

A question's key says all that went in: a document whose questions are those of the older run keeps its candidates, as
far as the model is shown them, and all answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from labelmill.keys import KeyMap, text_key
from labelmill.store.database import Store
from labelmill.store.located import load_keys
from labelmill.store.migration import MIGRATED
from labelmill.taxonomy import Taxonomy

_OF_NO_MATTER = {"candidates", "top_k", "threshold", "blend", "calibration", "decision", "learned_from"}
"""Of a program: what follows from a model's answers, and does not change its questions."""

_LEAST_SHARED = 0.5
"""Of the labels of one taxonomy, by id or by name, that the other has if the two are versions of one."""

_RUNS = (
    f"SELECT run, taxonomy, program FROM runs WHERE run <> ? AND taxonomy <> ? AND state <> '{MIGRATED}' "  # noqa: S608
    "ORDER BY started DESC, run"
)

_STAGES = (
    "SELECT document, stages FROM documents WHERE run = ? "
    "AND batch IN (SELECT unnest(?::UINTEGER[])) AND document IN (SELECT unnest(?::VARCHAR[]))"
)
_KEPT = (
    "WITH before AS (SELECT document, hash(stages) AS asked FROM documents WHERE run = $older), "
    "now AS (SELECT document, hash(stages) AS asked FROM documents WHERE run = $run) "
    "SELECT count(*), count(*) FILTER (before.asked = now.asked) FROM now JOIN before USING (document)"
)


@dataclass(frozen=True, slots=True)
class BuildsOn:
    """The older run, and what it brings.

    Attributes:
        run: Its name.
        labels: How many its taxonomy has.
        documents: Documents of the newer run that it has too.
        kept: Those of them of which the model is asked what it was asked before: nothing anew.
    """

    run: str
    labels: int
    documents: int = 0
    kept: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def older_run(store: Store, run: str, program: Mapping[str, Any], taxonomy: Taxonomy) -> BuildsOn | None:
    """Find the newest run that asked a model the same, of another version of the taxonomy.

    Args:
        store: Where to look.
        run: The newer run; it need not be there.
        program: Its specification, in plain values.
        taxonomy: Its labels.
    """
    with store.errors():
        runs = store.connection.execute(_RUNS, [run, taxonomy.key]).fetchall()
        versions: dict[str, int] = {}
        for name, version, stored in runs:
            if _asks(orjson.loads(stored)) == _asks(program):
                if version not in versions:
                    versions[version] = _size_of_version(store, version, taxonomy)
                if versions[version]:
                    return BuildsOn(name, versions[version])
    return None


def count_kept(store: Store, run: str, older: BuildsOn) -> BuildsOn:
    """Count the documents that both runs have, and those that kept their candidates."""
    with store.errors():
        documents, kept = store.first(_KEPT, {"run": run, "older": older.run}) or (0, 0)
    return BuildsOn(older.run, older.labels, documents, kept)


class Asked:
    """What a run asked about its documents, looked up batch by batch; in memory is the batch of each document.

    Args:
        store: Where it is.
        run: Its name.
    """

    def __init__(self, store: Store, run: str) -> None:
        """Load where its documents are."""
        self._store, self._run = store, run
        with store.errors():
            self._places = KeyMap(*load_keys(store, "documents", "md5(document)", "run = ?", [run]))

    def of(self, documents: Iterable[str]) -> dict[str, list[str]]:
        """Give the keys of the questions about those documents that the run has done."""
        found = {name: place for name in documents if (place := self._places.get(text_key(name))) is not None}
        if not found:
            return {}
        given = [self._run, sorted(set(found.values())), list(found)]
        with self._store.errors():
            return dict(self._store.connection.execute(_STAGES, given).fetchall())


def _asks(program: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in program.items() if name not in _OF_NO_MATTER}


def _size_of_version(store: Store, version: str, taxonomy: Taxonomy) -> int:
    """Count the labels of another taxonomy, if it is a version of this one; else 0."""
    rows: Sequence[tuple[str, str]] = store.connection.execute(
        "SELECT label, name FROM labels WHERE taxonomy = ?", [version]
    ).fetchall()
    ids, names = {label for label, _ in rows}, {name for _, name in rows}
    shared = max(sum(label.id in ids for label in taxonomy), sum(label.name in names for label in taxonomy))
    return len(rows) if shared >= _LEAST_SHARED * min(len(rows), len(taxonomy)) else 0
