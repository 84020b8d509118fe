"""What reading a taxonomy gives: rows, and problems in the place of rows that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from labelmill.records import Label

Severity: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a taxonomy.

    Attributes:
        severity: An error stops every use of the taxonomy, a warning none.
        code: A stable word for counting: ``duplicate-id``, ``same-name``, ``cycle``, ...
        message: What is wrong, and with which value; without file and line.
        line: The line of the file, counted from 1; None where the format has no lines.
        remedy: What to do, as an imperative sentence.
    """

    severity: Severity
    code: str
    message: str
    line: int | None
    remedy: str


@dataclass(frozen=True, slots=True)
class Row:
    """A label and where it comes from.

    Attributes:
        label: The label.
        line: The line that it stands on; None where the format has no lines.
        language: The language of its name, where that is another one than was wanted; else empty.
    """

    label: Label
    line: int | None = None
    language: str = ""


Entry: TypeAlias = Row | Problem


def error(code: str, message: str, line: int | None, remedy: str) -> Problem:
    """Report what stops every use of the taxonomy."""
    return Problem("error", code, message, line, remedy)


def warning(code: str, message: str, line: int | None, remedy: str) -> Problem:
    """Report what is probably not meant, yet stops nothing."""
    return Problem("warning", code, message, line, remedy)


def on_line(line: int | None) -> str:
    """Say ``" on line 7"``, or nothing where the format has no lines."""
    return f" on line {line}" if line else ""


def quote(text: str, width: int = 60) -> str:
    """Show a value of the user's in a message: quoted, escaped, one line, cut to a width."""
    return repr(text if len(text) <= width else f"{text[: width - 1]}…")
