"""A folder that `datasets.load_dataset` takes: documents and labels as Parquet, and a card that says what they are.

https://huggingface.co/docs/datasets/repository_structure and …/hub/datasets-cards
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import orjson

from labelmill.corpus.fields import clean
from labelmill.errors import InputError
from labelmill.formats.values import Item, Judged, Labels, Opinion, Vote
from labelmill.formats.writing import whole

CARD, DOCUMENTS, LABELS = "README.md", "data/train-00000-of-00001.parquet", "labels/train-00000-of-00001.parquet"
MARK = "tags:\n- labelmill\n"
"""Stands in the card of a folder that may be written anew."""

_KEY = b"labelmill"
"""Of what a Parquet file of ours says about itself."""

_AT_ONCE = 1000
_PREDICTION = {"label": "VARCHAR", "rank": "INTEGER", "score": "DOUBLE", "selected": "BOOLEAN"}
_DOCUMENT = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "labels": ["VARCHAR"],
    "predictions": [_PREDICTION],
    "gold": ["VARCHAR"],
}
_LABEL = {
    "id": "VARCHAR",
    "name": "VARCHAR",
    "aliases": ["VARCHAR"],
    "description": "VARCHAR",
    "parents": ["VARCHAR"],
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where predictions come from, as the Parquet file says: the run, and whether scores are probabilities."""

    run: str
    probabilities: bool


def prepare_folder(folder: Path) -> None:
    """Make the folder, or see that one that is there may be written anew.

    Raises:
        InputError: It cannot be made, or has somebody else's files.
    """
    try:
        for name in (DOCUMENTS, LABELS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        card = folder / CARD
        named = card.exists()
        ours = named and MARK in card.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        message = f"the folder cannot be made: {error.strerror}"
        raise InputError(message, path=folder, remedy="Name another folder.") from error
    if named and not ours:
        raise InputError("the folder has a card of something else", path=card, remedy="Name another folder.")
    for name, what in ((DOCUMENTS, "documents"), (LABELS, "labels")):
        if not named and (folder / name).exists() and not _is_ours(folder / name):
            message = f"the folder has {what} of something else"
            raise InputError(message, path=folder / name, remedy="Name another folder.")


def _is_ours(file: Path) -> bool:
    """Tell what an export wrote that was stopped before its card."""
    with duckdb.connect(":memory:") as connection:
        try:
            return any(bytes(key) == _KEY for key, _ in _notes(connection, glob.escape(str(file))))
        except duckdb.Error:
            return False


def write_documents(folder: Path, items: Iterable[Item], labels: Labels, origin: Origin) -> int:
    """Write the documents, and the labels beside them; returns how many documents there are.

    Rows lie in a database on disk until all are there: memory holds a batch of them.

    Args:
        folder: As `prepare_folder` left it.
        items: The documents.
        labels: Their labels.
        origin: Goes into the file.

    Raises:
        InputError: A file cannot be written.
    """
    rows = ({each: getattr(label, each) for each in _LABEL} for label in labels.labels)
    _write(folder / LABELS, rows, _LABEL, None)
    return _write(folder / DOCUMENTS, (_row(item, labels) for item in items), _DOCUMENT, origin)


def read_folder(path: Path) -> Iterator[Judged]:
    """Read such a folder, or a Parquet file of documents with ``id``, and perhaps ``text`` and ``labels``.

    A run's predictions are for what is in its final sets, and against the rest. Labels without predictions are gold.

    Args:
        path: The folder or the file.

    Raises:
        InputError: There is no Parquet file, or it has no ``id``.
    """
    file = path if path.is_file() else None
    pattern = glob.escape(str(file)) if file else f"{glob.escape(str(path))}/data/*.parquet"
    if file is None and not any((path / "data").glob("*.parquet")):
        remedy = "Name a folder with data/*.parquet, or a Parquet file."
        raise InputError("there is no Parquet file", path=path, remedy=remedy)
    with duckdb.connect(":memory:") as connection:
        try:
            kinds = dict(
                row[:2] for row in connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [pattern]).fetchall()
            )
            _check(kinds, path)
            chosen = [name for name in _DOCUMENT if name in kinds]
            origin = _origin(connection, pattern)
            connection.execute(f"SELECT {', '.join(chosen)} FROM read_parquet(?)", [pattern])  # noqa: S608 - ours
            number = 0
            while batch := connection.fetchmany(_AT_ONCE):
                for number, row in enumerate(batch, number + 1):  # noqa: B020 - counts on over the batches
                    yield _judged(dict(zip(chosen, row, strict=True)), origin, f"{clean(str(path))}:{number}", path)
        except duckdb.Error as reason:
            message = f"this cannot be read as Parquet: {str(reason).partition(chr(10))[0]}"
            raise InputError(message, path=path, remedy="Check the file.") from None


