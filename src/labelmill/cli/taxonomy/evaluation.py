"""``labelmill taxonomy eval``: how good a taxonomy is for documents that it was not made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, put, put_json, put_table, say
from labelmill.cli.program import fetch_models
from labelmill.cli.taxonomy.files import File
from labelmill.cli.taxonomy.generate import show_step
from labelmill.cli.taxonomy.group import app

if TYPE_CHECKING:
    from labelmill.pipelines.generating.evaluating import TaxonomyEvaluation

_SHOWN = 5


@app.command("eval")
def evaluate(
    file: File,
    docs: options.Docs,
    gold_field: Annotated[
        str, typer.Option(help="What the documents call their gold groups, which need not be labels.")
    ] = "labels",
    lm: options.Lm = None,
    against: Annotated[
        Path | None, typer.Option(help="Another taxonomy: the model compares its label for a document with this one's.")
    ] = None,
    judged: Annotated[int, typer.Option(min=0, help="Documents that a model judges, in pairs of labels.")] = 100,
    embedder: Annotated[str, typer.Option(help="minilm, use, wordllama, st:NAME or MODEL@URL.")] = "minilm",
    task: options.Task = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    limit: options.Limit = None,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    as_json: options.Json = False,
) -> None:
    """Evaluate a taxonomy on documents held out: coverage, redundancy, agreement with gold groups, a model's judgement.

    Example: labelmill taxonomy eval topics.jsonl held_out.jsonl --gold-field intent
    """
    from labelmill.corpus import Corpus
    from labelmill.pipelines.generating.evaluating import evaluate_taxonomy

    corpus = Corpus(docs, limit, id_field, text_field, gold_field)
    corpus.count()  # before anything slow: it sees that the files are there
    models, shown = lm or ["none"], Progress()
    fetch_models([embedder, *(["smollm2"] if "embedded" in models else [])], shown)
    kept = "every answer so far is kept. Run the same command again to go on."
    nothing = "nothing is kept. Run the same command again; --limit reads fewer documents."
    with shown.until_interrupted(nothing if models == ["none"] else kept):
        found = evaluate_taxonomy(
            file,
            corpus,
            lm=models,
            embedder=embedder,
            task=task,
            against=against,
            judged=judged,
            seed=seed,
            on_step=lambda step: show_step(shown, step),
        )
    if as_json:
        put_json(found.as_dict())
    else:
        _put(found)
    if found.failed or found.unreadable:
        say(f"{found.unreadable:,} rows could not be read, {found.failed:,} documents could not be labelled.")
        raise typer.Exit(3)


def _put(found: TaxonomyEvaluation) -> None:
    from rich import box
    from rich.table import Column, Table

    for note in found.notes:
        say(f"Note: {note}.")
    put(f"{found.labels:,} labels, {found.documents:,} documents")
    names = ("labels used", "coverage", "NMI", "ARI", "purity", "accuracy")
    table = Table("documents are put under", *(Column(name, justify="right") for name in names), box=box.SIMPLE)
    for way in found.ways:
        agreed = way.agreement
        figures = (agreed.nmi, agreed.ari, agreed.purity, agreed.accuracy) if agreed else (None,) * 4
        table.add_row(way.name, f"{way.labels:,}", *(_percent(value) for value in (way.coverage, *figures)))
    put_table(table)
    if found.several:
        put(f"{found.several:,} documents have several gold groups, and do not count for the agreement.")
    put(f"Near-duplicates: {_percent(found.redundancy)}% of the labels without narrower ones")
    for first, second, cosine, what in found.redundant[:_SHOWN]:
        put(f"  {first} = {second}  ({what}, cosine {cosine:.2f})")
    if found.judged:
        one = found.judged
        put(
            f"Judged against {found.against}: preferred in {_percent(one.rate)}% ({_percent(one.low)} to "
            f"{_percent(one.high)}) of {one.pairs - one.neither} pairs; {one.wins} won, {one.ties} tied, "
            f"{one.losses} lost, {one.neither} where neither fits, {found.unjudged} without an answer"
        )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
