"""Files of JSON lines that belong to a taxonomy: read with the line of everything that is wrong."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labelmill.errors import InputError
from labelmill.taxonomy.problems import quote
from labelmill.taxonomy.readers.text import encoding_problem, open_text


def read_lines(path: Path, what: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give each line's number, from 1, and its JSON object; blank lines are passed over.

    Args:
        path: The file; ``.gz`` at its end is understood.
        what: What a line is, for messages: ``a draft``.

    Raises:
        InputError: The file cannot be read, or a line is no JSON object.
    """
    try:
        with open_text(path, newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _object(line, path, number, what)
    except (OSError, EOFError, UnicodeError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"the file cannot be read ({reason})", path=path, remedy="Check the path.") from error


def text_of(row: dict[str, Any], key: str, path: Path, line: int) -> str:
    """Take a text out of a line's object.

    Raises:
        InputError: It is not there, or no text.
    """
    value = row.get(key)
    if not isinstance(value, str):
        said = f"{key!r} is {quote(json.dumps(value, ensure_ascii=False))}, not a text" if key in row else f"no {key!r}"
        raise InputError(said, path=path, line=line, remedy="Write it as a JSON string, or remove the line.")
    return value


def texts_of(row: dict[str, Any], key: str, path: Path, line: int) -> tuple[str, ...]:
    """Take a list of texts out of a line's object; none where it is not there.

    Raises:
        InputError: It is no list of texts.
    """
    value = row.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        said = f"{key!r} is {quote(json.dumps(value, ensure_ascii=False))}, not a list of texts"
        raise InputError(said, path=path, line=line, remedy="Write a JSON list of strings, or remove the line.")
    return tuple(value)


def _object(line: str, path: Path, number: int, what: str) -> dict[str, Any]:
    if encoding_problem(line, number):
        raise InputError("this is not UTF-8", path=path, line=number, remedy="Save the file as UTF-8.")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        said = f"this is not {what}, which is a JSON object: {quote(line.strip(), 40)}"
        raise InputError(said, path=path, line=number, remedy="Mend or remove the line.")
    return row
