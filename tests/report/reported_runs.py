"""A small run in a real DuckDB file, with names and texts that a careless page would run or garble."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labelmill.pipelines.gold import GoldCorpus
from labelmill.records import Label, LaneHit, Prediction
from labelmill.store import DocumentResult, RunWriter, Store
from labelmill.taxonomy import Taxonomy
from scripted import write_jsonl

SCRIPT = "<script>alert('run')</script>"
NAMES = [
    SCRIPT,
    "\" onmouseover='alert(1)' x=\"",
    "\u202eright to left\u2066",
    "bell\x07 and \x1b[31m",
    "</title></style></table>-->",
    "https://example.org/x.js",
    "plain baking",
    "&lt;b&gt; stays",
]
LABELS = Taxonomy.from_labels(Label(f"id {name}", name) for name in NAMES)

PROBABLE = {
    "infer": "windows",
    "rank": "fusion",
    "top_k": 3,
    "fusion": {"columns": ["a"], "linear": {"weights": [1.0]}},
    "calibration": {"kind": "platt"},
}

RANKED: Mapping[str, Sequence[tuple[int, float]]] = {
    "d0": [(6, 0.9), (0, 0.8), (1, 0.3), (2, 0.1)],
    "d1": [(0, 0.7), (4, 0.6), (5, 0.2)],
    f"d2 {SCRIPT}": [(3, 0.4), (2, 0.35)],
    "d3": [(7, 0.2)],
}
"""Labels and probabilities of each document."""

GOLD: Mapping[str, Sequence[int]] = {"d0": [6, 0, 2], "d1": [4, 3], f"d2 {SCRIPT}": [3], "d3": [5]}


def decided(threshold: float, promise: str = "f1", **changes: Any) -> dict[str, Any]:
    """Make a program with a decision."""
    decision = {"threshold": threshold, "top_k": 3, "promise": promise, "statement": f"that {promise}", "figures": {}}
    return PROBABLE | {"decision": decision | changes}


def write_run(path: Path, program: Mapping[str, Any], threshold: float, run: str = "r") -> GoldCorpus:
    """Write a run whose labels at or above a threshold are chosen, and its gold, whose texts hold the evidence."""
    with Store(path, write=True) as store:
        writer = RunWriter(
            store,
            run=run,
            key=f"key of {run}",
            program=program,
            taxonomy=LABELS,
            taxonomy_source="<labels>.csv",
            corpus=["<docs>.jsonl"],
            version="0",
        )
        writer.write([_document(name, ranked, threshold) for name, ranked in RANKED.items()], [], [], [])
    rows = [{"id": name, "text": _text(name), "labels": [NAMES[at] for at in labels]} for name, labels in GOLD.items()]
    return GoldCorpus.read([write_jsonl(path.with_suffix(".jsonl"), rows)])


def _text(document: str) -> str:
    places = [place for place, _ in RANKED[document]]
    return f"<img src=x onerror=alert(1)> {document} {' and '.join(f'word{place} here' for place in places)} {SCRIPT}"


def _document(name: str, ranked: Sequence[tuple[int, float]], threshold: float) -> DocumentResult:
    predictions = [
        Prediction(
            f"id {NAMES[label]}",
            NAMES[label],
            rank,
            score,
            score >= threshold and rank <= 3,
            rank,
            (LaneHit("b", 2, 0.5, "here"), LaneHit("a", 1, 0.5, f"word{label} here"), LaneHit("c", 1, 0.5, "")),
        )
        for rank, (label, score) in enumerate(ranked, start=1)
    ]
    return DocumentResult(name, hashlib.sha256(name.encode()).hexdigest()[:32], "docs:1", 1, predictions)
