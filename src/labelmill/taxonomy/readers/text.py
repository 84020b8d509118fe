"""Text out of a plain or gzipped file: UTF-8 alone, with or without a byte order mark."""

from __future__ import annotations

import codecs
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from labelmill.taxonomy.problems import Problem, error

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how surrogateescape shows a byte that is no UTF-8
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def open_text(path: Path, *, newline: str) -> Iterator[TextIO]:
    r"""Open a file as text whose undecodable bytes survive as lone surrogates, so that each can be told by its line.

    Args:
        path: The file; ``.gz`` is unpacked on the way.
        newline: As of `open`: ``"\n"`` for lines, ``""`` for the csv module.

    Raises:
        UnicodeError: The file is UTF-16.
    """
    with open_bytes(path) as binary:
        if _start(binary) in _UTF16_MARKS:  # one error, not one on every line
            raise UnicodeError("this is UTF-16")
        yield io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline=newline)


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a plain or gzipped file for its bytes."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as opened:
        yield cast("BinaryIO", opened)


def encoding_problem(text: str, line: int) -> Problem | None:
    """Report bytes that are not UTF-8."""
    if not _NOT_UTF8.search(text):
        return None
    return error("encoding", "this is not UTF-8", line, "Save the file as UTF-8.")


def _start(binary: BinaryIO) -> bytes:
    return cast("io.BufferedReader", binary).peek(2)[:2]
