"""Opening the DuckDB file, and saying in one line what is wrong where it cannot be used."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Self

import duckdb
import orjson
from numpy.typing import NDArray

from labelmill.errors import StoreError

SCHEMA_VERSION = 2

_CONFIG: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
"""Else DuckDB downloads code for what it takes for a file of another database."""

_WRITING: dict[str, Any] = {"threads": 1, "memory_limit": "512MB"}
"""Batches are small: more threads would cost a third more of the machine, which has retrieval to do; and without a
limit the file's blocks are kept in memory up to four fifths of it."""

_SECONDS_BETWEEN_TRIES = 0.05

_ROWS_AT_ONCE = 10_000

_FILE_ERRORS = (
    duckdb.IOException,
    duckdb.InvalidInputException,
    duckdb.SerializationException,
    duckdb.ConnectionException,
    duckdb.TransactionException,  # a commit that did not reach the disk
    duckdb.FatalException,  # the same, found out later
    duckdb.OutOfMemoryException,  # of memory, or of space for temporary files
    OSError,
)


_INTERRUPTED = "Query interrupted"

_MAGIC = slice(8, 12)
"""Where a DuckDB file says what it is."""

_DATA_SUFFIXES = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".txt"}


class Store:
    """One DuckDB file of runs, open for reading or for writing.

    DuckDB admits one writing process or many reading ones. Use it as a context manager.

    Args:
        path: The file; made where it is absent, if `write` is true.
        write: Whether rows will be written.
    """

    _schema: ClassVar[str] = "schema.sql"
    _version: ClassVar[tuple[str, int]] = ("schema_version", SCHEMA_VERSION)
    """The column of the table `about` that tells one kind of file from another, and what it holds."""
    _command: ClassVar[str] = "label … --out"

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        """Open the file, and see that its schema is the one this version knows."""
        self.path = Path(path)
        self.read_only = not write
        self._inserts: dict[str, tuple[str, str]] = {}
        if not write and not self.path.exists():
            raise StoreError(f"{self.path}: no such file. Make it with: labelmill {self._command} {self.path}")
        with self.errors():
            self._check_file(write=write)
            config = _CONFIG | _WRITING if write else _CONFIG
            self.connection = duckdb.connect(str(self.path), read_only=not write, config=config)
        try:
            with self.errors():
                self._check_schema(write=write)
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; rows that were not committed are lost."""
        self.connection.close()

    def renew(self, patience: float = 60.0) -> None:
        """Close the file and open it again, so that DuckDB lets go of memory that it holds until then.

        Args:
            patience: Seconds to wait for another process that takes the file in that moment, to read it.

        Raises:
            StoreError: It does not give it back, or the file is none any more.
        """
        self.connection.close()
        config = _CONFIG if self.read_only else _CONFIG | _WRITING
        last = time.monotonic() + patience
        while True:
            try:
                self.connection = duckdb.connect(str(self.path), read_only=self.read_only, config=config)
            except _FILE_ERRORS as error:
                if time.monotonic() > last:
                    raise StoreError(_explain(self.path, str(error))) from error
                time.sleep(_SECONDS_BETWEEN_TRIES)
            else:
                return

    @contextmanager
    def errors(self, path: Path | None = None) -> Iterator[None]:
        """Turn what DuckDB raises about a file into one line with a remedy.

        Args:
            path: The file, where it is not the store itself.
        """
        try:
            yield
        except _FILE_ERRORS as error:
            raise StoreError(_explain(path or self.path, str(error))) from error
        except RuntimeError as error:
            if _INTERRUPTED in str(error):  # Ctrl-C in the midst of a query
                raise KeyboardInterrupt from error
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside, or nothing of it."""
        with self.errors():
            self.connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self.connection.execute("COMMIT")

    def first(self, query: str, parameters: Any = None) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None.

        All rows are taken: a result that is left unfinished bars the connection to relations.
        """
        rows: list[tuple[Any, ...]] = self.connection.execute(query, parameters).fetchall()
        return rows[0] if rows else None

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows, each with a value for every column of the table; nested values are lists and mappings.

        Rows travel as one JSON text, three times faster than as Python values.
        """
        if not rows:
            return
        if table not in self._inserts:
            self._inserts[table] = self._insert(table)
        query, shape = self._inserts[table]
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = orjson.dumps(rows[start : start + _ROWS_AT_ONCE]).decode()
            self.connection.execute(query, {"rows": part, "shape": shape})

    @contextmanager
    def view(self, name: str, columns: Mapping[str, NDArray[Any]]) -> Iterator[None]:
        """Let queries read arrays of equal length as a table of this name, within a transaction; texts are objects."""
        self.connection.register(name, columns)
        yield
        self.connection.unregister(name)  # where a query fails, the transaction takes the name back

    def _insert(self, table: str) -> tuple[str, str]:
        """Make the statement that takes rows of a table as JSON, and the shape of that JSON."""
        columns = self.connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [table]
        ).fetchall()
        names = ", ".join(f'"{name}"' for name, _ in columns)
        values = ", ".join(f'item."{name}"' for name, _ in columns)
        query = f"INSERT INTO {table} ({names}) SELECT {values} FROM (SELECT unnest(from_json($rows, $shape)) AS item)"  # noqa: S608 - names come from the schema
        return query, orjson.dumps([{name: _json_shape(kind) for name, kind in columns}]).decode()

    def _roll_back(self) -> None:
        try:
            self.connection.execute("ROLLBACK")
        except duckdb.Error:
            # A transaction that DuckDB itself gave up has nothing to roll back; the first error is the one to show.
            return

    def _check_file(self, *, write: bool) -> None:
        """Refuse a file of another format: DuckDB opens CSV, JSON and Parquet in memory, and loses what is written."""
        if self.path.is_dir():
            raise StoreError(f"{self.path} {_FOLDER}")
        exists = self.path.is_file()
        if exists and not self.path.stat().st_size and write:
            self.path.unlink()  # as `mktemp` makes them
        elif exists:
            with self.path.open("rb") as file:
                if file.read(_MAGIC.stop)[_MAGIC] != b"DUCK":
                    raise StoreError(f"{self.path} is not a DuckDB file. Name another file.")
        elif write and self.path.suffix.lower() in _DATA_SUFFIXES:
            raise StoreError(f"{self.path} would be a DuckDB file under the name of another format. Name it .duckdb.")

    def _check_schema(self, *, write: bool) -> None:
        column, version = self._version
        if write and self.first("SELECT 1 FROM duckdb_tables()") is None:
            # One transaction, so that two processes that start at once do not see half a schema.
            self.connection.execute("BEGIN")
            self.connection.execute(files(__package__).joinpath(self._schema).read_text(encoding="utf-8"))
            self.connection.execute("INSERT INTO about VALUES (?)", [version])
            self.connection.execute("COMMIT")
            return
        ours = "SELECT 1 FROM duckdb_columns() WHERE table_name = 'about' AND column_name = ?"
        found = self.first(f"SELECT {column} FROM about") if self.first(ours, [column]) else None  # noqa: S608 - ours
        if found is None:
            raise StoreError(f"{self.path} is a DuckDB file, but not one of labelmill's. Name another file.")
        if found[0] != version:
            raise StoreError(
                f"{self.path} has schema {found[0]}, this labelmill knows schema {version}. "
                "Use the version of labelmill that wrote it, or a new file."
            )
        if write and self.first("SELECT 1 FROM duckdb_tables() WHERE table_name = 'vote_failures'") is None:
            # A file of before there were votes; tables that are there stay as they are.
            self.connection.execute(files(__package__).joinpath("schema.sql").read_text(encoding="utf-8"))


