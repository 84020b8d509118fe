"""Taxonomies as CSV or TSV: a header, then one row per label.

A cell of several aliases or parents is a JSON list (``["a, b", "c"]``), or has one of them per line, or has ``|``
between them. It is never split at a comma: names contain commas. Cells of unknown columns become fields.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from labelmill.taxonomy.problems import Entry, Problem, error, quote
from labelmill.taxonomy.readers.record import FieldError, Layout, label_from, layout_of
from labelmill.taxonomy.readers.text import encoding_problem, open_text

_LONGEST_CELL = 1 << 26  # characters; an unclosed quote makes a cell of the rest of the file


def read_delimited(path: Path, delimiter: str) -> Iterator[Entry]:
    """Read one label per row; space around a cell and blank rows are passed over."""
    with open_text(path, newline="") as text:
        rows = _cells(text, delimiter)
        number, header = next(rows, (1, []))
        if isinstance(header, Problem):
            yield header
            return
        if header and (problem := _header_problem(header, number)):
            yield problem
            return
        header = [name or f"column {place}" for place, name in enumerate(header, 1)]
        layout = layout_of(tuple(header))
        for number, cells in rows:
            yield cells if isinstance(cells, Problem) else _entry(header, layout, cells, number)


def _cells(text: TextIO, delimiter: str) -> Iterator[tuple[int, list[str] | Problem]]:
    """Give each row's cells with the line that it starts on."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as reason:
            remedy = 'Put quotes around the whole cell and double those within it: "a ""b"" c".'
            yield number, error("unreadable-row", f"the quotes of this row do not match ({reason})", number, remedy)
            continue
        if any(cells):
            yield number, encoding_problem("".join(cells), number) or cells


def _header_problem(header: Sequence[str], number: int) -> Problem | None:
    shown = ", ".join(map(quote, header))
    if len(set(header)) < len(header):
        return error("unreadable-header", f"a column is named twice: {shown}", number, "Rename one of the two.")
    if layout_of(tuple(header)).name is not None:
        return None
    remedy = "Write a header such as id,name,aliases,description,parents; plain names belong into a .txt file."
    if len(header) == 1 and any(mark in header[0] for mark in ";\t,"):
        remedy = "Separate the columns by commas in .csv and by tabs in .tsv."
    return error("unreadable-header", f"no column holds the label's name; the columns are {shown}", number, remedy)


def _entry(header: Sequence[str], layout: Layout, cells: Sequence[str], number: int) -> Entry:
    if len(cells) != len(header):
        message = f"this row has {len(cells)} cells, the header {len(header)}"
        return error("unreadable-row", message, number, "Put quotes around a cell that contains the separator.")
    several = {*layout.aliases, *layout.parents}
    try:
        pairs = zip(header, cells, strict=True)
        record = {key: split_cell(cell) if key in several else cell for key, cell in pairs}
    except FieldError as wrong:
        return error("unreadable-row", str(wrong), number, wrong.remedy)
    return label_from(record, number)


def split_cell(cell: str) -> list[str]:
    r"""Split a cell that holds several texts: a JSON list, one per line, or ``|`` between them.

    >>> split_cell('["salt, sea", "brine"]')
    ['salt, sea', 'brine']
    >>> split_cell("salt, sea | brine")
    ['salt, sea', 'brine']

    Raises:
        FieldError: It begins like a JSON list of strings and is none.
    """
    if cell.replace(" ", "") == "[]":
        return []
    if cell.startswith("[") and cell[1:].lstrip().startswith('"'):
        return _json_list(cell)
    parts = re.split(r"[\r\n]+", cell) if "\n" in cell or "\r" in cell else cell.split("|")
    return [part.strip() for part in parts if part.strip()]


def _json_list(cell: str) -> list[str]:
    try:
        items = json.loads(cell)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise FieldError(f"this is not a JSON list of strings: {quote(cell)}", 'Write it as ["a", "b"].')
    return items
