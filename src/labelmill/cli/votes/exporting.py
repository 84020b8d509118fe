"""``labelmill votes export``: votes for other tools of weak supervision."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, put_json, say
from labelmill.cli.exchange import CorpusFiles, end_with, paced
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
    docs: CorpusFiles = None,
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
        say(f"Wrote {done.votes:,} votes of {len(done.voters):,} voters on {done.documents:,} documents to {to}.")
        if done.not_in_corpus:
            say(f"{done.not_in_corpus:,} documents that were voted on are not among those given, and are left out.")
        if done.left_out:
            say(f"{done.left_out:,} votes against a label are left out: classes that exclude each other have none.")
    for note in done.notes:
        say(f"Note: {note}.")
    end_with(done.outside, done.examples, done.unreadable, what="gold labels")
