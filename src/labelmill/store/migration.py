"""A run's predictions carried over to another version of its taxonomy: a new run, of which no model was asked anything.

Done by DuckDB, stretch by stretch: evidence never leaves the file. What a stretch is, is what some batches of the old
run wrote, so that a document's predictions are together in one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from labelmill.errors import StoreError
from labelmill.keys import content_key
from labelmill.store.database import Store
from labelmill.store.taxonomies import put_taxonomy
from labelmill.taxonomy import Taxonomy

MIGRATION_VERSION = 1
"""Raised whenever the same run and map would give other rows."""

MIGRATED = "migrated"
"""The state of such a run, and what says in its program of which run it was made."""

_BATCHES_AT_ONCE = 64
"""Some 2,000 documents with 100,000 predictions."""

_PREDICTIONS = (
    "INSERT INTO predictions BY NAME "
    # Of a merged label the better rank stands, with its score and evidence; it is selected if either was.
    "WITH gone_on AS (SELECT document, target AS label, "
    "arg_min({'score': score, 'retrieval_score': retrieval_score, 'evidence': evidence}, rank) AS best, "
    "min(rank) AS rank, bool_or(selected) AS selected, "
    "coalesce(min(nullif(retrieval_rank, 0)), 0) AS retrieval_rank, min(turn) AS turn "
    "FROM predictions JOIN new_targets USING (label) WHERE run = $old AND batch BETWEEN $first AND $last "
    "GROUP BY document, target) "
    "SELECT $new AS run, document, label, "
    "(row_number() OVER (PARTITION BY document ORDER BY rank, turn, label))::INTEGER AS rank, "
    "best.score AS score, selected, "
    "(CASE retrieval_rank WHEN 0 THEN 0 ELSE row_number() OVER (PARTITION BY document, retrieval_rank = 0 "
    "ORDER BY retrieval_rank, rank, turn, label) END)::INTEGER AS retrieval_rank, "
    "best.retrieval_score AS retrieval_score, best.evidence AS evidence, $batch AS batch "
    "FROM gone_on ORDER BY document, rank"
)
_DOCUMENTS = (
    "INSERT INTO documents BY NAME "
    # `migrated_key`. No run that labels takes such a document for done, nor its predictions for candidates.
    "SELECT $new AS run, document, md5($key || key) AS key, source, chunks, stages, '' AS retrieval, $batch AS batch "
    "FROM documents WHERE run = $old AND batch BETWEEN $first AND $last ORDER BY document"
)
_FAILURES = (
    "INSERT INTO failures BY NAME SELECT * REPLACE ($new AS run, md5($key || key) AS key, $batch AS batch) "
    "FROM failures WHERE run = $old AND batch BETWEEN $first AND $last ORDER BY document"
)
_COUNTS = (
    "SELECT label, count(*), count(*) FILTER (selected) FROM predictions "
    "WHERE run = ? AND label IN (SELECT unnest(?::VARCHAR[])) GROUP BY label"
)
_DONE = (
    "WITH before AS (SELECT DISTINCT document FROM predictions WHERE run = $old AND selected), "
    "after AS (SELECT DISTINCT document FROM predictions WHERE run = $new AND selected), "
    "emptied AS (SELECT document FROM before ANTI JOIN after USING (document)) "
    "SELECT (SELECT count(*) FROM documents WHERE run = $new), (SELECT count(*) FROM failures WHERE run = $new), "
    "(SELECT count(*) FROM predictions WHERE run = $new), "
    "(SELECT count(*) FROM predictions WHERE run = $new AND selected), (SELECT count(*) FROM emptied)"
)
_RUN = "SELECT taxonomy, key, program, corpus, state FROM runs WHERE run = ?"
_TABLES = ("documents", "predictions", "failures")


@dataclass(frozen=True, slots=True)
class MigratedRun:
    """What became of a run's predictions.

    Attributes:
        run: The new run.
        source: The old one.
        documents: Documents carried over.
        failures: Documents that failed, carried over as well.
        predictions: Predictions of the new run.
        selected: Those of them that are in a final set.
        removed: For labels that are gone how many predictions were dropped, and how many of final sets.
        split: The same for labels that were split, where nobody said that all parts apply.
        emptied: Documents whose final set held labels before, and holds none now.
        merged: Predictions that became one with another of the same document.
    """

    run: str
    source: str
    documents: int
    failures: int
    predictions: int
    selected: int
    removed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    split: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    emptied: int = 0
    merged: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, the counts of a label by name."""
        dropped = {
            what: {label: {"predictions": count, "selected": selected} for label, (count, selected) in found.items()}
            for what, found in (("removed", self.removed), ("split", self.split))
        }
        return asdict(self) | dropped


def migrated_key(run: str, document: str) -> str:
    """Make a document's key in a migrated run: of that run's key, and of the key that the document had before."""
    return hashlib.md5((run + document).encode(), usedforsecurity=False).hexdigest()  # as DuckDB's md5()


def taxonomy_of(store: Store, run: str) -> str:
    """Return the key of a run's taxonomy."""
    with store.errors():
        row = store.first("SELECT taxonomy FROM runs WHERE run = ?", [run])
    return str(row[0]) if row else ""


