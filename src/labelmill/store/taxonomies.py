"""Versions of taxonomies in the file, each stored once, so that runs can be read without the files they came from."""

from __future__ import annotations

from labelmill.store.database import Store
from labelmill.taxonomy import Taxonomy


def put_taxonomy(store: Store, taxonomy: Taxonomy, source: str) -> None:
    """Store a version with its labels, unless it is there; within the transaction that is open.

    Args:
        store: Open for writing.
        taxonomy: The labels.
        source: Where they came from.
    """
    if store.first("SELECT 1 FROM taxonomies WHERE taxonomy = ?", [taxonomy.key]):
        return
    shown = source.encode(errors="replace").decode()  # the name of a file need not be UTF-8
    store.insert("taxonomies", [{"taxonomy": taxonomy.key, "source": shown, "labels": len(taxonomy)}])
    rows = [
        {
            "taxonomy": taxonomy.key,
            "position": position,
            "label": label.id,
            "name": label.name,
            "aliases": label.aliases,
            "description": label.description,
            "parents": label.parents,
        }
        for position, label in enumerate(taxonomy.labels)
    ]
    store.insert("labels", rows)
