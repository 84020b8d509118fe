"""A taxonomy written as JSON Lines, such that reading it back gives the same labels."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labelmill.errors import InputError, TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.readers.record import COLUMNS


def write_jsonl(taxonomy: Taxonomy, path: str | Path) -> None:
    """Write one JSON object per label, gzipped where the path ends in ``.gz``; the file is whole or stays as it was.

    Raises:
        TaxonomyError: A field bears the name of a column, such as ``parents``.
        InputError: The file cannot be written: no such folder, no permission, a full disk.
    """
    write_lines((json.dumps(_record(label), ensure_ascii=False) for label in taxonomy), path, "the taxonomy")


def write_lines(lines: Iterable[str], path: str | Path, what: str) -> None:
    """Write lines, gzipped where the path ends in ``.gz``; the file is whole or stays as it was.

    Args:
        lines: Without their ends.
        path: The file.
        what: What it is, for the message.

    Raises:
        InputError: The file cannot be written: no such folder, no permission, a full disk.
    """
    target = Path(path)
    ended = (line + "\n" for line in lines)
    try:
        with aside(target) as fresh:
            if target.suffix.lower() == ".gz":
                with gzip.open(fresh, "wt", encoding="utf-8", newline="\n") as packed:
                    packed.writelines(ended)
            else:
                with fresh.open("w", encoding="utf-8", newline="\n") as plain:
                    plain.writelines(ended)
    except OSError as error:
        raise InputError(
            f"{what} cannot be written: {error.strerror or error}",
            path=path,
            remedy="Name a file in a folder that exists, can be written to and has space.",
        ) from error


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """Name a file beside `target` that takes its place at the end, or is deleted where something fails."""
    if target.exists() and not target.is_file():  # a pipe or a device is written as it is; a folder fails at once
        yield target
        return
    final = target.resolve()  # a link stays one
    fresh = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        yield fresh
        fresh.replace(final)
    finally:
        fresh.unlink(missing_ok=True)


def _record(label: Label) -> dict[str, object]:
    if taken := [key for key in label.fields if key in COLUMNS]:
        message = f"the field {taken[0]!r} of label {label.id!r} bears the name of a column"
        raise TaxonomyError(message, remedy="Rename the field.")
    # Every column is written, empty or not: a field called "definition" must not be taken for a missing description.
    return {
        "id": label.id,
        "name": label.name,
        "aliases": label.aliases,
        "description": label.description,
        "parents": label.parents,
        "prior": label.prior,
        **label.fields,
    }
