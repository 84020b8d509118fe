"""From JSON that somebody else wrote to text and lists of text, and to the line that says what is wrong with it."""

from __future__ import annotations

from labelmill.corpus.fields import clean
from labelmill.records import Failure


class Unfit(Exception):  # noqa: N818 - never leaves this package
    """An entry is not of the shape that its format has; the message says where."""


def text_of(value: object, what: str) -> str:
    """Take a text, or a number that stands for one.

    Raises:
        Unfit: It is neither.
    """
    if isinstance(value, str):
        return clean(value)
    if type(value) is int:
        return str(value)
    raise Unfit(f"{what} is {kind_of(value)}, not a text")


def id_of(value: object, what: str) -> str:
    """Take a text that names a document.

    Raises:
        Unfit: It is none, or blank.
    """
    if value is None or not (name := text_of(value, what)).strip():
        raise Unfit(f"{what}, which names the document, is missing or empty")
    return name


def object_of(value: object, what: str) -> dict[str, object]:
    """Take an object.

    Raises:
        Unfit: It is none.
    """
    if isinstance(value, dict):
        return value
    raise Unfit(f"{what} is {kind_of(value)}, not an object")


def list_of(value: object, what: str) -> list[object]:
    """Take a list; None is an empty one.

    Raises:
        Unfit: It is none.
    """
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise Unfit(f"{what} is {kind_of(value)}, not a list")


def texts_of(value: object, what: str) -> list[str]:
    """Take a list of texts; a text alone is a list of one.

    Raises:
        Unfit: It is neither.
    """
    items = [value] if isinstance(value, str) else list_of(value, what)
    return [text_of(item, f"an item of {what}") for item in items]


def number_of(value: object) -> float | None:
    """Take a number; None where it is none, or beyond all bounds."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:  # JSON's whole numbers have as many digits as they like
        return None


def kind_of(value: object) -> str:
    """Name the kind of a JSON value."""
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "null", str: "a text"}
    return kinds.get(type(value), "a number")


def failed(source: str, reason: Unfit) -> Failure:
    """Report an entry that cannot be used."""
    return Failure(source, "read", "unparseable", str(reason), source)


def confidence_of(score: float | None) -> float:
    """Take a score for a confidence, where it is a probability above 0; else the voter does not say."""
    return score if score is not None and 0 < score <= 1 else 1.0