def _check(kinds: dict[str, str], path: Path) -> None:
    if "id" not in kinds:
        raise InputError(
            f"there is no column 'id'; the columns are {', '.join(map(repr, kinds))}",
            path=path,
            remedy="Rename the one that names documents.",
        )
    remedies = {
        "id": "Ids are texts or whole numbers.",
        "predictions": "Write it as labelmill export does: label, rank, score, selected.",
    }
    wanted = {
        "labels": r"VARCHAR(\[\])?",
        "gold": r"VARCHAR(\[\])?",
        "predictions": (
            r'STRUCT\("?label"? VARCHAR, "?rank"? [A-Z]*INT(EGER)?, "?score"? (DOUBLE|FLOAT|DECIMAL\(.*\)), '
            r'"?selected"? BOOLEAN\)\[\]'
        ),
        "id": r"VARCHAR|[A-Z]*INT(EGER)?|UUID",
    }
    for name, pattern in wanted.items():
        if name in kinds and not re.fullmatch(pattern, kinds[name]):
            raise InputError(
                f"the column {name!r} is {kinds[name]}",
                path=path,
                remedy=remedies.get(name, "Labels are texts, or lists of texts."),
            )


def _row(item: Item, labels: Labels) -> dict[str, object]:
    ids = labels.labels
    return {
        "id": item.document,
        "text": item.text,
        "labels": [ids[each.label].id for each in item.predictions if each.selected],
        "predictions": [
            {"label": ids[each.label].id, "rank": each.rank, "score": each.score, "selected": each.selected}
            for each in item.predictions
        ],
        "gold": None if item.gold is None else [ids[each].id for each in item.gold],
    }


def _write(path: Path, rows: Iterable[dict[str, object]], shape: dict[str, Any], origin: Origin | None) -> int:
    kind = orjson.dumps([shape]).decode()
    told = {} if origin is None else {"run": origin.run, "probabilities": origin.probabilities}
    note = "'" + orjson.dumps(told).decode().replace("'", "''") + "'"
    count = 0
    with whole(path) as part, TemporaryDirectory(dir=path.parent, prefix=".rows.") as aside:
        connection = duckdb.connect(str(Path(aside) / "rows.duckdb"), config={"memory_limit": "1GB", "threads": 2})
        try:
            with connection:
                connection.execute(
                    f"CREATE TABLE rows ({', '.join(f'{name} {_sql(of)}' for name, of in shape.items())})"
                )
                left = iter(rows)
                while batch := list(islice(left, _AT_ONCE)):
                    connection.execute(
                        "INSERT INTO rows SELECT unnest(from_json(?, ?), max_depth := 2)",
                        [orjson.dumps(batch).decode(), kind],
                    )
                    count += len(batch)
                target = "'" + str(part).replace("'", "''") + "'"
                connection.execute(
                    f"COPY rows TO {target} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{labelmill: {note}}})"
                )
        except duckdb.Error as error:
            message = f"it cannot be written: {str(error).partition(chr(10))[0]}"
            raise InputError(message, path=path, remedy="Name a folder that can be written to and has space.") from None
    return count


def _sql(kind: Any) -> str:
    if isinstance(kind, list):
        return f"{_sql(kind[0])}[]"
    if isinstance(kind, dict):
        return f"STRUCT({', '.join(f'{name} {_sql(of)}' for name, of in kind.items())})"
    return str(kind)


def _origin(connection: duckdb.DuckDBPyConnection, pattern: str) -> Origin:
    for key, value in _notes(connection, pattern):
        if bytes(key) == _KEY:
            try:
                told = orjson.loads(bytes(value))
                return Origin(clean(str(told["run"])), told["probabilities"] is True)
            except (orjson.JSONDecodeError, KeyError, TypeError):
                break
    return Origin("predictions", probabilities=False)


def _notes(connection: duckdb.DuckDBPyConnection, pattern: str) -> list[tuple[Any, Any]]:
    return connection.execute("SELECT key, value FROM parquet_kv_metadata(?)", [pattern]).fetchall()


def _judged(row: dict[str, Any], origin: Origin, source: str, path: Path) -> Judged:
    document = row["id"]
    if document is None or not str(document).strip():
        raise InputError("a row has no id", path=path, line=int(source.rpartition(":")[2]), remedy="Mend the file.")
    labels, gold = row.get("labels"), row.get("gold")
    predictions = row.get("predictions")
    opinions: tuple[Opinion, ...] = ()
    if predictions is None:
        gold = labels if gold is None else gold
    else:
        votes = tuple(
            _vote(each, probabilities=origin.probabilities)
            for each in predictions
            if each is not None and each["label"] is not None
        )
        opinions = (Opinion(origin.run, votes, predicted=True),)
    named = None if gold is None else [gold] if isinstance(gold, str) else [each for each in gold if each is not None]
    text = row.get("text")
    return Judged(
        clean(str(document)),
        clean(text) if isinstance(text, str) else "",
        opinions,
        None if named is None else tuple(map(clean, named)),
        source,
    )


def _vote(prediction: dict[str, Any], *, probabilities: bool) -> Vote:
    selected, score, rank = prediction["selected"] is True, float(prediction["score"] or 0), prediction["rank"] or 0
    sure = (score if selected else 1 - score) if probabilities and isfinite(score) else 1.0
    return Vote(clean(prediction["label"]), 1 if selected else -1, min(max(sure, 1e-6), 1.0), max(rank, 0))
