"""The group of commands that ``labelmill taxonomy`` is; each module beside this one adds its own to it."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Check a taxonomy, look into it, find what it lacks, or fetch one to start with.", no_args_is_help=True
)
