"""A comparison for a person: a row per metric with both values, the difference and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labelmill.eval.comparison import Comparison, Difference
from labelmill.eval.table import title

if TYPE_CHECKING:
    from rich.table import Table


def render_comparison(comparison: Comparison) -> Table:
    """Lay a comparison out as a table: percent with one decimal, differences in points, and wins by document below."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, caption=_caption(comparison), caption_justify="left")
    table.add_column("metric")
    for name in ("A %", "B %", "B - A", "95% interval", "p"):
        table.add_column(name, justify="right")
    for name, value in comparison.metrics.items():
        table.add_row(title(name), *_cells(value))
    return table


def _cells(value: Difference) -> list[str]:
    change = value.difference
    interval = f"{_points(change.low)} to {_points(change.high)}"
    return [f"{100 * value.a:.1f}", f"{100 * value.b:.1f}", _points(change.value), interval, f"{value.p_value:.3f}"]


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}"


def _caption(comparison: Comparison) -> str:
    lines = [f"documents: {len(comparison.rows):,}"]
    if comparison.documents_without_gold:
        lines.append(f"documents without gold, left out: {comparison.documents_without_gold:,}")
    lines += [
        f"{title(name)} by document: {wins.b:,} better in B, {wins.a:,} better in A, {wins.ties:,} equal"
        for name, wins in comparison.wins.items()
    ]
    return "\n".join(lines)
