"""Markup that escapes by default: text is a `str` and is escaped wherever it goes in, what is markup says so by type.

Names, texts and queries come from anywhere. Nothing of them can open a tag or an attribute; characters that HTML does
not allow are shown as such; marks that turn the direction of writing end where the name ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

LONGEST_NAME = 200
"""Characters of a name that are shown."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_VOID = frozenset({"meta", "br"})


class Markup(str):
    """HTML that is put in as it is."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Escape a text; characters that HTML forbids become the replacement character."""
    return value if isinstance(value, Markup) else Markup(escape(_FORBIDDEN.sub("\ufffd", value), quote=False))


def name(value: str) -> Markup:
    """Show the name of a label, a document or a run: cut where it is too long, with a direction of writing of its own.

    >>> name("<b>")
    '<bdi>&lt;b&gt;</bdi>'
    """
    return element("bdi", clip(value))


def clip(value: str, longest: int = LONGEST_NAME) -> str:
    """Cut a text that is too long, with an ellipsis."""
    return value if len(value) <= longest else f"{value[: longest - 1]}…"


def straight(value: str) -> str:
    """Take out what turns the direction of writing, for places where no element around the text could end that."""
    return _DIRECTIONS.sub("", value)


def element(tag: str, *children: str, **attributes: str | float | bool | None) -> Markup:
    """Make an element.

    >>> element("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'

    Args:
        tag: Its name.
        children: What is in it: markup as it is, text escaped.
        attributes: Theirs are names with hyphens for inner underscores, and without one at the end. None and False
            leave an attribute out, True leaves it without a value.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{shown}>")
    return Markup(f"<{tag}{shown}>{join(children)}</{tag}>")


def join(children: Iterable[str], between: str = "") -> Markup:
    """Put markup and text one after another."""
    return Markup(text(between).join(map(text, children)))


def table(caption: str, columns: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> Markup:
    """Lay rows out as a table that scrolls for itself; the first cell of each row is its heading.

    Args:
        caption: What the table says.
        columns: The headings; one that begins with ``#`` is a column of numbers.
        groups: Rows with a title each; an empty title shows none.
    """
    classes = ["number" if column.startswith("#") else None for column in columns]
    heads = [
        element("th", column.removeprefix("#"), scope="col", class_=kind)
        for column, kind in zip(columns, classes, strict=True)
    ]
    bodies = [element("tbody", *_group(title, rows, classes)) for title, rows in groups]
    inner = element("table", element("caption", caption), element("thead", element("tr", *heads)), *bodies)
    return element("div", inner, class_="wide", role="region", aria_label=caption, tabindex=0)


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """List what is what."""
    return element("dl", *(join([element("dt", what), element("dd", value, dir="auto")]) for what, value in pairs))


def _group(title: str, rows: Sequence[Sequence[str]], classes: Sequence[str | None]) -> list[Markup]:
    head = [element("tr", element("th", title, scope="rowgroup", colspan=len(classes)))] if title else []
    return head + [element("tr", *_cells(row, classes)) for row in rows]


def _cells(row: Sequence[str], classes: Sequence[str | None]) -> list[Markup]:
    first, *others = zip(row, classes, strict=True)
    return [
        element("th", first[0], scope="row", class_=first[1]),
        *(element("td", cell, class_=kind) for cell, kind in others),
    ]


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    shown = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {shown}"
    return f' {shown}="{escape(_FORBIDDEN.sub(chr(0xFFFD), straight(str(value))))}"'
