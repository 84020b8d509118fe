"""``labelmill votes remove``: voters taken out of a file."""

from __future__ import annotations

from typing import Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import counted, put, put_json, say
from labelmill.cli.votes.group import VotesFile, app


@app.command()
def remove(
    votes_file: VotesFile,
    voter: Annotated[list[str], typer.Option("--voter", help="Who is taken out; repeatable.")],
    as_json: options.Json = False,
) -> None:
    """Take voters out of a file, with all that they said; runs that were combined of their votes stay.

    Example: labelmill votes remove votes.duckdb --voter ann
    """
    from labelmill.pipelines.voting.removing import remove_votes

    removed = remove_votes(votes_file, voter)
    if as_json:
        put_json({"file": str(votes_file), "removed": removed})
        return
    for name, votes in removed.items():
        put(f"{name}: {counted(votes, 'vote')}")
    say(f"Removed {counted(len(removed), 'voter')} from {votes_file}.")
