"""Reading runs back: which there are, the ranked labels as arrays for evaluation, failures, exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from labelmill.errors import InputError, StoreError
from labelmill.records import Label
from labelmill.store.database import Store
from labelmill.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class RankedLabels:
    """The predictions of a run as arrays, in the order of `documents`.

    Attributes:
        documents: Ids of the documents that are done.
        failed: Ids of the documents that failed.
        rows: Index into `documents` of each prediction, int64, shape (n,).
        labels: Position in the taxonomy, int32, shape (n,).
        ranks: From 1, int32, shape (n,).
        selected: Whether in the final set, bool, shape (n,).
        scores: float64, shape (n,).
    """

    documents: list[str]
    failed: list[str]
    rows: NDArray[np.int64]
    labels: NDArray[np.int32]
    ranks: NDArray[np.int32]
    selected: NDArray[np.bool_]
    scores: NDArray[np.float64]


def run_names(store: Store) -> list[str]:
    """List the runs of a store, the oldest first."""
    with store.errors():
        return [row[0] for row in store.connection.execute("SELECT run FROM runs ORDER BY started, run").fetchall()]


def last_run(store: Store) -> str:
    """Return the run that was written last.

    Raises:
        StoreError: There is none.
    """
    with store.errors():
        row = store.first("SELECT run FROM runs ORDER BY updated DESC, started DESC, run LIMIT 1")
    return row[0] if row else choose_run(store, None)


def choose_run(store: Store, run: str | None) -> str:
    """Return the run that was asked for, or the newest.

    Raises:
        StoreError: There is none, or none of that name.
    """
    names = run_names(store)
    if not names:
        raise StoreError(f"{store.path} holds no run. Make one with: labelmill label … --out {store.path}")
    if run is None:
        return names[-1]
    if run not in names:
        raise StoreError(f"{store.path} has no run {run!r}. It has: {', '.join(names)}.")
    return run


def read_taxonomy(store: Store, run: str) -> Taxonomy:
    """Read back the labels that a run was made with."""
    with store.errors():
        rows = store.connection.execute(
            "SELECT label, name, aliases, description, parents FROM labels "
            "WHERE taxonomy = (SELECT taxonomy FROM runs WHERE run = ?) ORDER BY position",
            [run],
        ).fetchall()
    return Taxonomy.from_labels(
        Label(id=row[0], name=row[1], aliases=tuple(row[2]), description=row[3], parents=tuple(row[4])) for row in rows
    )


def read_ranked(store: Store, run: str, *, depth: int) -> RankedLabels:
    """Read the first `depth` predictions of every document of a run, and everything selected."""
    with store.errors():
        documents = store.connection.execute(
            "SELECT document FROM documents WHERE run = ? ORDER BY document", [run]
        ).fetchall()
        failed = store.connection.execute(
            "SELECT DISTINCT document FROM failures WHERE run = ? ORDER BY document", [run]
        ).fetchall()
        columns = store.connection.execute(_RANKED, {"run": run, "depth": depth}).fetchnumpy()
    return RankedLabels(
        [row[0] for row in documents],
        [row[0] for row in failed],
        np.asarray(columns["row"], dtype=np.int64),
        np.asarray(columns["position"], dtype=np.int32),
        np.asarray(columns["rank"], dtype=np.int32),
        np.asarray(columns["selected"], dtype=np.bool_),
        np.asarray(columns["score"], dtype=np.float64),
    )


def predictions_of(store: Store, run: str, documents: Sequence[str], *, depth: int) -> list[tuple[Any, ...]]:
    """Read (document, rank, label, name, score, selected) of some documents, by document and rank."""
    with store.errors():
        return store.connection.execute(
            f"SELECT document, rank, label, name, score, selected FROM ({_LONG}) "  # noqa: S608 - constant text
            "WHERE rank <= $depth AND document IN (SELECT unnest($documents::VARCHAR[])) ORDER BY document, rank",
            {"run": run, "depth": depth, "documents": list(documents)},
        ).fetchall()


def read_failures(store: Store, run: str) -> list[dict[str, str | int]]:
    """Read what failed in a run, by file and within it by line, whose numbers are counted and not spelled."""
    with store.errors():
        relation = store.connection.sql(
            "SELECT document, stage, kind, message, source, attempts FROM failures WHERE run = $run "
            r"ORDER BY regexp_replace(source, ':\d+$', ''), TRY_CAST(regexp_extract(source, ':(\d+)$', 1) AS BIGINT), "
            "document",
            params={"run": run},
        )
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def count_failures(store: Store, run: str) -> list[tuple[str, str, int]]:
    """Count what failed in a run by stage and kind, the most frequent first."""
    with store.errors():
        return store.connection.execute(
            "SELECT stage, kind, count(*) FROM failures WHERE run = ? GROUP BY ALL ORDER BY 3 DESC, 1, 2", [run]
        ).fetchall()


Standing = Sequence[tuple[str, str, str, int]]
"""What stands for each label of a run: ids of both, the latter's name, and its place among several, from 0."""


