"""``labelmill eval`` and ``labelmill runs``: what a DuckDB file of runs says."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import duration, put, put_json, put_table, say
from labelmill.cli.written import Replace
from labelmill.errors import InputError

if TYPE_CHECKING:
    from labelmill.eval.ledger import Ledger
    from labelmill.pipelines.gold import GoldCorpus
    from labelmill.pipelines.rollup import Rollup
    from labelmill.store import RunSummary


class MetricsChoice(StrEnum):
    """Groups of metrics, as `labelmill.eval.Shown` has them."""

    main = "main"
    all = "all"
    ranking = "ranking"
    sets = "sets"
    tail = "tail"
    hierarchy = "hierarchy"
    calibration = "calibration"


def evaluate(
    runs_file: options.RunsFile,
    gold: Annotated[list[Path], typer.Option("--gold", "-g", help="Documents with gold labels, ids or unique names.")],
    run: options.Run = None,
    k: Annotated[list[int] | None, typer.Option("-k", min=1, help="Depths of the ranking metrics.")] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Resamples of the bootstrap.")] = 1000,
    metrics: Annotated[MetricsChoice, typer.Option(help="What to show; --json gives all.")] = MetricsChoice.main,
    frequencies: Annotated[
        list[Path] | None,
        typer.Option(help="Documents with gold labels that say which labels are rare. Default: those of --gold."),
    ] = None,
    ledger: Annotated[bool, typer.Option("--ledger", help="Say at which stage each gold label was lost.")] = False,
    worst: Annotated[int, typer.Option(min=0, help="Labels and documents that lost most, to show with --ledger.")] = 10,
    suspects: Annotated[
        int | None,
        typer.Option(min=1, help="List this many gold labels that are probably wrong, and as many missing ones."),
    ] = None,
    lm: Annotated[
        list[str] | None,
        typer.Option(
            help="Ask this model about the suspects, and order them by what it says: embedded, MODEL@URL, URL."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the suspects for review: .jsonl or .csv.")] = None,
    replace: Replace = False,
    depth: options.Depth = None,
    ancestors: options.Ancestors = False,
    taxonomy: options.WholeTaxonomy = None,
    language: options.Language = "en",
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Compare a run with gold labels: P@k, R@k, RP@k, nDCG@k and F1, each with a 95% interval.

    With --depth or --ancestors, the labels of both are seen from higher up in the hierarchy.

    Example: labelmill eval runs.duckdb --gold ads.jsonl
    """
    from labelmill.cli.suspects import check_review, find, show
    from labelmill.eval import Shown, render
    from labelmill.eval.ledger_table import render_ledger
    from labelmill.pipelines.evaluate import evaluate_run
    from labelmill.pipelines.gold import GoldCorpus

    if suspects is None and (out or lm):
        raise InputError("--out and --lm are for suspects", remedy="Give --suspects N as well.")
    rollup = rollup_of(depth, ancestors, taxonomy, language)
    if rollup and (suspects is not None or ledger):
        raise InputError(
            "--depth and --ancestors change neither the ledger nor suspects",
            remedy="Leave out --ledger and --suspects, or --depth and --ancestors.",
        )
    check_review(out, [runs_file, *gold, *(frequencies or ())], replace=replace)
    corpus = GoldCorpus.read(gold, id_field=id_field, text_field=text_field, labels_field=labels_field)
    if suspects is not None:
        show(find(runs_file, corpus, run, suspects, lm or ()), out=out, as_json=as_json)
        return
    result = evaluate_run(
        runs_file,
        corpus,
        run=run,
        ks=k or (1, 5, 10, 50),
        resamples=resamples,
        frequencies=frequencies or (),
        rollup=rollup,
        id_field=id_field,
        text_field=text_field,
        labels_field=labels_field,
    )
    for warning in result.warnings:
        say(f"Note: {warning}.")
    book = _ledger(runs_file, corpus, result.run) if ledger else None
    if as_json:
        put_json(result.as_dict() | ({"ledger": book.as_dict(worst)} if book else {}))
    else:
        put(f"Run {result.run}")
        put_table(render(result.evaluation, Shown(metrics.value)))
        for table in render_ledger(book, worst) if book else ():
            put_table(table)


def rollup_of(depth: int | None, ancestors: bool, taxonomy: Path | None, language: str) -> Rollup:
    """Take options for how labels are to be seen."""
    from labelmill.pipelines.rollup import Rollup
    from labelmill.taxonomy import Taxonomy

    wished = Rollup(depth, ancestors)
    if taxonomy and not wished:
        raise InputError("--taxonomy is for seeing labels from higher up", remedy="Give --depth or --ancestors.")
    return Rollup(depth, ancestors, Taxonomy.read(taxonomy, language=language)) if taxonomy else wished


def _ledger(runs_file: Path, gold: GoldCorpus, run: str) -> Ledger:
    from labelmill.pipelines.ledger import ledger_of_run

    return ledger_of_run(runs_file, gold, run=run)


def runs(
    runs_file: options.RunsFile,
    run: options.Run = None,
    failures: Annotated[bool, typer.Option("--failures", help="List the documents that failed, and why.")] = False,
    as_json: options.Json = False,
) -> None:
    """List the runs of a DuckDB file, or what failed in one.

    Example: labelmill runs runs.duckdb --failures
    """
    from labelmill.store import Store
    from labelmill.store.reader import choose_run, count_failures, read_failures, run_names
    from labelmill.store.summary import summarise

    with Store(runs_file) as store:
        if failures:
            name = choose_run(store, run)
            found, counts = read_failures(store, name), count_failures(store, name)
        else:
            summaries = [summarise(store, name) for name in ([choose_run(store, run)] if run else run_names(store))]
    if failures:
        _put_failures(found, as_json=as_json)
        for stage, kind, count in counts:
            say(f"{count:,} failed at {stage}: {kind}")
    elif as_json:
        put_json([summary.as_dict() for summary in summaries])
    else:
        _put_runs(summaries)


def _put_runs(summaries: list[RunSummary]) -> None:
    """Show runs; requests and tokens are those really spent, repeated and vain ones included."""
    from rich import box
    from rich.table import Column, Table

    numbers = ("documents", "failed", "answers", "requests", "tokens read", "cached", "written", "at work")
    columns = [Column(name, justify="right", no_wrap=True) for name in numbers]
    table = Table(
        Column("run", no_wrap=True), "state", *columns[:2], "model", *columns[2:], "begun", "corpus", box=box.SIMPLE
    )
    for item in summaries:
        table.add_row(
            item.run,
            item.state,
            f"{item.documents:,}",
            f"{item.failures:,}",
            item.model or "none",
            f"{item.calls:,}",
            f"{item.requests:,}",
            f"{item.prompt_tokens:,}",
            "" if item.cached_share is None else f"{item.cached_share:.0%}",
            f"{item.completion_tokens:,}",
            duration(item.seconds),
            item.started.astimezone().strftime("%Y-%m-%d %H:%M"),
            ", ".join(item.corpus),
        )
    put_table(table)


def _put_failures(found: list[dict[str, str | int]], *, as_json: bool) -> None:
    if as_json:
        put_json(found)
        return
    for row in found:
        put(f"{row['document']}\t{row['stage']}\t{row['kind']}\t{row['message']}\t{row['source']}")
