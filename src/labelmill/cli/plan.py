"""``labelmill plan``: what labelling a corpus will take, from a pilot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, duration, put, put_json, put_table, say
from labelmill.cli.program import ProgramChoice, takes_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from labelmill.pipelines.estimate import Estimate
    from labelmill.pipelines.pilot import PilotProgress, Plan


@takes_program
def plan(
    docs: options.Docs,
    program: ProgramChoice,
    limit: options.Limit = None,
    pilot: Annotated[int, typer.Option(min=2, help="Documents to label for it, at least.")] = 50,
    pilot_seconds: Annotated[
        float, typer.Option(min=0, help="In which to label more, while the servers are not busy yet.")
    ] = 120.0,
    seed: Annotated[int, typer.Option(help="Of the drawing of these documents.")] = 0,
    price_prompt: Annotated[float, typer.Option(min=0, help="Of a million tokens read.")] = 0.0,
    price_cached: Annotated[
        float | None, typer.Option(min=0, help="Of a million of them out of the prefix cache. Default: as the others.")
    ] = None,
    price_completion: Annotated[float, typer.Option(min=0, help="Of a million tokens written.")] = 0.0,
    price_gpu_hour: Annotated[float, typer.Option(min=0, help="Of an hour of one GPU.")] = 0.0,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs that the servers have together.")] = 1,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Predict the calls, tokens, hours and cost of labelling a corpus, each with a 95% interval, from a pilot.

    Nothing is stored, and the answers are not kept: a run asks for these documents again. The cost is in whatever
    currency the prices are in. How many tokens come out of the prefix cache depends on what the server has in it:
    a warm cache gives more of them, and is faster.

    Example: labelmill plan ads.jsonl -t skills.csv --lm http://127.0.0.1:8000/v1 --price-gpu-hour 2.50
    """
    from labelmill.corpus import Corpus
    from labelmill.pipelines.estimate import Prices

    corpus = Corpus(docs, limit, id_field, text_field, labels_field)
    corpus.count()  # before anything slow: it sees that the files are there
    shown = Progress()
    with program.open(shown) as labeler:
        say(f"Labelling {pilot} documents or more, drawn from the whole corpus; nothing is stored")
        prices = Prices(price_prompt, price_cached, price_completion, price_gpu_hour, gpus)
        try:
            made = labeler.plan_corpus(
                corpus,
                prices=prices,
                documents=pilot,
                seconds=pilot_seconds,
                seed=seed,
                on_progress=lambda progress: shown.show(_line(progress)),
            )
        finally:
            shown.end()
    if as_json:
        from dataclasses import asdict

        put_json(asdict(made))
    else:
        _put_plan(made, priced=prices != Prices(gpus=gpus))


def _line(progress: PilotProgress) -> str:
    return f"pilot: {progress.done:,} of {progress.documents:,} documents, {duration(progress.seconds)}"


def _put_plan(plan: Plan, *, priced: bool) -> None:
    from rich import box
    from rich.table import Column, Table

    unreadable = f" ({plan.unreadable:,} rows cannot be read)" if plan.unreadable else ""
    failed = f", {plan.pilot_failures} of them failed" if plan.pilot_failures else ""
    took = f"{duration(plan.pilot_seconds)}{failed}"
    put(f"{plan.documents:,} documents{unreadable}; {plan.pilot} labelled for this in {took}")
    right: Any = {"justify": "right"}
    table = Table("", Column("expected", **right), Column("95% from", **right), Column("to", **right), box=box.SIMPLE)
    rows: list[tuple[str, Estimate, Callable[[float], str]]] = [
        ("questions to the model", plan.calls, "{:,.0f}".format),
        ("tokens read", plan.prompt_tokens, "{:,.0f}".format),
        ("  of them cached", plan.cached_tokens, "{:,.0f}".format),
        ("tokens written", plan.completion_tokens, "{:,.0f}".format),
        ("time", plan.hours.times(3600), duration),
        *([("cost", plan.cost, "{:,.2f}".format)] if priced else []),
    ]
    for name, estimate, form in rows:
        table.add_row(name, *(form(value) for value in (estimate.value, estimate.low, estimate.high)))
    put_table(table)
