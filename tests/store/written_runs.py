"""Values for runs in real DuckDB files: labels with odd names, documents, answers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from labelmill.records import Label, LaneHit, Prediction
from labelmill.store import DocumentResult, RunWriter, StageResult, Store
from labelmill.taxonomy import Taxonomy

ODD = [
    'salt, pepper; the "basics"',
    "it's: 'quoted', \"twice\" \\ and \\n back",
    "two\nlines\r\nand\ttab",
    "🥖🏽 👩‍👩‍👧 東京 خبز e\u0301 \u2028 \ufeff",
    "NULL",
    "007",
    " blank around ",
    '{"json": [1, null]}',
    "'); DROP TABLE runs; --",
    "$run ? %s {x}",
]
"""Names, ids and texts that a careless store would change."""

LABELS = Taxonomy.from_labels(
    Label(f"id {text}", text, (text, f"alias {text}"), f"what {text} means", (f"parent {text}",)) for text in ODD
)


def key_of(name: str) -> str:
    """Make a key such as content has."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


class Written:
    """Makes writers, and the values that they write, over one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def writer(self, store: Store, run: str = "first", **changes: Any) -> RunWriter:
        """Begin a run, or take it up."""
        values: dict[str, Any] = {
            "key": "k1",
            "program": {"infer": "windows", "nested": {"a": [1, None]}},
            "taxonomy": LABELS,
            "taxonomy_source": "labels.csv",
            "corpus": ["docs.jsonl"],
            "version": "0",
        }
        return RunWriter(store, run=run, **(values | changes))

    def document(self, name: str, labels: int = 2, stages: tuple[str, ...] = (), **changes: Any) -> DocumentResult:
        """Make a document with predictions of the first labels, the first one selected."""
        predictions = [
            Prediction(
                label.id, label.name, rank, 1 / rank, rank == 1, rank, (LaneHit("lane", rank, 0.25, label.name),)
            )
            for rank, label in enumerate(LABELS.labels[:labels], start=1)
        ]
        values: dict[str, Any] = {"source": f"docs.jsonl:{name}", "chunks": 1, "predictions": predictions}
        keys = tuple(key_of(stage) for stage in stages)
        return DocumentResult(document=name, key=key_of(name), stages=keys, **(values | changes))

    def stage(self, name: str, output: list[Any] | None = None) -> StageResult:
        """Make a model's answer that cost something."""
        return StageResult(key_of(name), "infer", "toy", output or ["salt"], 100, 60, 10, 0.5, 2)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the file as it lies on the disk."""
        with Store(self.path) as store:
            return store.connection.execute(query).fetchall()
