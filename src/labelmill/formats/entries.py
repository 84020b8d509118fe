"""The entries of one large JSON array or object, one after the other, each with its line; the file is never held whole.

JSON libraries that stream do not say on which line a value stands, which is what somebody needs who has to mend it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from labelmill.corpus.text import is_utf8, open_text
from labelmill.errors import InputError

_BLANK = re.compile(r"[ \t\n\r]+")
_PIECE = 1 << 16
_LONGEST = 1 << 28
"""Characters of an entry at most."""

_NEAR = 16
"""An error so near to the end of what was read may be none once more is read: an escape or a number that is cut."""


def read_entries(path: Path, *, of: str) -> Iterator[tuple[str, object, int]]:
    """Read an array's items, with an empty key, or an object's members, each with the line on which it begins.

    Args:
        path: The file, perhaps ``.gz``.
        of: ``[`` or ``{``: what the file has to be.

    Raises:
        InputError: It cannot be read, is not UTF-8, is no such JSON, or goes on after its end.
    """
    if not path.is_file():
        raise InputError("there is no such file", path=path, remedy="Check the path.")
    with open_text(path, newline="\n") as text:
        reader = _Reader(path, text)
        first = reader.peek()
        if first != of:
            kind = {"[": "an array", "{": "an object"}
            found = kind.get(first, "nothing" if not first else "something else")
            raise reader.error(f"{kind[of]} was expected, and {found} is there", "Check the format that was named.")
        reader.skip()
        yield from reader.members("]" if of == "[" else "}")
        if reader.peek():
            raise reader.error("something follows the end of the JSON", "Mend the file.")


class _Reader:
    """A window over the text, that moves on with what was read of it."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self._path, self._text = path, text
        self._window, self._at = "", 0
        self._line, self._counted = 1, 0
        self._ended = False
        self._decoder = json.JSONDecoder(parse_constant=_refuse)

    def members(self, end: str) -> Iterator[tuple[str, object, int]]:
        if self.peek() == end:
            self.skip()
            return
        while True:
            key = ""
            self.peek()
            line = self._line
            if end == "}":
                named = self._value()
                if not isinstance(named, str):
                    raise self.error("a name in quotes was expected", "Mend the file.")
                key = named
                self._expect(":")
                self.peek()
            yield key, self._value(), line
            if self._expect("," + end) == end:
                return

    def peek(self) -> str:
        """Give the next character that is no white space, and stand on it; empty at the end."""
        while True:
            if blank := _BLANK.match(self._window, self._at):
                self._at = blank.end()
            if self._at < len(self._window):
                self._stand()
                return self._window[self._at]
            if not self._more():
                self._stand()
                return ""

    def skip(self) -> None:
        self._at += 1

    def error(self, message: str, remedy: str) -> InputError:
        return InputError(message, path=self._path, line=self._line, remedy=remedy)

    def _expect(self, characters: str) -> str:
        found = self.peek()
        if not found or found not in characters:
            wanted = " or ".join(map(repr, characters))
            raise self.error(
                f"{wanted} was expected, and {found or 'the end of the file'!r} is there", "Mend the file."
            )
        self.skip()
        return found

    def _value(self) -> object:
        size = _PIECE
        while True:
            try:
                value, end = self._decoder.raw_decode(self._window, self._at)
            except json.JSONDecodeError as reason:
                cut = reason.msg.startswith("Unterminated") or reason.pos >= len(self._window) - _NEAR
                if not (cut and self._more(size)):
                    self._line += self._window.count("\n", self._at, reason.pos)
                    raise self.error(f"this is not JSON ({reason.msg})", "Mend the file.") from None
            except (RecursionError, ValueError) as reason:
                told = "too deep" if isinstance(reason, RecursionError) else str(reason)
                raise self.error(f"this cannot be read as JSON ({told})", "Mend the file.") from None
            else:
                if end < len(self._window) or not self._more(size):  # else a number may go on
                    self._at = end
                    return value
            size *= 2

    def _more(self, size: int = _PIECE) -> bool:
        if len(self._window) - self._at > _LONGEST:
            raise self.error(f"an entry is longer than {_LONGEST:,} characters", "Check the format that was named.")
        piece = "" if self._ended else self._text.read(size)
        if not is_utf8(piece):
            raise self.error("there are bytes that are not UTF-8", "Save the file as UTF-8.")
        self._ended = not piece
        self._window += piece
        return bool(piece)

    def _stand(self) -> None:
        """Say on which line this is, and let go of what lies behind, where that is worth it."""
        self._line += self._window.count("\n", self._counted, self._at)
        self._counted = self._at
        if self._at > _PIECE:
            self._window, self._at, self._counted = self._window[self._at :], 0, 0


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
