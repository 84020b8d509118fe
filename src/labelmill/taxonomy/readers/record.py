"""From a record of named values to a label: which column means what, and what it may hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from labelmill.records import Label
from labelmill.taxonomy.problems import Entry, Row, error, quote

# The first name of each is the column's own; the others are what common exports call it. Compared by letters and
# digits alone: "Preferred Label" is preferredlabel.
_NAMES = {
    "id": ("id", "identifier", "labelid", "conceptid", "concepturi", "uri", "iri", "code", "concept", "notation"),
    "name": ("name", "label", "preflabel", "preferredlabel", "preferredname", "preferredterm", "title", "term"),
    "aliases": (
        *("aliases", "alias", "alt", "alts", "altlabel", "altlabels", "alternativelabel", "alternativelabels"),
        *("synonym", "synonyms", "hiddenlabel", "hiddenlabels", "alternativenames", "othernames", "variants"),
    ),
    "description": ("description", "definition", "scopenote", "note", "gloss"),
    "parents": (
        *("parents", "parent", "parentid", "parentids", "parenturi", "broader", "broaderid", "broaderids"),
        *("broaderuri", "broaderconcept", "broaderconcepts", "broaderterm", "broaderterms"),
    ),
    "prior": ("prior", "frequency"),
}
COLUMNS = tuple(_NAMES)


class FieldError(ValueError):
    """A value of a record is not what its column holds.

    Args:
        message: What is wrong, and with which value.
        remedy: What to do.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Layout:
    """Which keys of a record mean what; a column without a key is None or empty."""

    id: str | None
    name: str | None
    aliases: tuple[str, ...]
    description: str | None
    parents: tuple[str, ...]
    prior: str | None
    others: tuple[str, ...]


@lru_cache(maxsize=256)
def layout_of(keys: tuple[str, ...]) -> Layout:
    """Find out which of a record's keys mean what.

    The column's own name wins over what others call it; the loser stays a field. Aliases and parents come out of every
    column of that meaning (``altLabels`` and ``hiddenLabels``), unless one bears the own name.
    """
    found = {column: _matching(keys, names) for column, names in _NAMES.items()}
    one = {column: matches[0] if matches else None for column, matches in found.items()}
    many = {column: tuple(found[column]) for column in ("aliases", "parents")}
    for column, matches in many.items():
        many[column] = (column,) if column in matches else matches
    used = {*one.values(), *many["aliases"], *many["parents"]}
    others = tuple(key for key in keys if key not in used)
    return Layout(one["id"], one["name"], many["aliases"], one["description"], many["parents"], one["prior"], others)


def _matching(keys: Sequence[str], names: Sequence[str]) -> list[str]:
    plain = {key: "".join(filter(str.isalnum, key.casefold())) for key in keys}
    ranked = [(key != names[0], names.index(plain[key]), key) for key in keys if plain[key] in names]
    return [key for _, _, key in sorted(ranked)]


def label_from(record: Mapping[str, object], line: int | None) -> Entry:
    """Make the label that a record describes, or say what is wrong with the record."""
    layout = layout_of(tuple(record))
    try:
        name = _name(record, layout)
        label = Label(
            id=name if layout.id is None else _text(record, layout.id, number=True),
            name=name,
            aliases=_texts(record, layout.aliases),
            description=_text(record, layout.description) if layout.description else "",
            parents=_texts(record, layout.parents, numbers=True),
            prior=_prior(record, layout.prior),
            fields={key: _as_text(record[key]) for key in layout.others if record[key] is not None},
        )
    except FieldError as wrong:
        return error("unreadable-row", str(wrong), line, wrong.remedy)
    return Row(label, line)


def _name(record: Mapping[str, object], layout: Layout) -> str:
    if layout.name is None:
        fields = ", ".join(map(quote, record)) or "none"
        raise FieldError(f"no field holds the label's name; the fields are {fields}", "Call one of them 'name'.")
    return _text(record, layout.name)


def _text(record: Mapping[str, object], key: str, *, number: bool = False) -> str:
    value = record[key]
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if number and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # ids are often numbers
    raise FieldError(f"{quote(key)} is {_shown(value)}, not a text", "Write it as a JSON string.")


def _texts(record: Mapping[str, object], keys: Sequence[str], *, numbers: bool = False) -> tuple[str, ...]:
    found: list[str] = []
    for key in keys:
        value = record[key]
        items = value if isinstance(value, list) else [value]
        for item in items:
            if item is None and items is not value:
                continue
            if not (isinstance(item, str) or (numbers and type(item) is int)):
                raise FieldError(f"{quote(key)} holds {_shown(item)}, not a text", "Write a JSON list of strings.")
            found.append(str(item))
    return tuple(text for text in found if text.strip())


def _prior(record: Mapping[str, object], key: str | None) -> float | None:
    value = record[key] if key else None
    if value is None or value == "":
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise FieldError(f"{quote(key or '')} is {_shown(value)}, not a number from 0 up", "Write a number or nothing.")
    return number


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(value: object) -> str:
    return quote(json.dumps(value, ensure_ascii=False))
