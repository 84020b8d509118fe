"""A run handed out document by document, in batches: what it says of the documents that somebody asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from labelmill.store.database import Store

_PAGE = (
    "SELECT document FROM documents WHERE run = $run AND ($after IS NULL OR document > $after) "
    "ORDER BY document LIMIT 5000"
)
_FOUND = (
    "SELECT place, batch FROM documents JOIN (SELECT unnest($documents::VARCHAR[]) AS document, "
    "generate_subscripts($documents::VARCHAR[], 1) - 1 AS place) USING (document) WHERE run = $run"
)
# Rows of a run lie sorted by their batch: only the stretch is read that these documents are in.
_PREDICTIONS = (
    "WITH wanted AS (SELECT unnest($documents::VARCHAR[]) AS document, "
    "generate_subscripts($documents::VARCHAR[], 1) - 1 AS place), "
    "known AS (SELECT label, position FROM labels WHERE taxonomy = (SELECT taxonomy FROM runs WHERE run = $run)) "
    "SELECT place, position, rank, score, selected FROM predictions JOIN wanted USING (document) "
    "JOIN known USING (label) WHERE run = $run AND batch BETWEEN $first AND $last "
    "AND (selected OR NOT $selected_only) ORDER BY place, rank"
)

Prediction = tuple[int, int, float, bool]
"""A label's position, its rank, its score, and whether it is in the final set."""


def done_documents(store: Store, run: str) -> Iterator[list[str]]:
    """Give the ids of the documents that a run has done, in order, batch by batch."""
    after: str | None = None
    while True:
        with store.errors():
            page = [row[0] for row in store.connection.execute(_PAGE, {"run": run, "after": after}).fetchall()]
        if not page:
            return
        yield page
        after = page[-1]


def predictions_by_document(
    store: Store, run: str, documents: Sequence[str], *, selected_only: bool = False
) -> list[list[Prediction] | None]:
    """Read what a run says of some thousand documents: by rank; None of one that it has not done."""
    given: dict[str, Any] = {"run": run, "documents": list(documents)}
    found: list[list[Prediction] | None] = [None] * len(documents)
    with store.errors():
        batches = []
        for place, batch in store.connection.execute(_FOUND, given).fetchall():
            found[place] = []
            batches.append(batch)
        if not batches:
            return found
        given |= {"first": min(batches), "last": max(batches), "selected_only": selected_only}
        columns = store.connection.execute(_PREDICTIONS, given).fetchnumpy()
    values = (columns[name].tolist() for name in ("place", "position", "rank", "score", "selected"))
    for place, *rest in zip(*values, strict=True):
        rows = found[place]
        if rows is not None:
            rows.append(tuple(rest))
    return found