def _json_shape(kind: str) -> Any:
    """Write a column's type as DuckDB's ``from_json`` wants it."""
    if kind == "JSON":
        return "JSON"
    if struct := re.fullmatch(r"STRUCT\((.*)\)\[\]", kind):
        fields = (field.strip().rsplit(" ", 1) for field in struct.group(1).split(","))
        return [{name.strip('"'): of for name, of in fields}]
    return [kind[:-2]] if kind.endswith("[]") else kind


def _explain(path: Path, message: str) -> str:
    # Without the path: what is looked for below may be a part of it. As a whole word: a path may be one letter.
    names = "|".join(re.escape(str(name)) for name in (path.absolute(), path))
    line = " ".join(re.sub(rf"(?<![\w./-])(?:{names})(?![\w/-])", "", message).split())
    if "Could not set lock" in line:
        holder = re.search(r"PID (\d+)", line)
        who = f"process {holder.group(1)}" if holder else "another process"
        return (
            f"{path} is in use by {who}. Wait until it ends, or name another file. "
            f"labelmill status {shlex.quote(str(path))} tells how far it is."
        )
    for sign, complaint in _COMPLAINTS.items():
        if sign in line:
            here = sign == _NOT_FOUND and path.absolute().parent.is_dir()  # as /proc, where nothing can be made
            return f"{path} {_NO_NEW_FILES if here else complaint}"
    return f"{path}: {line[:300]}"


_FULL = "cannot grow: the disk is full. Free some space and run the same command again: what was committed is kept."
_FOLDER = "is a folder. Name a file."
_NOT_FOUND = "No such file"
_NO_NEW_FILES = "cannot be made: its folder takes no new files. Name another file."
_COMPLAINTS = {
    "No space left": _FULL,
    "File too large": _FULL,
    "Could not write": _FULL,
    "not a valid DuckDB": "is not a DuckDB file. Name another file.",
    "Could not read enough bytes": "is cut short or damaged. Restore it from a copy, or name another file.",
    "different configuration": "is open in this process already. Close it first.",
    "Is a directory": _FOLDER,
    "Not a directory": "lies within a file, not a folder. Name another file.",
    "Permission denied": "cannot be opened: permission denied. Name another file.",
    "Read-only file system": "cannot be written: its disk is read-only. Name another file.",
    _NOT_FOUND: "cannot be made: its folder does not exist. Create it first.",
}
