"""What makes a list of labels unusable: empty or repeated ids, empty names, broken characters, cycles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from labelmill.records import Label
from labelmill.taxonomy.problems import Problem, Row, error, on_line, quote

_BROKEN = re.compile("[\x00\ud800-\udfff]")  # NUL and half a surrogate pair: no file, index or prompt can hold them
_MOST_SHOWN = 8


def faults(rows: Sequence[Row]) -> Iterator[Problem]:
    """Find every error in labels that could be read, row by row, then cycles of parents."""
    lines: dict[str, int | None] = {}
    parents: dict[str, Sequence[str]] = {}
    for row in rows:
        yield from _own_faults(row)
        if row.label.id in lines:
            first = on_line(lines[row.label.id]) or " by an earlier label"
            message = f"the id {quote(row.label.id)} is used twice, first{first}"
            yield error("duplicate-id", message, row.line, "Give each label an id of its own, or merge the two.")
        else:
            lines[row.label.id] = row.line
            parents[row.label.id] = row.label.parents  # of a label that has the id wrongly, they would be another's
    for cycle in cycles(parents):
        yield error(
            "cycle",
            f"the parents of {quote(cycle[0])} lead back to it: {_shown(cycle)}",
            lines[cycle[0]],
            "Remove one of these parents.",
        )


def _own_faults(row: Row) -> Iterator[Problem]:
    label = row.label
    if not label.id.strip():
        yield error("empty-id", f"the label {quote(label.name)} has an empty id", row.line, "Give it an id.")
    if not label.name.strip():
        yield error("empty-name", f"the label with id {quote(label.id)} has an empty name", row.line, "Give it a name.")
    for where, text in _texts(label):
        if _BROKEN.search(text):
            message = f"the {where} of label {quote(label.id)} holds a NUL or half of a surrogate pair"
            yield error("broken-character", message, row.line, "Remove that character.")


def _texts(label: Label) -> Iterator[tuple[str, str]]:
    yield "id", label.id
    yield "name", label.name
    yield "description", label.description
    for alias in label.aliases:
        yield "aliases", alias
    for parent in label.parents:
        yield "parents", parent
    for key, value in label.fields.items():
        yield f"field {quote(key)}", key + value


def cycles(parents: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Find cycles by depth-first search without recursion: at least one for each group of labels that lead in a circle.

    Args:
        parents: The parents' ids by label id; ids that are no label are passed over.

    Yields:
        The ids of a cycle, each the parent of the one before it; the first is the parent of the last.
    """
    done: set[str] = set()
    for start in parents:
        trail: dict[str, Iterator[str]] = {}  # the labels on the way, in order
        here: str | None = None if start in done else start
        while here is not None:
            ways = trail.setdefault(here, iter(parents[here]))
            above = next((parent for parent in ways if parent in parents and parent not in done), None)
            if above is None:
                done.add(here)
                del trail[here]
                here = next(reversed(trail), None)
            elif above in trail:
                way = list(trail)
                yield way[way.index(above) :]
            else:
                here = above


def _shown(cycle: Sequence[str]) -> str:
    names = [quote(label_id) for label_id in cycle]
    if len(names) > _MOST_SHOWN:
        names[_MOST_SHOWN - 1 : -1] = [f"… {len(names) - _MOST_SHOWN} more …"]
    return " → ".join([*names, names[0]])
