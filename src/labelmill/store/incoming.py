"""A table of votes on its way into the file: read by DuckDB, checked, its labels resolved; millions of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from labelmill.errors import InputError
from labelmill.store.database import Store
from labelmill.store.vote_writer import VoteWriter

_FIELDS = ("document", "label", "voter", "vote", "confidence", "rank")
_AS_TEXT = ", ".join(f"{name}: 'VARCHAR'" for name in _FIELDS)
"""Of JSON: else DuckDB takes some ids for dates or UUIDs and writes them anew, and quotes them where types differ."""

_READERS = {
    ".csv": "read_csv({}, all_varchar = true, header = true)",
    ".tsv": "read_csv({}, all_varchar = true, header = true, delim = '\t')",
    ".jsonl": "read_json({}, format = 'newline_delimited'{})",
    ".ndjson": "read_json({}, format = 'newline_delimited'{})",
    ".parquet": "read_parquet({})",
}
_OPTIONAL = {"voter": "NULL", "vote": "'1'", "confidence": "'1'", "rank": "'0'"}
_FOR, _AGAINST = "('1', '+1', '1.0', 'true')", "('-1', '-1.0', 'false')"


class Incoming:
    """The votes of one table.

    Args:
        store: The file that they go to, open for writing.
        path: The table.
        voter: Who votes where the table does not say.

    Raises:
        InputError: The table cannot be read, or a row of it cannot be used.
    """

    def __init__(self, store: Store, path: Path, voter: str) -> None:
        """Read and check the table."""
        columns = self.columns_of(path)
        if missing := sorted({"document", "label"} - set(columns)):
            raise InputError(
                f"there is no field {missing[0]!r}; the fields are {', '.join(map(repr, columns)) or 'none'}",
                path=path,
                remedy="A table of votes has document and label, and may have voter, vote, confidence, rank.",
            )
        self._connection = store.connection
        reader, fields = _reader(path, texts=True), _FIELDS if _is_json(path) else columns
        chosen = {name: f'"{name}"::VARCHAR' if name in fields else other for name, other in _OPTIONAL.items()}
        query = (
            "CREATE OR REPLACE TEMP TABLE incoming AS SELECT row_number() OVER () AS line, "  # noqa: S608
            f'coalesce({chosen["voter"]}, $voter) AS voter, "document"::VARCHAR AS document, '
            f"\"label\"::VARCHAR AS label, lower(coalesce({chosen['vote']}, '1')) AS vote, "
            f"coalesce({chosen['confidence']}, '1') AS confidence, coalesce({chosen['rank']}, '0') AS rank "
            f"FROM {reader}"
        )
        try:
            self._connection.execute(query, {"voter": voter})
        except duckdb.Error as reason:
            raise _unreadable(path, reason) from None
        self._check(path)

    @staticmethod
    def columns_of(path: Path) -> list[str]:
        """List the columns of a table.

        Raises:
            InputError: It cannot be read.
        """
        if not path.is_file():
            raise InputError("there is no such file", path=path, remedy="Check the path.")
        with duckdb.connect(":memory:") as connection:
            try:
                return [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {_reader(path)}").fetchall()]  # noqa: S608
            except duckdb.Error as reason:
                raise _unreadable(path, reason) from None

    def labels(self) -> list[str]:
        """List the distinct labels, as they are written."""
        return [row[0] for row in self._connection.execute("SELECT DISTINCT label FROM incoming ORDER BY 1").fetchall()]

    def count(self, label: str) -> int:
        """Count the votes on a label."""
        rows = self._connection.execute("SELECT count(*) FROM incoming WHERE label = ?", [label]).fetchall()
        return int(rows[0][0])

    def documents(self) -> int:
        """Count the documents."""
        return int(self._connection.execute("SELECT count(DISTINCT document) FROM incoming").fetchall()[0][0])

    def resolve(self, ids: Mapping[str, str]) -> None:
        """Say what the labels' ids are; votes on others stay out."""
        columns = {"label": np.array(list(ids), dtype=np.object_), "id": np.array(list(ids.values()), dtype=np.object_)}
        self._connection.register("new_ids", columns)
        self._connection.execute("CREATE OR REPLACE TEMP TABLE ids AS SELECT * FROM new_ids")
        self._connection.unregister("new_ids")

    def voters(self) -> list[str]:
        """List the voters that have a vote on a label that is resolved."""
        query = "SELECT DISTINCT voter FROM incoming WHERE label IN (SELECT label FROM ids) ORDER BY voter"
        return [row[0] for row in self._connection.execute(query).fetchall()]

    def copy(self, writer: VoteWriter, voters: Sequence[str], *, own_documents: bool) -> None:
        """Write the votes of some voters, and the documents of the table, or theirs alone."""
        mine = "voter IN (SELECT unnest($voters::VARCHAR[]))"
        given: dict[str, Any] = {"voters": list(voters)}
        writer.copy(
            f"SELECT DISTINCT document FROM incoming {f'WHERE {mine}' if own_documents else ''}",  # noqa: S608
            "SELECT voter, document, id, CASE WHEN vote IN "  # noqa: S608
            f"{_FOR} THEN 1 ELSE -1 END, confidence::FLOAT, rank::INTEGER FROM ("
            "SELECT DISTINCT ON (voter, document, id) * FROM incoming JOIN ids USING (label) "
            f"WHERE {mine} ORDER BY line)",
            given,
            voters[0],
        )

    def _check(self, path: Path) -> None:
        wrong = {
            "document IS NULL OR trim(document) = ''": ("the document", "document"),
            "label IS NULL OR trim(label) = ''": ("the label", "label"),
            "trim(voter) = ''": ("the voter", "voter"),
            f"vote NOT IN {_FOR} AND vote NOT IN {_AGAINST}": ("the vote is not 1 or -1:", "vote"),
            "coalesce(TRY_CAST(confidence AS DOUBLE), -1) NOT BETWEEN 1e-9 AND 1": (
                "the confidence is not above 0 and at most 1:",
                "confidence",
            ),
            "coalesce(TRY_CAST(rank AS INTEGER), -1) < 0 OR TRY_CAST(rank AS DOUBLE) != TRY_CAST(rank AS INTEGER)": (
                "the rank is no whole number from 1, or 0 for none:",
                "rank",
            ),
        }
        suffix = _suffix(path)
        for condition, (what, column) in wrong.items():
            found = self._connection.execute(
                f'SELECT line, "{column}" FROM incoming WHERE {condition} ORDER BY line LIMIT 1'  # noqa: S608
            ).fetchall()
            if found:
                line, value = found[0]
                told = what if what.endswith(":") else f"{what} is missing:"
                raise InputError(
                    f"{told} {value!r}",
                    path=path,
                    line=None if suffix == ".parquet" else line + (suffix in {".csv", ".tsv"}),
                    remedy="Mend the row.",
                )


def _suffix(path: Path) -> str:
    return (Path(path.stem) if path.suffix.lower() == ".gz" else path).suffix.lower()


def _is_json(path: Path) -> bool:
    return _suffix(path) in {".jsonl", ".ndjson"}


def _reader(path: Path, *, texts: bool = False) -> str:
    """Write how DuckDB reads a table; with `texts`, the fields of JSON as they are written."""
    suffix = _suffix(path)
    if suffix not in _READERS:
        raise InputError(
            f"votes are not read from {suffix or 'such a file'}",
            path=path,
            remedy="Use .csv, .tsv, .jsonl or .parquet.",
        )
    quoted = "'" + str(path).replace("'", "''") + "'"
    return _READERS[suffix].format(quoted, f", columns = {{{_AS_TEXT}}}" if texts else "")


def _unreadable(path: Path, reason: Exception) -> InputError:
    return InputError(f"it cannot be read: {' '.join(str(reason).split())[:200]}", path=path, remedy="Mend the file.")
