"""``labelmill taxonomy generate``: a taxonomy out of a corpus."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, counted, duration, put, put_json, say
from labelmill.cli.program import fetch_models
from labelmill.cli.taxonomy.group import app

if TYPE_CHECKING:
    from labelmill.pipelines.generating import Generated
    from labelmill.pipelines.generating.progress import StepProgress

_SHOWN = 12
_FILES_NOTE = "Its report and its steps come beside it."


@app.command()
def generate(
    docs: options.Docs,
    out: Annotated[Path, typer.Option("--out", "-o", help=f"The JSONL file to write. {_FILES_NOTE}")],
    use_case: Annotated[str, typer.Option(help="What the labels are for, in a sentence.")],
    max_labels: Annotated[
        int, typer.Option(min=2, help="Labels at most; of a hierarchy, those that have no narrower ones.")
    ] = 100,
    exactly: Annotated[
        bool, typer.Option("--exactly", help="Without a model: that many labels, not as many as the documents show.")
    ] = False,
    depth: Annotated[int, typer.Option(min=1, max=3, help="Levels of the hierarchy at most.")] = 1,
    lm: options.Lm = None,
    sample: Annotated[
        int | None, typer.Option(min=2, help="Documents to read, drawn. Default: 5,000, or 400 with a model.")
    ] = None,
    batch: Annotated[int, typer.Option(min=2, help="Documents that a model is shown at once.")] = 20,
    embedder: Annotated[str, typer.Option(help="minilm, use, wordllama, st:NAME or MODEL@URL.")] = "minilm",
    task: options.Task = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    concurrency: options.Concurrency = None,
    timeout: options.Timeout = 300.0,
    patience: options.Patience = 3600.0,
    limit: options.Limit = None,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    as_json: options.Json = False,
) -> None:
    """Generate a taxonomy from documents: with a language model, or without one from clusters of their embeddings.

    Stopped or killed, the same command goes on. A taxonomy that was changed by hand is never written over.

    Example: labelmill taxonomy generate tickets.jsonl --out topics.jsonl --use-case "route questions to teams"
    """
    from labelmill.corpus import Corpus
    from labelmill.pipelines.generating import generate as make
    from labelmill.pipelines.generating.writing import Files

    corpus = Corpus(docs, limit, id_field, text_field)
    Files.beside(out).check()  # before anything slow
    if not corpus.is_stream:
        corpus.count()  # it sees that the files are there
    models, shown = lm or ["none"], Progress()
    fetch_models([embedder, *(["smollm2"] if "embedded" in models else [])], shown)
    if models == ["none"]:
        say("No language model: labels are clusters, named by their terms. Give one with --lm.")
    with shown.until_interrupted("every answer so far is kept. Run the same command again to go on."):
        made = make(
            corpus,
            out,
            use_case=use_case,
            most=max_labels,
            exactly=exactly,
            depth=depth,  # type: ignore[arg-type]  # typer has checked it
            lm=models,
            sample=sample,
            batch=batch,
            embedder=embedder,
            task=task,
            seed=seed,
            concurrency=concurrency,
            timeout=timeout,
            patience=patience,
            on_step=lambda step: show_step(shown, step),
        )
    _report(made, as_json=as_json)


def show_step(shown: Progress, step: StepProgress) -> None:
    """Say how far a step is: how many, how fast, how long to go."""
    done = step.done >= step.total
    to_go = "" if done else f", {duration(step.eta_seconds)} to go"
    shown.show(f"{step.what}: {step.done:,} of {step.total:,}, {step.rate:.1f}/s{to_go}", last=done)


def _report(made: Generated, *, as_json: bool) -> None:
    kinds = Counter(decision.kind for decision in made.decisions)
    if as_json:
        put_json(
            {
                "taxonomy": str(made.files.taxonomy),
                "report": str(made.files.report),
                "steps": str(made.files.steps),
                "key": made.taxonomy.key,
                "labels": len(made.taxonomy),
                "narrowest": made.narrowest,
                "documents": len(made.pool),
                "failed": made.failed,
                "decisions": dict(kinds),
                "notes": made.notes,
                "asked": made.asked,
                "reused": made.reused,
                "requests": made.cost.requests,
                "prompt_tokens": made.cost.prompt_tokens,
                "completion_tokens": made.cost.completion_tokens,
                "seconds": round(made.seconds, 3),
            }
        )
    else:
        for note in made.notes:
            say(f"Note: {note}.")
        largest = sorted(
            (label for label in made.taxonomy if label.prior is not None), key=lambda label: -(label.prior or 0.0)
        )
        for label in largest[:_SHOWN]:
            put(f"{label.fields['support']:>6}  {label.name}")
        if len(largest) > _SHOWN:
            put(f"        … and {len(largest) - _SHOWN:,} more")
        asked = f" {made.asked:,} questions asked, {made.reused:,} answered before," if made.asked + made.reused else ""
        kinds.pop("chosen", None)  # how many labels: that is seen, and why is in the report
        decided = f" Decisions: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}." if kinds else ""
        say(
            f"Wrote {len(made.taxonomy):,} labels of {len(made.pool):,} documents to {made.files.taxonomy};"
            f"{asked} {duration(made.seconds)}.{decided} Why and from what: {made.files.report}"
        )
        say(f"Next: labelmill taxonomy eval {made.files.taxonomy} DOCS, with documents held out")
    if made.failed:
        say(f"{counted(made.failed, 'document')} could not be read or summarised.")
        raise typer.Exit(3)
