"""Corpora as Parquet, read by DuckDB in batches; a line in messages is the row's number from 1."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from labelmill.corpus.fields import Fields, clean, document_from
from labelmill.errors import CorpusError
from labelmill.records import Document, Failure

_BATCH = 1024  # rows


def read_parquet(path: Path, fields: Fields) -> Iterator[Document | Failure]:
    """Read one document per row, the columns of id, text and labels only.

    Raises:
        CorpusError: A column that is needed is absent, or this is not Parquet.
    """
    import duckdb

    pattern = glob.escape(str(path))  # DuckDB would take brackets and stars in a name for a pattern
    name = clean(str(path))
    with duckdb.connect(":memory:") as connection:
        try:
            described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [pattern]).fetchall()
            columns = [str(row[0]) for row in described]
            fields.require(columns, str(path), whole=True)
            chosen = [name for name in dict.fromkeys((fields.id, fields.text, fields.labels)) if name in columns]
            selected = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in chosen)
            connection.execute(f"SELECT {selected} FROM read_parquet(?)", [pattern])  # noqa: S608 - quoted names
            number = 0
            while batch := connection.fetchmany(_BATCH):
                for number, row in enumerate(batch, number + 1):  # noqa: B020 - counts on over the batches
                    yield document_from(dict(zip(chosen, row, strict=True)), f"{name}:{number}", fields)
        except duckdb.Error as reason:
            message = f"this cannot be read as Parquet: {str(reason).partition(chr(10))[0]}"
            raise CorpusError(message, path=path, remedy="Check the file.") from None
