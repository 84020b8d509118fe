"""``labelmill label``: label a corpus into a DuckDB file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, duration, put, put_json, say
from labelmill.cli.program import ProgramChoice, takes_program

if TYPE_CHECKING:
    from labelmill.pipelines.labeler import Labeler
    from labelmill.pipelines.preview import Preview
    from labelmill.pipelines.progress import RunProgress
    from labelmill.store.lineage import BuildsOn


@takes_program
def label(
    docs: options.Docs,
    program: ProgramChoice,
    out: Annotated[Path, typer.Option("--out", "-o", help="The DuckDB file to write; runs add up in it.")],
    limit: options.Limit = None,
    run: Annotated[
        str | None, typer.Option(help="Name of the run. Default: made of the program and the corpus.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try documents again that failed before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked and what used again; ask and write nothing.")
    ] = False,
    budget_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stop when the run, all sittings together, would take more tokens than this, as far as that is known.",
        ),
    ] = None,
    budget_hours: Annotated[
        float | None, typer.Option(min=0, help="Stop after this many hours of work, all sittings together.")
    ] = None,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Label documents with the labels of a taxonomy.

    The same command again goes on where it was stopped, and does nothing twice.

    Example: labelmill label ads.jsonl --taxonomy skills.csv --out runs.duckdb --lm http://127.0.0.1:8000/v1
    """
    from labelmill.corpus import Corpus
    from labelmill.pipelines.budget import Budget

    corpus = Corpus(docs, limit, id_field, text_field, labels_field)
    total = corpus.count()  # before anything slow: it also sees that the files are there
    shown = Progress()
    with program.open(shown) as labeler:
        name = run or labeler.run_name(corpus)
        if dry_run:
            preview = labeler.preview_corpus(
                corpus, out, run=name, retry_failed=retry_failed, on_progress=shown.previewing
            )
            shown.end()
            _report_preview(name, preview, pointwise=labeler.program.spec.rank == "pointwise", as_json=as_json)
            return
        say(f"Run {name}: {len(labeler.taxonomy):,} labels, into {out}")
        _say_cascade(labeler, total)
        with shown.until_interrupted(f"what was done is in {out}. Run the same command again to go on."):
            done = labeler.label_corpus(
                corpus,
                out,
                run=name,
                taxonomy_source=str(program.taxonomy),
                retry_failed=retry_failed,
                budget=Budget(budget_tokens, budget_hours),
                total=total,
                on_progress=shown.labelling,
            )
        older = labeler.builds_on(out, name)
        cascaded = labeler.program.shortcut is not None
    _report(out, name, done, older, cascaded=cascaded, as_json=as_json)


def _say_cascade(labeler: Labeler, total: int | None) -> None:
    """Say what a student's answers hold to, and about how many documents go on to the program."""
    cascade = labeler.program.spec.cascade
    if cascade is None:
        return
    about = f", about {cascade.expected * total:,.0f} of {total:,}" if total else ""
    say(f"The student answers where it is {cascade.certainty:.0%} certain: {cascade.statement}.")
    say(f"The program is expected to be asked about {cascade.expected:.1%} of the documents{about}.")


def _report_preview(run: str, preview: Preview, *, pointwise: bool, as_json: bool) -> None:
    if as_json:
        put_json({"run": run, **preview.as_dict()})
        return
    put(f"Run {run}: {preview.documents:,} documents to label, {preview.skipped:,} left as they are")
    if preview.failed:
        put(f"  {preview.failed:,} rows that cannot be read")
    if preview.by_student:
        put(f"  student   {preview.by_student:,} documents answered by it alone")
    put(f"  infer     {preview.infer_reused:,} answers used again, {preview.infer_calls:,} to ask for")
    put(f"  retrieve  {preview.retrieve_reused:,} documents used again, {preview.retrieve_runs:,} to retrieve for")
    each = " (each a judgement of every listed candidate)" if pointwise and preview.rank_calls else ""
    put(f"  rank      {preview.rank_reused:,} answers used again, {preview.rank_calls:,} to ask for{each}")
    if preview.rank_open:
        put(f"            {preview.rank_open:,} of them at most: their candidates wait for phrases")
    if preview.builds_on and preview.builds_on.documents:
        put(f"  {_builds_on(preview.builds_on)}")


def _builds_on(found: BuildsOn) -> str:
    return (
        f"builds on run {found.run}, of an older version of the taxonomy ({found.labels:,} labels): "
        f"{found.kept:,} of {found.documents:,} documents keep their candidates, and need no model"
    )


def _report(out: Path, run: str, done: RunProgress, older: BuildsOn | None, *, cascaded: bool, as_json: bool) -> None:
    from labelmill.store import Store
    from labelmill.store.summary import summarise

    with Store(out) as store:
        summary = summarise(store, run)
    if as_json:
        put_json(
            {
                "run": run,
                "out": str(out),
                "state": summary.state,
                "documents": summary.documents,
                "failures": summary.failures,
                "skipped": done.skipped,
                "predictions": summary.predictions,
                "selected": summary.selected,
                "unlabelled": summary.unlabelled,
                "by_student": summary.by_student,
                "new_calls": done.calls,
                "calls": summary.calls,
                "requests": summary.requests,
                "prompt_tokens": summary.prompt_tokens,
                "cached_tokens": summary.cached_tokens,
                "completion_tokens": summary.completion_tokens,
                "seconds": round(summary.seconds, 3),
                "builds_on": older.as_dict() if older else None,
            }
        )
    else:
        tokens = summary.prompt_tokens + summary.completion_tokens
        model = f"; {done.calls:,} questions asked now; {tokens:,} tokens in {summary.requests:,} requests in all"
        before = f" ({done.skipped:,} were seen before)" if done.skipped else ""
        ended = "Stopped at the budget after" if done.state == "budget" else "Done in"
        say(
            f"{ended} {duration(done.seconds)}: {summary.documents:,} documents{before}, {summary.failures:,} failed, "
            f"{summary.predictions:,} labels ranked, {summary.selected:,} selected"
            f"{model if summary.calls or summary.requests else ''}."
        )
        if older and older.documents:
            said = _builds_on(older)
            say(f"{said[0].upper()}{said[1:]}.")
        if cascaded:
            rest = summary.documents - summary.by_student
            say(f"The student answered {summary.by_student:,} documents; {rest:,} went on to the program.")
        if summary.unlabelled:
            say(f"{summary.unlabelled:,} documents got no label: nothing was chosen, or passed the --threshold.")
        if done.state == "budget":
            say("The same command with a larger budget goes on.")
        if summary.documents:
            say(f"Next: labelmill eval {out} --gold DOCS, or labelmill export {out} --to FILE.parquet")
    if summary.failures:
        say(
            f"{summary.failures:,} documents failed; list them with: labelmill runs {out} --failures; "
            "try them again with the same command and --retry-failed"
        )
        raise typer.Exit(3)
