"""``labelmill next``: which documents to give a person, and why each."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, counted, put, put_json, put_table, say
from labelmill.cli.program import fetch_models

if TYPE_CHECKING:
    from labelmill.pipelines.acquiring import Acquired, NextDocument
    from labelmill.retrievers.base import Embedder


class AmongChoice(StrEnum):
    """Which documents there are to choose from."""

    new = "new"
    gold = "gold"
    both = "both"


def next_(
    runs_file: options.RunsFile,
    run: Annotated[
        list[str] | None,
        typer.Option(help="Which run; the newest by default. Repeated: others, that may disagree with the first."),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many documents.")] = 50,
    gold: Annotated[
        list[Path] | None, typer.Option("--gold", "-g", help="Documents that have gold labels already; repeatable.")
    ] = None,
    among: Annotated[
        AmongChoice,
        typer.Option(help="New documents, those with gold to be labelled once more, or whichever is worth more."),
    ] = AmongChoice.new,
    annotator: Annotated[
        list[str] | None,
        typer.Option(help="A voter of the file who labelled documents, and counts apart; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the documents to label, with suggestions: .jsonl.")
    ] = None,
    docs: Annotated[
        list[Path] | None, typer.Option(help="Where the documents are now. Default: where the run found them.")
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(help="Tells which documents are near to each other, by their texts. Default: their labels do."),
    ] = None,
    uncertainty: Annotated[float, typer.Option(min=0, help="What doubt about a document's labels weighs.")] = 1.0,
    disagreement: Annotated[float, typer.Option(min=0, help="What the disagreement of voters weighs.")] = 0.5,
    tail: Annotated[float, typer.Option(min=0, help="What labels with little gold weigh.")] = 1.0,
    diversity: Annotated[
        float, typer.Option(min=0, help="What it weighs that much of the corpus is near, and nothing chosen so far.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the part of a large run that is drawn at random.")] = 0,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Choose the documents that a person should label next, and say why each.

    Example: labelmill next runs.duckdb -n 50 --gold some.jsonl --out to_label.jsonl
    """
    from labelmill.corpus import Corpus
    from labelmill.learning.acquisition import Weights
    from labelmill.pipelines.acquiring import next_documents, write_to_label
    from labelmill.pipelines.acquiring.acquire import Wanted
    from labelmill.pipelines.acquiring.texts import check_target
    from labelmill.pipelines.gold import GoldCorpus

    if out is not None:
        check_target(out)
    fields: dict[str, Any] = {"id_field": id_field, "text_field": text_field, "labels_field": labels_field}
    shown = Progress()
    wanted = Wanted(
        count,
        tuple(run or ()),
        among.value,
        tuple(annotator or ()),
        Weights(uncertainty, disagreement, tail, diversity),
        seed,
        docs,
        partial(Corpus, **fields),
        texts=out is not None,
        embedder=_embedder(embedder, shown),
    )
    try:
        found = next_documents(runs_file, GoldCorpus.read(gold, **fields) if gold else None, wanted, shown.show)
    finally:
        shown.end()
    for note in found.notes:
        say(f"Note: {note}.")
    if as_json:
        put_json(found.as_dict())
    else:
        _put(found)
    if out is not None:
        written = write_to_label((each.to_label() for each in found.documents), out)
        say(f"Wrote {counted(written, 'document')} to {out}: fill in labels, then labelmill tune … --gold {out} again.")


def _embedder(name: str | None, shown: Progress) -> Embedder | None:
    if name is None:
        return None
    from labelmill.models.embedders import load_embedder

    fetch_models([name], shown)
    return load_embedder(name)


def _put(found: Acquired) -> None:
    from rich import box
    from rich.table import Column, Table
    from rich.text import Text

    again = f" and {found.labelled:,} with gold" if found.labelled else ""
    put(f"Run {found.run}: {len(found.documents):,} of {counted(found.pool, 'document')} without gold{again}")
    table = Table(
        Column("", justify="right"),
        "document",
        "why",
        Column("wrong labels", justify="right"),
        "look at",
        box=box.SIMPLE,
    )
    for number, each in enumerate(found.documents, 1):
        # Text, because a name may hold what rich takes for markup.
        table.add_row(str(number), Text(each.document), _why(each), f"{each.doubt:.1f}", Text(_look_at(each)))
    put_table(table)


def _why(each: NextDocument) -> str:
    return f"label again: {each.reason}" if each.labelled else each.reason


def _look_at(each: NextDocument) -> str:
    if each.tail:
        return ", ".join(each.tail)
    return ", ".join(f"{one.name} {one.probability:.2f}{' (gold)' if one.gold else ''}" for one in each.doubtful)
