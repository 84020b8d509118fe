"""What the card of an exported run says: its provenance and counts out of the store, its quality out of the gold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from labelmill.errors import GoldError
from labelmill.eval.groups import Shown, choose
from labelmill.eval.table import number, title
from labelmill.formats import Labels
from labelmill.formats.card import Card, Figure
from labelmill.pipelines.evaluate import evaluate_run
from labelmill.pipelines.exchange.gathering import Gathered
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.report_words import describe_material, describe_program
from labelmill.store import Store
from labelmill.store.summary import summarise

_FREQUENT = 10


def card_of(store: Store, run: str, counts: Gathered, labels: Labels) -> Card:
    """Describe what was exported; paths are left out but for the files' names, since cards are for others to read.

    Args:
        store: Where the run is.
        run: Its name.
        counts: What was exported; its gold is what quality is measured on.
        labels: The labels.
    """
    summary = summarise(store, run)
    with store.errors():
        row = store.first(
            "SELECT source, version FROM taxonomies, runs WHERE run = ? AND runs.taxonomy = taxonomies.taxonomy", [run]
        )
    source, version = row or ("", "")
    named = replace(summary, corpus=[Path(each).name for each in summary.corpus])
    origin = {"Run": run, **dict(describe_material(named, Path(source).name, len(labels.labels)))}
    origin |= {
        "Key of the taxonomy": summary.taxonomy,
        "Written by": f"labelmill {version}",
        **dict(describe_program(_without_addresses(summary.program))),
    }
    figures, judged = _quality(store.path, run, counts)
    frequent = [(labels.labels[place].name, count) for place, count in counts.selected.most_common(_FREQUENT)]
    return Card(
        run,
        counts.documents,
        counts.texts,
        origin,
        _counts(counts, labels, summary.failures),
        frequent,
        figures,
        judged,
    )


def _without_addresses(program: Mapping[str, Any]) -> dict[str, Any]:
    """Name embedders at servers by their models alone: where somebody's servers are is nobody else's business."""
    named = [str(each).partition("@http")[0] for each in program.get("embedders") or ()]
    return {**program, "embedders": named}


def _counts(counts: Gathered, labels: Labels, failures: int) -> dict[str, str]:
    given = counts.selected.total()
    mean = given / counts.documents if counts.documents else 0.0
    return {
        "Documents": f"{counts.documents:,}",
        "Documents that failed, and are not here": f"{failures:,}",
        "Documents without a label": f"{counts.sizes[0]:,}",
        "Labels given": f"{given:,}, {mean:.2f} a document, at most {max(counts.sizes, default=0)}",
        "Labels ranked": f"{counts.predictions:,}",
        "Labels used": f"{len(counts.selected):,} of {len(labels.labels):,} in the taxonomy",
        "Documents with gold labels": f"{len(counts.gold):,}",
    }


def _quality(path: Path, run: str, counts: Gathered) -> tuple[list[Figure], int]:
    """Evaluate the run as `labelmill eval` does, on the gold that was met on the way."""
    if not counts.gold:
        return [], 0
    try:
        found = evaluate_run(path, GoldCorpus(tuple(counts.gold)), run=run)
    except GoldError:  # no gold label is in the taxonomy; the export reports that
        return [], 0
    metrics = found.evaluation.metrics
    figures = [
        Figure(
            title(name), *(number(name, each) for each in (metrics[name].value, metrics[name].low, metrics[name].high))
        )
        for names in choose(metrics, Shown.main).values()
        for name in names
    ]
    return figures, found.evaluation.documents
