"""From a record of named values to a document, or to the failure that says why it is none."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from labelmill.errors import CorpusError
from labelmill.records import Document, Failure

_BROKEN = re.compile("[\x00\ud800-\udfff]")
_DEFAULT_LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Fields:
    """What the corpus calls a document's id, its text and its gold labels."""

    id: str
    text: str
    labels: str

    def require(self, columns: Collection[str], path: str, *, whole: bool) -> None:
        """Demand the columns without which no document can be read.

        Args:
            columns: The columns that are there.
            path: The file, for the message.
            whole: Whether every record has these columns; else only the text is demanded, of the first record.

        Raises:
            CorpusError: One is absent.
        """
        needed = {"text": self.text}
        if whole:
            needed["id"] = self.id
            if self.labels != _DEFAULT_LABELS:
                needed["labels"] = self.labels
        for role, column in needed.items():
            if column not in columns:
                shown = ", ".join(map(repr, columns)) or "none"
                remedy = f"Name the one that holds the {role}: --{role}-field."
                raise CorpusError(f"there is no field {column!r}; the fields are {shown}", path=path, remedy=remedy)


class _Unfit(Exception):  # noqa: N818 - never leaves this file
    """A record is no document: the kind of failure, and the message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def document_from(record: Mapping[str, object], source: str, fields: Fields) -> Document | Failure:
    """Make the document that a record describes, or say what is wrong with the record.

    NUL and halves of surrogate pairs, which no database and no tokenizer takes, become U+FFFD, one for one: offsets
    stay true.

    Args:
        record: The values by field name.
        source: ``file:line``, which also stands for the id where the record has none.
        fields: What id, text and labels are called.
    """
    document_id = source
    try:
        document_id = _id(record, fields.id)
        text = _text(record, fields.text)
        return Document(document_id, text, _labels(record.get(fields.labels), fields.labels), source)
    except _Unfit as unfit:
        return Failure(document_id, "read", unfit.kind, str(unfit), source)


def unreadable(source: str, kind: str, message: str) -> Failure:
    """Report a record of which not even the id can be told."""
    return Failure(source, "read", kind, message, source)


def clean(text: str) -> str:
    """Replace NUL and halves of surrogate pairs by U+FFFD."""
    return _BROKEN.sub("\ufffd", text)


def is_blank(text: str) -> bool:
    """Tell a text that says nothing, but for white space and what `clean` has replaced."""
    return not text.replace("\ufffd", "").strip()


def split_labels(cell: str) -> list[str] | None:
    """Read gold labels out of a cell: a JSON list of strings, or ``|`` between them; an empty cell has no gold.

    >>> split_labels('["salt, sea", "brine"]')
    ['salt, sea', 'brine']
    >>> split_labels("salt, sea | brine")
    ['salt, sea', 'brine']
    """
    cell = cell.strip()
    if not cell:
        return None
    try:
        items = json.loads(cell) if cell.startswith("[") else None
    except (ValueError, RecursionError):
        items = None
    if isinstance(items, list) and all(isinstance(item, str) for item in items):
        return items
    return [part.strip() for part in cell.split("|") if part.strip()]


def _id(record: Mapping[str, object], field: str) -> str:
    value = record.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # ids are often numbers
    if value is None or (isinstance(value, str) and not value.strip()):
        raise _Unfit("missing-id", f"the field {field!r} is missing or empty")
    if not isinstance(value, str):
        raise _Unfit("wrong-type", f"the field {field!r} is {_kind(value)}, not a text")
    return clean(value)


def _text(record: Mapping[str, object], field: str) -> str:
    value = record.get(field)
    if value is None:
        raise _Unfit("missing-text", f"the field {field!r} is missing")
    if not isinstance(value, str):
        raise _Unfit("wrong-type", f"the field {field!r} is {_kind(value)}, not a text")
    text = clean(value)
    if is_blank(text):
        raise _Unfit("empty-text", "the text is empty")
    return text


def _labels(value: object, field: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    items = value if isinstance(value, list | tuple) else [value]
    for item in items:
        if not isinstance(item, str) and type(item) is not int:
            raise _Unfit("wrong-type", f"the field {field!r} holds {_kind(item)}, not labels")
    return tuple(clean(str(item)) for item in items)


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "null", bytes: "bytes"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else f"a {type(value).__name__}")
