"""Taxonomies as plain text: one name per line, which is also the label's id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from labelmill.records import Label
from labelmill.taxonomy.problems import Entry, Row
from labelmill.taxonomy.readers.text import encoding_problem, open_text


def read_names(path: Path) -> Iterator[Entry]:
    """Read one name per line without the space around it; blank lines are passed over."""
    with open_text(path, newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            name = line.strip()
            if name:
                yield encoding_problem(line, number) or Row(Label(id=name, name=name), number)
