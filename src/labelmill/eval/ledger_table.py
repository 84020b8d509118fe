"""A ledger for a person: what each stage lost, then the labels and the documents that lost most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labelmill.eval.fates import STAGES, Fate
from labelmill.eval.ledger import Ledger, Losses

if TYPE_CHECKING:
    from rich.table import Table


def render_ledger(ledger: Ledger, worst: int = 10) -> list[Table]:
    """Lay a ledger out as tables: the stages, and as many of the worst labels and documents as asked for."""
    tables = [_stages(ledger)]
    if labels := ledger.worst_labels(worst):
        tables.append(_losses("labels lost most often", "label", labels))
    if documents := ledger.worst_documents(worst):
        tables.append(_losses("documents that lost most labels", "document", documents))
    return tables


def _stages(ledger: Ledger) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, caption=_caption(ledger), caption_justify="left")
    table.add_column("gold labels are")
    table.add_column("lost there as")
    for name in ("lost", "% of gold", "recall still possible, %"):
        table.add_column(name, justify="right")
    counts, ceilings, total = ledger.counts, ledger.ceilings, max(1, len(ledger.entries))
    for stage, fate in STAGES.items():
        lost = counts[fate]
        table.add_row(stage, str(fate), f"{lost:,}", f"{100 * lost / total:.1f}", f"{100 * ceilings[stage]:.1f}")
    return table


def _caption(ledger: Ledger) -> str:
    found = ledger.counts[Fate.found]
    proposed = {
        "queries": f"a query is at least {ledger.near:g} near to a name or alias, or it was retrieved anyway",
        "votes": "votes rank it",
        "student": "the student ranks it",
    }
    return (
        f"gold labels: {len(ledger.entries):,}\nfound: {found:,}\nlost: {ledger.lost:,}\n"
        f"ranked too low: not chosen, and below the {ledger.top_k} that can be\n"
        f"proposed: {proposed[ledger.proposer]}"
    )


def _losses(title: str, what: str, worst: Sequence[Losses]) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    table.add_column(what)
    table.add_column("lost", justify="right")
    table.add_column("of", justify="right")
    table.add_column("where")
    table.add_column("for example")
    for losses in worst:
        where = ", ".join(f"{fate} {count}" for fate, count in losses.fates.items())
        name, example = escape(losses.name), escape(losses.entries[0].explain())
        table.add_row(name, f"{len(losses.entries):,}", f"{losses.gold:,}", where, example)
    return table
