"""Text out of a plain or gzipped file, or out of standard input: UTF-8 alone, with or without a byte order mark."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from labelmill.errors import CorpusError

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how surrogateescape shows a byte that is no UTF-8


@contextmanager
def open_text(path: Path | None, *, newline: str) -> Iterator[TextIO]:
    r"""Open a file as text whose undecodable bytes survive as lone surrogates, so that one bad line stays one bad line.

    Args:
        path: The file, ``.gz`` is unpacked on the way; None for standard input.
        newline: As of `open`: ``"\n"`` for lines, ``""`` for the csv module.

    Raises:
        CorpusError: The file cannot be opened, is UTF-16, or turns out to be damaged while it is read.
    """
    try:
        with _open_bytes(path) as binary:
            if cast("io.BufferedReader", binary).peek(2)[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
                raise CorpusError("this is UTF-16", path=path, remedy="Save the file as UTF-8.")
            text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline=newline)
            try:
                yield text
            finally:
                if path is None:
                    text.detach()  # standard input is not ours to close
    except (EOFError, zlib.error, gzip.BadGzipFile) as reason:
        message = f"the gzip file is damaged ({reason})"
        raise CorpusError(message, path=path, remedy="Fetch or compress it again.") from None
    except OSError as reason:
        message = f"the file cannot be read ({reason.strerror or reason})"
        raise CorpusError(message, path=path, remedy="Check the path and its permissions.") from None


def is_utf8(text: str) -> bool:
    """Tell whether text of `open_text` came from bytes that are UTF-8."""
    return not _NOT_UTF8.search(text)


@contextmanager
def _open_bytes(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield _standard_input()
        return
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as opened:
        yield cast("BinaryIO", opened)


def _standard_input() -> BinaryIO:
    """Read standard input by a reader of our own.

    Python closes that of `sys.stdin` at the end, and aborts where a thread still waits in it, as one does that reads
    beside a run when the run is stopped.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError):  # something that has no file behind it stands in for it
        return sys.stdin.buffer