def migrate_run(
    store: Store,
    run: str,
    taxonomy: Taxonomy,
    targets: Mapping[str, Sequence[str]],
    *,
    name: str,
    source: str,
    version: str,
    all_parts: bool = False,
) -> MigratedRun:
    """Carry a run over to another version of its taxonomy, as a new run of the same file.

    The new run keeps the documents, the ranks' order, scores and evidence. It is made in one transaction: after a kill
    there is nothing of it. A migration that is there already, of the same run and map, is made again.

    Args:
        store: Open for writing.
        run: The run; it stays as it is.
        taxonomy: The version to carry it over to.
        targets: For every label of the run's own version, its ids in `taxonomy`; none where it is gone.
        name: Of the new run.
        source: Where `taxonomy` came from.
        version: Of labelmill.
        all_parts: Give a document all parts of a label that was split; else the label is left out and counted.

    Raises:
        StoreError: There is a run of this name that is another.
    """
    with store.errors():
        row = store.first(_RUN, [run])
    if row is None:
        raise StoreError(f"{store.path} has no run {run!r}.")
    before, run_key, program, corpus, state = row
    used = {label: tuple(into) for label, into in targets.items() if len(into) == 1 or (all_parts and into)}
    key = content_key(MIGRATED, MIGRATION_VERSION, run_key, taxonomy.key, sorted(used.items()))
    origin = {MIGRATED: {"run": run, "taxonomy": before, "state": state}}
    with store.transaction():
        _make_room(store, name, key)
        put_taxonomy(store, taxonomy, source)
        _begin(store, name, key, taxonomy.key, orjson.loads(program) | origin, corpus, version)
        carried = _carry_over(store, run, name, key, used, taxonomy)
        dropped = _dropped(store, run, [label for label in targets if label not in used])
        documents, failures, predictions, selected, emptied = store.first(_DONE, {"old": run, "new": name}) or (0,) * 5
    return MigratedRun(
        name,
        run,
        documents,
        failures,
        predictions,
        selected,
        removed={label: count for label, count in dropped.items() if not targets[label]},
        split={label: count for label, count in dropped.items() if targets[label]},
        emptied=emptied,
        merged=carried - predictions,
    )


def _make_room(store: Store, name: str, key: str) -> None:
    """Drop a migration of this name that is the same; refuse to touch any other run."""
    found = store.first("SELECT key FROM runs WHERE run = ?", [name])
    if found is None:
        return
    if found[0] != key:
        raise StoreError(f"{store.path} has a run {name!r} that is another one. Give another name with --as.")
    for table in ("runs", "sittings", *_TABLES):
        store.connection.execute(f"DELETE FROM {table} WHERE run = ?", [name])  # noqa: S608 - names of ours


def _begin(
    store: Store, name: str, key: str, taxonomy: str, program: Mapping[str, Any], corpus: Sequence[str], version: str
) -> None:
    now = store.connection.execute("SELECT now()::VARCHAR").fetchall()[0][0]
    row = {"run": name, "key": key, "taxonomy": taxonomy, "program": program, "corpus": list(corpus)}
    rest = {"version": version, "state": MIGRATED, "seconds": 0.0, "started": now, "updated": now}
    store.insert("runs", [row | rest])


def _carry_over(
    store: Store, old: str, new: str, key: str, used: Mapping[str, Sequence[str]], taxonomy: Taxonomy
) -> int:
    """Write the new run's rows; give how many its predictions would be if none were of the same label as another."""
    known: Collection[str] = {label.id for label in taxonomy}
    rows = [
        {"label": label, "target": target, "turn": turn}
        for label, into in used.items()
        for turn, target in enumerate(into)
        if target in known  # no prediction outside the taxonomy, whatever the map says
    ]
    connection = store.connection
    connection.execute("CREATE OR REPLACE TEMP TABLE new_targets (label VARCHAR, target VARCHAR, turn INTEGER)")
    store.insert("new_targets", rows)
    batches = connection.execute(
        "SELECT DISTINCT batch FROM (SELECT batch FROM documents WHERE run = $run "
        "UNION ALL SELECT batch FROM failures WHERE run = $run) ORDER BY batch",
        {"run": old},
    ).fetchall()
    (last,) = store.first(
        "SELECT greatest((SELECT max(batch) FROM stages), (SELECT max(batch) FROM documents), "
        "(SELECT max(batch) FROM failures), 0)"
    ) or (0,)
    for number, start in enumerate(range(0, len(batches), _BATCHES_AT_ONCE), start=1):
        stretch = batches[start : start + _BATCHES_AT_ONCE]
        given = {"old": old, "new": new, "first": stretch[0][0], "last": stretch[-1][0], "batch": last + number}
        connection.execute(_DOCUMENTS, given | {"key": key})
        connection.execute(_PREDICTIONS, given)
        connection.execute(_FAILURES, given | {"key": key})
    (carried,) = store.first(
        "SELECT count(*) FROM predictions JOIN new_targets USING (label) WHERE run = ?", [old]
    ) or (0,)
    connection.execute("DROP TABLE new_targets")
    return int(carried)


def _dropped(store: Store, run: str, labels: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Count the predictions of labels that did not go on, the most frequent first."""
    rows = store.connection.execute(_COUNTS, [run, list(labels)]).fetchall() if labels else []
    counts = Counter({label: count for label, count, _ in rows})
    chosen = {label: selected for label, _, selected in rows}
    return {
        label: (count, chosen[label]) for label, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    }
