"""The group of commands that ``labelmill votes`` is; each module beside this one adds its own to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Collect noisy votes on labels, look at the voters, and combine them.", no_args_is_help=True)

VotesFile = Annotated[Path, typer.Argument(help="The DuckDB file with the votes.")]
Voters = Annotated[list[str] | None, typer.Option("--voter", help="Take the votes of this voter; repeatable.")]
Exclusive = Annotated[bool, typer.Option("--exclusive", help="A document has exactly one label.")]
