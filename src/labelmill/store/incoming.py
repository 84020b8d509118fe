"""A table of votes on its way into the file: read by DuckDB, checked, its labels resolved; millions of rows."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import orjson

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
_BATCH = 10_000
_OPTIONAL = {"voter": "NULL", "vote": "'1'", "confidence": "'1'", "rank": "'0'"}
_FOR, _AGAINST = "('1', '+1', '1.0', 'true')", "('-1', '-1.0', 'false')"


@dataclass(frozen=True, slots=True)
class Repeated:
    """Rows of one voter, document and label, of which the first counts and the others are left out.

    Attributes:
        same: Left out, which vote as the first does.
        against: Left out, which vote otherwise.
        example: One of them, of those that vote otherwise where there are any: its line, and that of the first.
    """

    same: int = 0
    against: int = 0
    example: str = ""


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
        self._connection, self._path = store.connection, path
        self._connection.execute("CREATE OR REPLACE TEMP TABLE told (document VARCHAR)")
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

    def count(self) -> int:
        """Count the rows on labels that are resolved."""
        query = "SELECT count(*) FROM incoming WHERE label IN (SELECT label FROM ids)"
        return int(self._connection.execute(query).fetchall()[0][0])

    def outside(self) -> list[tuple[str, str, int]]:
        """List what votes on labels that are not resolved say: voter, label, how often."""
        return self._connection.execute(
            "SELECT voter, label, count(*) FROM incoming WHERE label NOT IN (SELECT label FROM ids) "
            "GROUP BY ALL ORDER BY voter, label"
        ).fetchall()

    def show(self, documents: Iterable[str]) -> int:
        """Say which documents voters were shown beside those of the table; count those of the table not among them."""
        execute = self._connection.execute
        names = iter(documents)
        while batch := list(islice(names, _BATCH)):
            self._connection.register("new_told", {"document": np.array(batch, dtype=np.object_)})
            execute("INSERT INTO told SELECT document FROM new_told")
            self._connection.unregister("new_told")
        query = "SELECT count(DISTINCT document) FROM incoming WHERE document NOT IN (SELECT document FROM told)"
        return int(execute(query).fetchall()[0][0])

    def repeated(self) -> Repeated:
        """Look for rows of one voter, document and label, of which the first counts."""
        query = (
            f"WITH rows AS (SELECT *, vote IN {_FOR} AS yes FROM incoming JOIN ids USING (label)), "  # noqa: S608 - ours
            "firsts AS (SELECT voter, document, id, min(line) AS first_line, arg_min(yes, line) AS says FROM rows "
            "GROUP BY ALL HAVING count(*) > 1) "
            "SELECT count(*) FILTER (yes = says), count(*) FILTER (yes <> says), first(struct_pack("
            "line := line, first := first_line, voter := voter, document := document, label := label"
            ") ORDER BY yes = says, line) FROM rows JOIN firsts USING (voter, document, id) WHERE line > first_line"
        )
        ((same, against, row),) = self._connection.execute(query).fetchall()
        if row is None:
            return Repeated()
        where = f"{self._line(row['line'])} of {row['voter']} on {row['document']}, {row['label']!r}"
        return Repeated(same, against, f"{where}, after {self._line(row['first'])}")

    def documents(self) -> int:
        """Count the documents: of the table, and those that voters were shown besides."""
        query = "SELECT count(*) FROM (SELECT document FROM incoming UNION SELECT document FROM told)"
        return int(self._connection.execute(query).fetchall()[0][0])

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
            f"SELECT document FROM incoming {f'WHERE {mine}' if own_documents else ''} "  # noqa: S608
            "UNION SELECT document FROM told",
            "SELECT voter, document, id, CASE WHEN vote IN "  # noqa: S608
            f"{_FOR} THEN 1 ELSE -1 END, confidence::FLOAT, rank::INTEGER FROM ("
            "SELECT DISTINCT ON (voter, document, id) * FROM incoming JOIN ids USING (label) "
            f"WHERE {mine} ORDER BY line)",
            given,
            voters[0],
        )

    def _line(self, row: int) -> str:
        return f"row {row}" if _suffix(self._path) == ".parquet" else f"line {row + _is_table(self._path)}"

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
                    line=None if _suffix(path) == ".parquet" else line + _is_table(path),
                    remedy="Mend the row.",
                )


def _suffix(path: Path) -> str:
    return (Path(path.stem) if path.suffix.lower() == ".gz" else path).suffix.lower()


def _is_table(path: Path) -> bool:
    """Tell whether the first line has the names of columns."""
    return _suffix(path) in {".csv", ".tsv"}


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
    if _is_json(path) and (line := _first_broken(path)):
        return InputError("the line is no JSON object", path=path, line=line, remedy="Mend the line.")
    # Behind what is wrong, DuckDB shows its own query; before it, its name for such errors.
    lines = re.split(r"\s+LINE \d+: |Possible [Ss]olution", str(reason))[0].splitlines()
    told = " ".join(" ".join(line for line in lines if not line.startswith("Original Line:")).split())
    told = re.sub(r"^[\w ]+ Error: ", "", told)[:200].rstrip(".")
    return InputError(f"it cannot be read: {told}", path=path, remedy="Mend the file.")


def _first_broken(path: Path) -> int | None:
    """Find the first line that is no JSON object; DuckDB counts some lines twice."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    if line.strip() and not isinstance(orjson.loads(line), dict):
                        return number
                except orjson.JSONDecodeError:
                    return number
    except (OSError, EOFError):
        return None
    return None
