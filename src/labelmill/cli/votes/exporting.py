"""``labelmill votes export``: votes for other tools of weak supervision."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, counted, put_json, say
from labelmill.cli.exchange import end_with, paced
from labelmill.cli.votes.group import Exclusive, Voters, VotesFile, app
from labelmill.cli.written import Replace, check_exported


class VotesExportChoice(StrEnum):
    """What votes are exported to, as `labelmill.pipelines.exchange.votes_out` has it."""

    snorkel = "snorkel"
    wrench = "wrench"


@app.command()
def export(
    votes_file: VotesFile,
    to: Annotated[Path, typer.Option("--to", help="What to write. snorkel: .npz; wrench: a folder.")],
    format_: Annotated[VotesExportChoice, typer.Option("--format", help="Who reads it.")] = VotesExportChoice.snorkel,
    docs: Annotated[
        list[Path] | None,
        typer.Option(
            "--docs",
            help="For wrench: the documents, with texts and perhaps gold labels, as for `labelmill label`; repeatable.",
        ),
    ] = None,
    voter: Voters = None,
    exclusive: Exclusive = False,
    split: Annotated[str, typer.Option(help="For wrench: which one this is, train, valid or test.")] = "train",
    replace: Replace = False,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Write votes as Snorkel's label matrix or as WRENCH's JSON.

    With --exclusive, and always with wrench, a row is a document and each voter votes for one class or abstains. Else a
    row of the matrix is a document and a label, and votes are 1 and 0.

    Example: labelmill votes export votes.duckdb --format snorkel --to votes.npz
    """
    from labelmill.corpus import Corpus
    from labelmill.pipelines.exchange import export_votes

    check_exported(to, format_.value, [votes_file, *(docs or ())], replace=replace, split=split)
    corpus = Corpus(docs, None, id_field, text_field, labels_field) if docs else None
    shown = Progress()
    try:
        done = export_votes(
            votes_file,
            to,
            format_.value,
            voters=voter or (),
            exclusive=exclusive,
            corpus=corpus,
            split=split,
            on_progress=paced(shown, "exported", corpus),
        )
    finally:
        shown.end()
    if as_json:
        put_json(done.as_dict())
    else:
        votes, voters = counted(done.votes, "vote"), counted(len(done.voters), "voter")
        say(f"Wrote {votes} of {voters} on {counted(done.documents, 'document')} to {to}.")
        if done.not_in_corpus:
            say(f"Left out: {counted(done.not_in_corpus, 'document')} with votes, not among the documents given.")
        if done.left_out:
            say(f"Left out: {counted(done.left_out, 'vote')} against a label, which exclusive classes have not.")
    for note in done.notes:
        say(f"Note: {note}.")
    end_with(done.outside, done.examples, done.unreadable, done.reasons, what="gold label")
