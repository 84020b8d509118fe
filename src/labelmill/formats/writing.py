"""One JSON array or object, written entry by entry; what is there already stays until the new one is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from labelmill.errors import InputError
from labelmill.taxonomy.writer import aside


def write_entries(path: Path, entries: Iterable[object]) -> int:
    """Write a JSON array with an entry on each line; returns how many there are.

    Raises:
        InputError: The file cannot be written.
    """
    return _write(path, b"[]", (orjson.dumps(entry) for entry in entries))


def write_members(path: Path, members: Iterable[tuple[str, object]]) -> int:
    """Write a JSON object with a member on each line; returns how many there are.

    Raises:
        InputError: The file cannot be written.
    """
    return _write(path, b"{}", (orjson.dumps(key) + b": " + orjson.dumps(value) for key, value in members))


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, a member on each line.

    Raises:
        InputError: The file cannot be written.
    """
    with whole(path) as part:
        part.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Name a file beside `path` that takes its place at the end, or is deleted where something fails.

    Raises:
        InputError: It cannot be written: no such folder, no permission, a full disk.
    """
    try:
        with aside(path) as part:
            yield part
    except OSError as error:
        raise InputError(
            f"it cannot be written: {error.strerror or error}",
            path=path,
            remedy="Name a file in a folder that exists, can be written to and has space.",
        ) from error


def _write(path: Path, brackets: bytes, lines: Iterable[bytes]) -> int:
    count = 0
    with whole(path) as part, part.open("wb") as file:
        file.write(brackets[:1])
        for line in lines:
            file.write((b",\n" if count else b"\n") + line)
            count += 1
        file.write(b"\n" + brackets[1:] + b"\n")
    return count
