"""Which gold taught a run: documents of which its figures say less than of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labelmill.keys import text_key
from labelmill.records import Document
from labelmill.taxonomy.usages import document_key


def keys_of_texts(documents: Iterable[Document]) -> tuple[str, ...]:
    """Identify documents by their beginnings, whatever their ids: what a program keeps of the gold that taught it."""
    return tuple(sorted({document_key(each.text) for each in documents if each.text}))


def count_taught(program: Mapping[str, Any], documents: Iterable[Document]) -> int:
    """Count the documents with gold that a run learned from.

    Args:
        program: The run's, as the store has it: a tuned one knows texts, one of combined votes ids.
        documents: Documents of the run with gold labels.
    """
    texts = frozenset(program.get("learned_from") or ())
    ids = frozenset((program.get("combine") or {}).get("learned_from") or ())
    return sum(
        (bool(texts and each.text) and document_key(each.text) in texts) or (bool(ids) and text_key(each.id) in ids)
        for each in documents
        if each.labels
    )


def warn_taught(run: str, taught: int, documents: int) -> list[str]:
    """Say in a line what that means, if there are such documents."""
    if not taught:
        return []
    of = f"all {documents:,}" if taught == documents else f"{taught:,} of {documents:,}"
    line = (
        f"run {run!r} learned from {of} documents with gold that it is measured on, and looks better on them than on "
        "others: give gold of documents that taught it nothing"
    )
    return [line]
