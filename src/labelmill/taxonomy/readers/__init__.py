"""One reader per taxonomy format, chosen by the file's suffix; each gives rows, and problems for what it cannot read.

A reader is forgiving about what columns are called and strict about what they hold.
"""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from labelmill.taxonomy.problems import Entry, error
from labelmill.taxonomy.readers.delimited import read_delimited
from labelmill.taxonomy.readers.jsonl import read_jsonl
from labelmill.taxonomy.readers.names import read_names
from labelmill.taxonomy.readers.skos import read_skos

__all__ = ["SUFFIXES", "read_entries"]

_Reader: TypeAlias = Callable[[Path, str], Iterator[Entry]]

_READERS: dict[str, _Reader] = {
    ".jsonl": lambda path, _: read_jsonl(path),
    ".ndjson": lambda path, _: read_jsonl(path),
    ".csv": lambda path, _: read_delimited(path, ","),
    ".tsv": lambda path, _: read_delimited(path, "\t"),
    ".txt": lambda path, _: read_names(path),
    ".rdf": read_skos,
    ".xml": read_skos,
    ".owl": read_skos,
    ".ttl": read_skos,
    ".nt": read_skos,
}
SUFFIXES = tuple(_READERS)


def read_entries(path: Path, *, language: str = "en") -> Iterator[Entry]:
    """Read a taxonomy file, whatever its format; what cannot be read is an error among the entries, never raised.

    Args:
        path: The file; ``.gz`` after the format's suffix is understood.
        language: The language of the names, for SKOS.

    Raises:
        MissingExtraError: SKOS without rdflib.
    """
    yield from _guarded(_entries(path, language))


def _entries(path: Path, language: str) -> Iterator[Entry]:
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    if path.is_dir():
        yield error("unreadable", "this is a folder, not a taxonomy file", None, "Name the file in it.")
    elif reader := _READERS.get(suffix.lower()):
        yield from reader(path, language)
    else:
        remedy = f"Use one of {', '.join(_READERS)}, each also with .gz."
        if suffix.lower() == ".json":
            target = shlex.quote(f"{path.stem}.jsonl")
            remedy = f"Write one JSON object per line: jq -c '.[]' {shlex.quote(path.name)} > {target}"
        message = f"a taxonomy is not read from {suffix or 'a file without a suffix'}"
        yield error("unknown-format", message, None, remedy)


def _guarded(entries: Iterator[Entry]) -> Iterator[Entry]:
    empty = True
    try:
        for entry in entries:
            empty = False
            yield entry
    except FileNotFoundError:
        yield error("unreadable", "there is no such file", None, "Check the path.")
    except (EOFError, zlib.error) as reason:
        yield error("unreadable", f"the gzip file is damaged ({reason})", None, "Fetch or compress it again.")
    except UnicodeError as reason:
        yield error("encoding", str(reason), 1, "Save the file as UTF-8.")
    except OSError as reason:
        yield error("unreadable", f"the file cannot be read ({reason.strerror or reason})", None, "Check the file.")
    else:
        if empty:
            yield error("empty", "the file holds no labels", None, "Add a label, or name another file.")
