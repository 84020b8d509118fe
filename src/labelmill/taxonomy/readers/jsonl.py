"""Taxonomies as JSON Lines: one object per label.

``{"id": "t1", "name": "bread", "aliases": ["loaf"], "description": "…", "parents": ["t0"], "prior": 0.2}``; only the
name is required. Further keys become fields, as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from labelmill.taxonomy.problems import Entry, Problem, error, quote
from labelmill.taxonomy.readers.record import label_from, layout_of
from labelmill.taxonomy.readers.text import encoding_problem, open_text


def read_jsonl(path: Path) -> Iterator[Entry]:
    """Read one label per line; blank lines are passed over."""
    with_id: bool | None = None
    with open_text(path, newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            record = _record(line, number)
            if isinstance(record, Problem):
                yield record
                continue
            # The name serves as the id only where no label has one: a forgotten id must not become a new label.
            has_id = layout_of(tuple(record)).id is not None
            with_id = has_id if with_id is None else with_id
            if has_id == with_id:
                yield label_from(record, number)
            else:
                message = (
                    "this label has an id, the first has none" if has_id else "this label has no id, the first has"
                )
                yield error("empty-id", message, number, "Give every label an id, or none.")


def _record(line: str, number: int) -> dict[str, object] | Problem:
    if problem := encoding_problem(line, number):
        return problem
    remedy = "Write one JSON object per line."
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as reason:
        message = f"this is not JSON ({getattr(reason, 'msg', 'too deep or too long')}): {quote(line.strip(), 40)}"
        return error("unreadable-row", message, number, remedy)
    if not isinstance(record, dict):
        return error("unreadable-row", f"this is not a JSON object: {quote(line.strip(), 40)}", number, remedy)
    return record
