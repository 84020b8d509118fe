"""The check of a taxonomy file: every error and every warning in it, each with line and remedy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmill.taxonomy.integrity import faults
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.names import normalise
from labelmill.taxonomy.problems import Problem, Row, on_line, quote, warning
from labelmill.taxonomy.readers import read_entries

_LONG_NAME = 200  # characters; such a name is mostly a description in the wrong column
_MOST_OTHERS = 3
_NEARLY_ALL = 0.9
_OTHER_FORM = "other-form"
_SEPARATOR = re.compile("[/#:]")  # of the parts of a URI or a compact one
_NUMBER = re.compile(r"\d+$")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        path: The file as the user named it.
        labels: How many labels could be read.
        problems: Errors first, then warnings; each in the order of the file.
    """

    path: str
    labels: int
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        """Count the errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """Count the warnings."""
        return len(self.problems) - self.errors

    def lines(self, limit: int = 5) -> list[str]:
        """Render one line per problem, at most ``limit`` of each code, then how many more there are."""
        shown: list[str] = []
        counts = Counter(problem.code for problem in self.problems)
        for code in counts:
            alike = [problem for problem in self.problems if problem.code == code]
            shown += [self._line(problem) for problem in alike[:limit]]
            if len(alike) > limit:
                shown.append(f"{self.path}: {alike[0].severity}: {len(alike) - limit} more of {code}")
        return shown

    def _line(self, problem: Problem) -> str:
        place = f"{self.path}:{problem.line}" if problem.line else self.path
        return f"{place}: {problem.severity}: {problem.message}. {problem.remedy} [{problem.code}]"

    def as_dict(self) -> dict[str, Any]:
        """Give everything as JSON can hold it, the count of each code first."""
        return {
            "path": self.path,
            "labels": self.labels,
            "errors": self.errors,
            "warnings": self.warnings,
            "counts": dict(Counter(problem.code for problem in self.problems)),
            "problems": [
                {
                    "severity": problem.severity,
                    "code": problem.code,
                    "line": problem.line,
                    "message": problem.message,
                    "remedy": problem.remedy,
                }
                for problem in self.problems
            ],
        }


def check(path: str | Path, *, under: Sequence[str] = (), language: str = "en") -> CheckReport:
    """Check a taxonomy file; a file that cannot be read at all is a report with one error.

    Args:
        path: The file; its suffix names its format.
        under: Ids or unique names of the labels whose branches to give warnings of; errors are always told, whole.
        language: The language of the names, for SKOS.

    Raises:
        MissingExtraError: SKOS without rdflib.
        TaxonomyError: There is no such label.
    """
    entries = list(read_entries(Path(path), language=language))
    rows = [entry for entry in entries if isinstance(entry, Row)]
    unread = [entry for entry in entries if isinstance(entry, Problem)]
    errors = sorted([*unread, *faults(rows)], key=lambda problem: problem.line or 0)
    warnings = list(doubts(rows))
    if under and rows:
        branch = Taxonomy(tuple(row.label for row in rows), str(path)).under(under)
        ids = {label.id for label in branch}
        rows = [row for row in rows if row.label.id in ids]
        lines = {row.line for row in rows}
        warnings = [problem for problem in warnings if problem.line in lines or problem.code == _OTHER_FORM]
    warnings += _other_languages(rows, language)
    return CheckReport(str(path), len(rows), (*errors, *warnings))


def doubts(rows: Sequence[Row]) -> Iterator[Problem]:
    """Find what is probably not meant: colliding names, orphans, labels outside the hierarchy, overlong names."""
    yield from _same_names(rows)
    yield from _shared_aliases(rows)
    yield from _repeated_aliases(rows)
    meant = _other_forms(rows)
    yield from _orphans(rows, meant)
    yield from _outside_the_hierarchy(rows, meant)
    for row in rows:
        if len(row.label.name) > _LONG_NAME:
            message = f"the name {quote(row.label.name, 40)} has {len(row.label.name)} characters"
            yield warning("long-name", message, row.line, "Move the detail into the description.")


def _same_names(rows: Sequence[Row]) -> Iterator[Problem]:
    bearers: dict[str, list[Row]] = {}
    for row in rows:
        bearers.setdefault(normalise(row.label.name), []).append(row)
    for alike in bearers.values():
        if len(alike) > 1:
            message = f"the name {quote(alike[0].label.name)} is shared by {_named(alike)}"
            yield warning("same-name", message, alike[1].line, "Tell them apart by name, or refer to them by id.")


def _shared_aliases(rows: Sequence[Row]) -> Iterator[Problem]:
    bearers: dict[str, dict[int, Row]] = {}
    for number, row in enumerate(rows):
        for text in (row.label.name, *row.label.aliases):
            bearers.setdefault(normalise(text), {}).setdefault(number, row)
    for number, row in enumerate(rows):
        for alias in dict.fromkeys(map(normalise, row.label.aliases)):
            others = [other for at, other in bearers[alias].items() if at != number]
            if others and alias != normalise(row.label.name):
                message = f"the alias {quote(alias)} of {quote(row.label.id)} also names {_named(others)}"
                yield warning("shared-alias", message, row.line, "Keep it where it is meant, if only one is.")


def _repeated_aliases(rows: Sequence[Row]) -> Iterator[Problem]:
    for row in rows:
        seen = {normalise(row.label.name)}
        for alias in map(normalise, row.label.aliases):
            if alias in seen:
                message = f"{quote(row.label.id)} has the name or alias {quote(alias)} twice"
                yield warning("repeated-alias", message, row.line, "Remove the repetition.")
            seen.add(alias)


def _other_languages(rows: Sequence[Row], language: str) -> Iterator[Problem]:
    foreign = [row for row in rows if row.language]
    if not foreign:
        return
    counts = ", ".join(f"{count} {spoken}" for spoken, count in Counter(row.language for row in foreign).most_common())
    named = "1 label has no name" if len(foreign) == 1 else f"{len(foreign)} labels have no name"
    message = f"{named} in the language {quote(language)} and one of another in its place ({counts})"
    remedy = f"Add it, or choose another --language; the first is {quote(foreign[0].label.id)}."
    yield warning("other-language", message, foreign[0].line, remedy)


def _other_forms(rows: Sequence[Row]) -> Mapping[str, str]:
    """Find which ids are meant where nearly all parents are ids of no label, yet end as ids do; else nothing.

    ``http://topics.example/t/01`` stands for ``topic:01``: by the last part, or by the number at the end.
    """
    ids = {row.label.id for row in rows}
    parents = [parent for row in rows for parent in row.label.parents]
    strange = [parent for parent in parents if parent not in ids]
    if not strange or len(strange) < _NEARLY_ALL * len(parents):
        return {}
    ends: dict[str, set[str]] = {}
    for each in ids:
        for end in _ends(each):
            ends.setdefault(end, set()).add(each)
    meant: dict[str, str] = {}
    for parent in set(strange):
        found = next((ends[end] for end in _ends(parent) if end in ends), set())
        if len(found) == 1:
            meant[parent] = next(iter(found))
    return meant if sum(parent in meant for parent in strange) >= _NEARLY_ALL * len(strange) else {}


def _ends(text: str) -> Iterator[str]:
    last = _SEPARATOR.split(text.rstrip("/#:"))[-1]
    if last:
        yield last
    if number := _NUMBER.search(last):
        yield number[0]


def _orphans(rows: Sequence[Row], meant: Mapping[str, str]) -> Iterator[Problem]:
    ids = {row.label.id for row in rows}
    if meant:
        places = [(row, parent) for row in rows for parent in row.label.parents if parent in meant]
        row, parent = places[0]
        message = (
            f"{len(places)} parents are ids of no label, and end as ids do: {quote(parent)} of {quote(row.label.id)} "
            f"as {quote(meant[parent])} does"
        )
        yield warning(_OTHER_FORM, message, row.line, "Write parents as the ids are: there is no hierarchy else.")
    by_name = {normalise(row.label.name): row.label.id for row in rows}
    for row in rows:
        for parent in row.label.parents:
            if parent not in ids and parent not in meant:
                named = by_name.get(normalise(parent))
                remedy = f"Write the id {quote(named)}." if named else "Add a label with that id, or remove the parent."
                message = f"the parent {quote(parent)} of {quote(row.label.id)} is the id of no label"
                yield warning("orphan", message, row.line, remedy)


def _outside_the_hierarchy(rows: Sequence[Row], meant: Mapping[str, str]) -> Iterator[Problem]:
    # A top label is no mistake, but one that is nobody's parent either, in a taxonomy that has a hierarchy, may be.
    used = {meant.get(parent, parent) for row in rows for parent in row.label.parents}
    if 2 * sum(bool(row.label.parents) for row in rows) <= len(rows):
        return
    for row in rows:
        if not row.label.parents and row.label.id not in used:
            message = f"{quote(row.label.id)} has no parents and is no label's parent, unlike most labels"
            yield warning("no-parents", message, row.line, "Give it a parent, if it has one.")


def _named(rows: Sequence[Row]) -> str:
    names = [f"{quote(row.label.id)}{on_line(row.line)}" for row in rows[:_MOST_OTHERS]]
    more = [f"{len(rows) - _MOST_OTHERS} more"] if len(rows) > _MOST_OTHERS else []
    return ", ".join([*names, *more])
