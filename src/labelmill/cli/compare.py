"""``labelmill compare``: two runs against the same gold labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelmill.cli import options
from labelmill.cli.console import put, put_json, put_table, say

if TYPE_CHECKING:
    from labelmill.pipelines.comparison import RunComparison

_RUN_ADDRESS = "FILE, or FILE:RUN; without a run the newest of the file."


def compare(
    a: Annotated[str, typer.Argument(help=f"The first run: {_RUN_ADDRESS}")],
    b: Annotated[str, typer.Argument(help="The second run, from the same file or another.")],
    gold: Annotated[list[Path], typer.Option("--gold", "-g", help="Documents with gold labels, ids or unique names.")],
    k: Annotated[
        list[int] | None,
        typer.Option("-k", min=1, help="Depths of the ranking metrics; documents are compared at the first."),
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Draws of the bootstrap, and random swaps.")] = 1000,
    most: Annotated[int, typer.Option(min=0, help="Labels and documents that changed, to show.")] = 10,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Say whether one run is better than another: each metric's difference, its 95% interval and p-value.

    Example: labelmill compare runs.duckdb:plain runs.duckdb:tuned --gold ads.jsonl
    """
    from labelmill.pipelines.comparison import compare_runs
    from labelmill.pipelines.gold import GoldCorpus

    corpus = GoldCorpus.read(gold, id_field=id_field, text_field=text_field, labels_field=labels_field)
    result = compare_runs(address(a), address(b), corpus, ks=k or (5, 10), resamples=resamples)
    for warning in result.warnings:
        say(f"Note: {warning}.")
    if as_json:
        put_json(result.as_dict(most))
    else:
        _put(result, most)


def address(text: str) -> tuple[Path, str | None]:
    """Split a file from the run behind it; a colon may stand in the names of both."""
    colons = [place for place, sign in enumerate(text) if sign == ":"]
    splits = [(Path(text), None), *((Path(text[:at]), text[at + 1 :]) for at in reversed(colons))]
    return next(((path, run or None) for path, run in splits if path.exists()), splits[-1])


def _put(result: RunComparison, most: int) -> None:
    """Show a comparison, then what changed."""
    from labelmill.eval.comparison_table import render_comparison

    for letter, side in zip("AB", result.sides, strict=True):
        put(f"{letter}: run {side.run} of {side.path}")
    put_table(render_comparison(result.comparison))
    changed = len(result.changes.documents)
    put(f"Final sets that changed: {changed:,} of {len(result.documents):,}")
    for what, labels in result.label_changes(most).items():
        if labels:
            rows = [[label["name"], f"{label['documents']:,}", f"{label['right']:,}"] for label in labels]
            _put_rows(f"labels {what} most often in B", ["label", "documents", "of these gold"], rows)
    documents = result.document_changes(most)
    if documents:
        rows = [[row["document"], *_scores(row), "; ".join(row["gained"]), "; ".join(row["lost"])] for row in documents]
        depth = next(iter(result.comparison.wins)).upper()
        _put_rows(
            "documents that changed most", ["document", f"{depth} A", f"{depth} B", "gained in B", "lost in B"], rows
        )


def _scores(row: dict[str, Any]) -> list[str]:
    return [f"{100 * row[side]:.1f}" for side in ("a", "b")]


def _put_rows(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Show rows of text as they are: brackets in names are no markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(Text, row))
    put_table(table)
