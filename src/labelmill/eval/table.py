"""An evaluation for a person: one row per metric, in percent, with its interval."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from labelmill.eval.evaluation import Evaluation

if TYPE_CHECKING:
    from rich.table import Table

_NAMES = {"p": "P", "r": "R", "rp": "RP", "ndcg": "nDCG", "f1": "F1"}


def render(evaluation: Evaluation) -> Table:
    """Lay an evaluation out as a table: percent with one decimal, 95% intervals, and what was counted below it."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, caption=_caption(evaluation), caption_justify="left")
    table.add_column("metric")
    table.add_column("%", justify="right")
    table.add_column("95% interval", justify="right")
    for _, names in groupby(evaluation.metrics, key=_family):
        for name in names:
            interval = evaluation.metrics[name]
            table.add_row(
                _title(name), _percent(interval.value), f"{_percent(interval.low)} to {_percent(interval.high)}"
            )
        table.add_section()
    return table


def _family(name: str) -> str:
    """Group ``rp@1`` with ``rp@5``, and ``micro_f1`` with ``micro_recall``."""
    return name.partition("@")[0] if "@" in name else name.partition("_")[0]


def _title(name: str) -> str:
    """Write a metric as papers do: ``nDCG@5``, ``micro F1``."""
    if "@" in name:
        metric, _, k = name.partition("@")
        return f"{_NAMES[metric]}@{k}"
    average, _, metric = name.partition("_")
    return f"{average} {_NAMES.get(metric, metric)}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _caption(evaluation: Evaluation) -> str:
    """Say what the metrics are over, and what was left out or counts as zero; nothing of what did not happen."""
    lines = [
        ("documents", evaluation.documents),
        ("documents without gold, left out", evaluation.documents_without_gold),
        ("documents without predictions, zero", evaluation.documents_without_predictions),
        ("gold labels", evaluation.labels),
        ("gold labels outside the taxonomy, missed", evaluation.labels_outside_taxonomy),
    ]
    return "\n".join(f"{what}: {count:,}" for what, count in lines if count)
