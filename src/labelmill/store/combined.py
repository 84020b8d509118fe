"""Soft labels as a run: many documents at once, by arrays, with who voted for what as the evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.keys import content_key
from labelmill.store.database import Store
from labelmill.store.writer import RunWriter

_AT_ONCE = 25_000
"""Documents of a commit."""


@dataclass(frozen=True, slots=True, eq=False)
class CombinedLabels:
    """Soft labels, m of them, by document and rank.

    Attributes:
        documents: Ids of all documents, with labels or without.
        row: Index into `documents`, ascending, shape (m,).
        label: Ids of the labels, shape (m,).
        rank: From 1 within the document, shape (m,).
        score: Shape (m,).
        selected: Whether in the final set, shape (m,).
    """

    documents: Sequence[str]
    row: NDArray[np.int64]
    label: NDArray[np.object_]
    rank: NDArray[np.int32]
    score: NDArray[np.float64]
    selected: NDArray[np.bool_]


def write_combined(
    store: Store,
    writer: RunWriter,
    key: str,
    labels: CombinedLabels,
    voters: Sequence[str],
    on_written: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Write soft labels as the predictions of a run; those of an earlier combination of the same name are replaced.

    Args:
        store: The file, open for writing.
        writer: The run.
        key: The run's key.
        labels: What to write.
        voters: Whose votes are the evidence.
        on_written: Told how many documents are in, and of how many.
    """
    total = len(labels.documents)
    starts = np.searchsorted(labels.row, np.arange(0, total + _AT_ONCE, _AT_ONCE))
    for table in ("documents", "predictions", "failures"):
        with store.transaction():
            store.connection.execute(f"DELETE FROM {table} WHERE run = ?", [writer.run])  # noqa: S608
    for part, start in enumerate(range(0, total, _AT_ONCE)):
        here = slice(int(starts[part]), int(starts[part + 1]))
        names = labels.documents[start : start + _AT_ONCE]
        documents = np.array(names, dtype=np.object_)
        columns = {
            "document": documents[labels.row[here] - start],
            "label": labels.label[here],
            "rank": labels.rank[here],
            "score": labels.score[here],
            "selected": labels.selected[here],
        }
        keys = np.array([content_key("combined", key, name) for name in names], dtype=np.object_)
        given = {"run": writer.run, "batch": writer.take_batch(), "voters": list(voters)}
        with store.transaction(), store.view("new_documents", {"document": documents, "key": keys}):
            _execute(store, _DOCUMENTS, given)
            if len(columns["score"]):
                with store.view("new_labels", columns):
                    _execute(store, _PREDICTIONS, given)
        on_written(start + len(names), total)


def _execute(store: Store, query: str, given: dict[str, Any]) -> None:
    store.connection.execute(query, {name: value for name, value in given.items() if f"${name}" in query})


_DOCUMENTS = "INSERT INTO documents SELECT $run, document, key, '', 1, [], '', $batch FROM new_documents"

_PREDICTIONS = (
    "INSERT INTO predictions WITH said AS ("
    "SELECT document, label, list(struct_pack(lane := voter, rank := greatest(rank, 1), "
    "score := (vote * confidence)::FLOAT, query := '') ORDER BY vote DESC, voter) AS hits FROM votes "
    "WHERE document IN (SELECT document FROM new_documents) AND voter IN (SELECT unnest($voters::VARCHAR[])) "
    "GROUP BY document, label) "
    "SELECT $run, document, label, rank, score, selected, rank, score, coalesce(hits, []), $batch "
    "FROM new_labels LEFT JOIN said USING (document, label) ORDER BY document, rank"
)
