"""A taxonomy cut down by an SQL condition, which DuckDB evaluates in memory, shut off from files and network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from labelmill.errors import TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy.problems import quote

if TYPE_CHECKING:
    import duckdb

_COLUMNS = {
    "id": "VARCHAR",
    "name": "VARCHAR",
    "description": "VARCHAR",
    "prior": "DOUBLE",
    "aliases": "VARCHAR[]",
    "parents": "VARCHAR[]",
}
_SEALED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def restrict(labels: Sequence[Label], expression: str) -> list[int]:
    """Find the positions of the labels for which a condition holds.

    Args:
        labels: The labels; their fields are columns of text, NULL where a label lacks one. Case does not tell columns
            apart in SQL: of two fields that differ in case alone, the first counts.
        expression: A condition in DuckDB's SQL.

    Raises:
        TaxonomyError: The condition is no condition over these columns.
    """
    import duckdb

    columns = _columns(labels)
    with duckdb.connect(":memory:", config=dict(_SEALED)) as connection:
        _load(connection, labels, columns)
        connection.execute("SET lock_configuration = true")
        try:
            # The line break ends a comment in the expression before it swallows the parenthesis.
            statements = connection.extract_statements(f"SELECT _position FROM labels WHERE (\n{expression}\n)")  # noqa: S608 - sealed off, and the user's own
            if len(statements) != 1 or not expression.strip():
                raise _wrong(expression, "one condition is needed", columns)
            return sorted(int(row[0]) for row in connection.execute(statements[0]).fetchall())
        except duckdb.Error as reason:
            raise _wrong(expression, str(reason).partition("\n")[0].rstrip(".!"), columns) from None


def _columns(labels: Sequence[Label]) -> dict[str, str]:
    """Name the columns after the six of every label and the fields, and give each its type."""
    columns = dict(_COLUMNS)
    taken = {*columns, "_position"}
    for label in labels:
        for key in label.fields:
            if key.casefold() not in taken:
                taken.add(key.casefold())
                columns[key] = "VARCHAR"
    return columns


def _load(connection: duckdb.DuckDBPyConnection, labels: Sequence[Label], columns: dict[str, str]) -> None:
    # Whole columns as list parameters: row by row, 100,000 labels would take minutes.
    values: list[list[Any]] = [list(range(len(labels)))]
    selected = ["unnest(?::BIGINT[]) AS _position"]
    for name, kind in columns.items():
        quoted = name.replace('"', '""')
        selected.append(f'unnest(?::{kind}[]) AS "{quoted}"')
        if name in _COLUMNS:
            column = [getattr(label, name) for label in labels]
            values.append([list(cell) for cell in column] if kind.endswith("[]") else column)
        else:
            values.append([label.fields.get(name) for label in labels])
    connection.execute(f"CREATE TABLE labels AS SELECT {', '.join(selected)}", values)


def _wrong(expression: str, reason: str, columns: dict[str, str]) -> TaxonomyError:
    known = ", ".join(columns)
    return TaxonomyError(
        f"the condition {quote(expression)} cannot be evaluated: {reason}",
        remedy=f"Write a condition in SQL over these columns: {known}.",
    )
