"""The texts of a few documents of a run, found again in its corpus, and the file of documents for a person to label."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.records import Document
from labelmill.store import Store

Reading = Callable[[Sequence[str | Path]], Corpus]
"""Makes the corpus of some paths, where its fields are called otherwise than usual."""


def find_texts(
    store: Store, run: str, documents: Collection[str], docs: Sequence[str | Path] | None, read: Reading = Corpus
) -> dict[str, Document]:
    """Read a corpus once, and keep some documents of it; those that are not there are left out.

    Args:
        store: Where the run is.
        run: Its name.
        documents: Ids.
        docs: Where the texts are; by default where the run found them.
        read: Makes the corpus.

    Raises:
        InputError: The run does not say where its documents are, or nothing is there, or none of them is.
    """
    paths = docs or _paths_of(store, run)
    wanted, found = frozenset(documents), dict[str, Document]()
    for item in read(paths).documents():
        if isinstance(item, Document) and item.id in wanted:
            found[item.id] = item
            if len(found) == len(wanted):
                break
    if wanted and not found:
        raise InputError(
            f"none of the {len(wanted):,} documents that were chosen is there",
            path=paths[0],
            remedy="Give the corpus that was labelled with --docs, and the same --id-field.",
        )
    return found


def write_to_label(rows: Iterable[dict[str, Any]], target: str | Path) -> int:
    """Write documents for a person to label, one JSON object a line; returns how many.

    Raises:
        InputError: The file is not to be called that, is there already, or cannot be written.
    """
    check_target(target)
    count = 0
    try:
        with Path(target).open("xb") as file:
            for row in rows:
                file.write(orjson.dumps(row) + b"\n")
                count += 1
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path=target, remedy="Name another file.") from None
    return count


def check_target(target: str | Path) -> None:
    """Refuse a file that cannot be read back, or that a person may have filled in; see `write_to_label`."""
    target = Path(target)
    if target.suffix.lower() not in {".jsonl", ".ndjson"}:
        raise InputError(f"unknown format {target.suffix!r}", path=target, remedy="Use .jsonl.")
    if target.exists():
        raise InputError(
            "this file is there already, and a person may have filled it in", path=target, remedy="Name another --out."
        )
    if not target.absolute().parent.is_dir():
        raise InputError("there is no such folder", path=target, remedy="Make it, or name another --out.")


def _paths_of(store: Store, run: str) -> list[str]:
    row = store.first("SELECT corpus, program FROM runs WHERE run = ?", [run])
    paths, program = row or ([], "{}")
    if "combine" in orjson.loads(program):
        raise InputError(f"run {run!r} was made of votes, not of documents", remedy="Give its documents with --docs.")
    if "-" in paths:
        raise InputError(f"run {run!r} was made from standard input", remedy="Give its documents with --docs.")
    if gone := [path for path in paths if not Path(path).exists()]:
        remedy = "Say where the documents are now with --docs."
        raise InputError(f"run {run!r} was made from this path, where nothing is", path=gone[0], remedy=remedy)
    return list(paths)