def export(
    store: Store, run: str, target: Path, *, selected_only: bool = False, standing: Standing | None = None
) -> int:
    """Write one row per (document, label) to a ``.parquet``, ``.jsonl`` or ``.csv`` file.

    Args:
        store: Where the run is.
        run: Its name.
        target: The file to write; replaced where it is there.
        selected_only: Leave out what is not in a final set.
        standing: Write other labels in place of the run's, each once a document, with the best rank and score of those
            that it stands for; a further column, ``stands_for``, has the id of the best of them.

    Returns:
        How many rows were written.

    Raises:
        InputError: The file's suffix is none of these, or its folder does not exist.
        StoreError: The file cannot be written.
    """
    if target.suffix.lower() not in _FORMATS:
        raise InputError(f"unknown format {target.suffix!r}", path=target, remedy="Use .parquet, .jsonl or .csv.")
    if not target.parent.exists():
        raise InputError(f"the folder {target.parent} does not exist", path=target, remedy="Create it first.")
    rows = f"SELECT document, label, name, rank, score, selected FROM ({_LONG})"  # noqa: S608 - constant text
    if standing is not None:
        labels, above, names, places = ([row[column] for row in standing] for column in range(4))
        columns = {"label": np.array(labels, object), "above": np.array(above, object)}
        store.connection.register(
            "standing", columns | {"above_name": np.array(names, object), "place": np.array(places, np.int64)}
        )
        rows = f"WITH own AS ({_LONG}) {_STANDING}"
    query = f"SELECT * FROM ({rows}) {'WHERE selected' if selected_only else ''} ORDER BY document, rank"  # noqa: S608 - constant text
    # Written beside, then moved: an export that fails leaves the old file as it was.
    part = target.with_name(f".{target.name}.part")
    try:
        with store.errors(target):
            count = _FORMATS[target.suffix.lower()](store.connection, query, {"run": run}, part)
            part.replace(target)
            return count
    finally:
        part.unlink(missing_ok=True)


_LONG = (
    "SELECT document, label, name, rank, score, selected "
    "FROM predictions JOIN (SELECT * FROM labels WHERE taxonomy = (SELECT taxonomy FROM runs WHERE run = $run)) "
    "USING (label) WHERE run = $run"
)

_STANDING = """
    SELECT document, above AS label, name, row_number() OVER (PARTITION BY document ORDER BY best) AS rank,
           score, selected, stands_for
    FROM (SELECT document, above, any_value(above_name) AS name, min([rank, place]) AS best, max(score) AS score,
                 bool_or(selected) AS selected, arg_min(label, [rank, place]) AS stands_for
          FROM own JOIN standing USING (label) GROUP BY document, above)
"""

_RANKED = (
    "WITH done AS (SELECT document, row_number() OVER (ORDER BY document) - 1 AS row FROM documents WHERE run = $run), "
    "known AS (SELECT label, position FROM labels WHERE taxonomy = (SELECT taxonomy FROM runs WHERE run = $run)) "
    "SELECT row, position, rank, selected, score FROM predictions JOIN done USING (document) JOIN known USING (label) "
    "WHERE run = $run AND (rank <= $depth OR selected) ORDER BY row, rank"
)


def _to_parquet(connection: Any, query: str, parameters: dict[str, str], target: Path) -> int:
    relation = connection.sql(query, params=parameters)
    relation.write_parquet(str(target))
    return int(relation.count("*").fetchall()[0][0])


def _to_csv(connection: Any, query: str, parameters: dict[str, str], target: Path) -> int:
    relation = connection.sql(query, params=parameters)
    relation.write_csv(str(target))
    return int(relation.count("*").fetchall()[0][0])


def _to_jsonl(connection: Any, query: str, parameters: dict[str, str], target: Path) -> int:
    result = connection.execute(query, parameters)
    columns = [column[0] for column in result.description]
    count = 0
    with target.open("wb") as file:
        while rows := result.fetchmany(10_000):
            file.writelines(orjson.dumps(dict(zip(columns, row, strict=True))) + b"\n" for row in rows)
            count += len(rows)
    return count


_FORMATS = {".parquet": _to_parquet, ".csv": _to_csv, ".jsonl": _to_jsonl}
