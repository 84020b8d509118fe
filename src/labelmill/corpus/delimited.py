"""Corpora as CSV or TSV: a header, then one row per document; gold is a JSON list or has ``|`` between the labels."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from labelmill.corpus.fields import Fields, clean, document_from, split_labels, unreadable
from labelmill.corpus.text import is_utf8, open_text
from labelmill.errors import CorpusError
from labelmill.records import Document, Failure

_LONGEST_CELL = 1 << 26  # characters; an unclosed quote makes a cell of the rest of the file


def read_delimited(path: Path, delimiter: str, fields: Fields) -> Iterator[Document | Failure]:
    """Read one document per row; blank rows are passed over.

    Raises:
        CorpusError: The header lacks a column that is needed, or the file cannot be read.
    """
    with open_text(path, newline="") as text:
        rows = _rows(text, path, delimiter)
        _, first = next(rows, ("", []))
        if isinstance(first, Failure):
            raise CorpusError(f"the header cannot be read: {first.message}", path=path, line=1)
        header = [name.strip() for name in first]
        if header:
            fields.require(header, str(path), whole=True)
            _require_once(header, path, fields)
        for source, cells in rows:
            yield cells if isinstance(cells, Failure) else _document(header, cells, source, fields)


def _require_once(header: Sequence[str], path: Path, fields: Fields) -> None:
    for column in (fields.id, fields.text, fields.labels):
        if header.count(column) > 1:
            raise CorpusError(f"the column {column!r} is there twice", path=path, line=1, remedy="Rename one of them.")


def _rows(text: TextIO, path: Path, delimiter: str) -> Iterator[tuple[str, list[str] | Failure]]:
    """Give each row's cells with the line that it starts on."""
    csv.field_size_limit(_LONGEST_CELL)
    name = clean(str(path))
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        source = f"{name}:{reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as reason:
            yield source, unreadable(source, "unparseable", f"the quotes of the row do not match ({reason})")
            continue
        if not is_utf8("".join(cells)):
            yield source, unreadable(source, "encoding", "the row is not UTF-8")
        elif any(cell.strip() for cell in cells):
            yield source, cells


def _document(header: Sequence[str], cells: Sequence[str], source: str, fields: Fields) -> Document | Failure:
    if len(cells) != len(header):
        return unreadable(source, "unparseable", f"the row has {len(cells)} cells, the header {len(header)}")
    record: dict[str, object] = dict(zip(header, cells, strict=True))
    record[fields.id] = str(record[fields.id]).strip()
    record[fields.labels] = split_labels(str(record.get(fields.labels, "")))
    return document_from(record, source, fields)
