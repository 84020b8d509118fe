"""Corpora as JSON Lines: one object per document, from a file or from standard input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from labelmill.corpus.fields import Fields, clean, document_from, unreadable
from labelmill.corpus.text import is_utf8, open_text
from labelmill.records import Document, Failure


def read_jsonl(path: Path | None, fields: Fields) -> Iterator[Document | Failure]:
    """Read one document per line; blank lines are passed over.

    Args:
        path: The file; None for standard input.
        fields: What id, text and labels are called.

    Raises:
        CorpusError: The first object has no text field, or the file cannot be read.
    """
    name = "stdin" if path is None else clean(str(path))
    checked = False
    with open_text(path, newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            source = f"{name}:{number}"
            record = _record(line, source)
            if isinstance(record, Failure):
                yield record
                continue
            if not checked:
                fields.require(record, name, whole=False)
                checked = True
            yield document_from(record, source, fields)


def _record(line: str, source: str) -> dict[str, object] | Failure:
    if not is_utf8(line):
        return unreadable(source, "encoding", "the line is not UTF-8")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as reason:
        return unreadable(
            source, "unparseable", f"the line is not JSON ({getattr(reason, 'msg', 'too deep or too long')})"
        )
    if not isinstance(record, dict):
        return unreadable(source, "unparseable", "the line is not a JSON object")
    return record
