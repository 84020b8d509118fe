"""A taxonomy written as JSON Lines, such that reading it back gives the same labels."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from labelmill.errors import TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.readers.record import COLUMNS


def write_jsonl(taxonomy: Taxonomy, path: str | Path) -> None:
    """Write one JSON object per label, gzipped where the path ends in ``.gz``.

    Raises:
        TaxonomyError: A field bears the name of a column, such as ``parents``.
    """
    target = Path(path)
    lines = (json.dumps(_record(label), ensure_ascii=False) + "\n" for label in taxonomy)
    if target.suffix.lower() == ".gz":
        with gzip.open(target, "wt", encoding="utf-8", newline="\n") as packed:
            packed.writelines(lines)
    else:
        with target.open("w", encoding="utf-8", newline="\n") as plain:
            plain.writelines(lines)


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
