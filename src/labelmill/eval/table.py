"""An evaluation for a person: the metrics by group, in percent, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labelmill.eval.evaluation import Evaluation
from labelmill.eval.groups import TITLES, Shown, choose

if TYPE_CHECKING:
    from rich.table import Table

_NAMES = {
    "p": "P",
    "r": "R",
    "rp": "RP",
    "ndcg": "nDCG",
    "f1": "F1",
    "psp": "PSP",
    "psndcg": "PSnDCG",
    "ece": "calibration error",
    "hp": "hierarchical precision",
    "hr": "hierarchical recall",
    "hf1": "hierarchical F1",
}
_SIZE = "set_size_"
_NEEDS = {
    Shown.hierarchy: "no label of the taxonomy has a parent in it",
    Shown.calibration: "the scores of this run are no probabilities",
}


def render(evaluation: Evaluation, shown: Shown = Shown.main) -> Table:
    """Lay an evaluation out as a table, one section per group of metrics.

    Percent with one decimal, labels per document as they are, 95% intervals, and what was counted below.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, caption=_caption(evaluation), caption_justify="left")
    table.add_column("metric")
    table.add_column("%", justify="right")
    table.add_column("95% interval", justify="right")
    chosen = choose(evaluation.metrics, shown)
    if not chosen:
        table.add_row(f"none: {_NEEDS[shown]}")
    for kind, names in chosen.items():
        table.add_row(f"[dim]{TITLES[kind]}[/dim]")
        for name in names:
            interval = evaluation.metrics[name]
            value, low, high = (number(name, each) for each in (interval.value, interval.low, interval.high))
            table.add_row(title(name), value, f"{low} to {high}")
        table.add_section()
    return table


def title(name: str) -> str:
    """Write a metric as papers do: ``nDCG@5``, ``micro F1``, ``RP@10 tail``."""
    metric, at, rest = name.partition("@")
    if at:
        depth, _, side = rest.partition("_")
        return f"{_NAMES[metric]}@{depth} {side}".rstrip()
    if name.startswith(_SIZE):
        return f"labels per document, {name.removeprefix(_SIZE)}"
    return " ".join(_NAMES.get(word, word) for word in name.split("_"))


def number(name: str, value: float) -> str:
    """Write a fraction as percent, and a number of labels as it is."""
    return f"{value:.1f}" if name.startswith(_SIZE) else f"{100 * value:.1f}"


def _caption(evaluation: Evaluation) -> str:
    """Say what the metrics are over, and what was left out or counts as zero; nothing of what did not happen."""
    lines = [
        ("documents", evaluation.documents),
        ("documents without gold, left out", evaluation.documents_without_gold),
        ("documents without predictions, zero", evaluation.documents_without_predictions),
        ("gold labels", evaluation.labels),
        ("gold labels outside the taxonomy, missed", evaluation.labels_outside_taxonomy),
        (f"labels used, of {evaluation.labels_in_taxonomy:,}", evaluation.labels_used),
    ]
    return "\n".join(f"{what}: {count:,}" for what, count in lines if count)
