"""The group of commands that ``labelmill taxonomy`` is; each module beside this one adds its own to it."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Make a taxonomy, look into it, find what it lacks, change it, and describe its labels.", no_args_is_help=True
)
