"""Everything that optimising has asked and found, one line each as it comes: what was killed goes on from there.

Entries are addressed by content, as a run's answers are, so a journal never goes stale: whatever else is asked (another
optimiser, another seed, a changed task) finds what it can use and adds the rest.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from labelmill.errors import InputError

_HEAD = b'{"labelmill_journal":1}\n'
_REMEDY = "Name another file, or remove this one."


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer of a model, or the candidates that were retrieved for one document.

    Attributes:
        key: Hash of everything that went in.
        stage: ``infer``, ``rank``, ``propose`` or ``retrieve``.
        output: The answer as it is read; empty where it could not be.
        problem: Why there is no answer; empty where there is one.
        requests: Sent for it, a repair included.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        cached_tokens: Of those read, out of the server's prefix cache.
    """

    key: str
    stage: str
    output: list[Any]
    problem: str = ""
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Journal:
    """Entries by key, in memory and in a file of JSON lines; use it as a context manager.

    Args:
        path: The file, made where it is absent; None for memory alone. One process at a time should write it.

    Raises:
        InputError: The file is no journal, or cannot be opened.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """Load what the file holds. A last line without its end, as a kill leaves it, is dropped."""
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        if path is not None:
            try:
                self._file = Path(path).open("a+b")  # noqa: SIM115 - as long as this
                self._load(Path(path), self._file)
            except OSError as error:
                reason = error.strerror or str(error)
                raise InputError(f"the journal cannot be opened ({reason})", path=path, remedy=_REMEDY) from error
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._entries)

    def close(self) -> None:
        """Close the file; every entry is in it already."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def get(self, key: str) -> Entry | None:
        """Look an entry up."""
        return self._entries.get(key)

    def put(self, entry: Entry) -> Entry:
        """Keep an entry, in the file at once; of two with one key the first stays, and is returned."""
        with self._lock:
            kept = self._entries.setdefault(entry.key, entry)
            if kept is entry and self._file is not None:
                self._file.write(orjson.dumps(asdict(entry)) + b"\n")
                self._file.flush()
        return kept

    def _load(self, path: Path, file: BinaryIO) -> None:
        file.seek(0)
        content = file.read()
        if not content:
            file.write(_HEAD)
            file.flush()
            return
        if not content.startswith(_HEAD):
            raise InputError("this is no journal of optimising", path=path, remedy=_REMEDY)
        *lines, rest = content.split(b"\n")
        for number, line in enumerate(lines[1:], start=2):
            try:
                entry = Entry(**orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError):
                raise InputError("this line is no entry", path=path, line=number, remedy="Remove the line.") from None
            self._entries.setdefault(entry.key, entry)
        if rest:
            file.truncate(len(content) - len(rest))
