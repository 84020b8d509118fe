"""``labelmill models``: the embedded models' files, which are fetched once and kept."""

from __future__ import annotations

from typing import Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, put_json, put_table, say

app = typer.Typer(help="List and fetch the files of the embedded models.", no_args_is_help=True)


@app.command("list")
def list_(as_json: options.Json = False) -> None:
    """List the embedded models: what they are, their size, and whether they are here.

    Example: labelmill models list
    """
    from dataclasses import asdict

    from labelmill.models.catalog import list_models

    models = list_models()
    if as_json:
        put_json([{key: str(value) if key == "folder" else value for key, value in asdict(m).items()} for m in models])
        return
    from rich import box
    from rich.table import Table

    table = Table("model", "kind", "MB", "license", "here", "what", box=box.SIMPLE)
    for model in models:
        size = f"{model.download_bytes / 1e6:.0f}"
        table.add_row(model.name, model.kind, size, model.license, "yes" if model.cached else "no", model.description)
    put_table(table)


@app.command()
def fetch(names: Annotated[list[str], typer.Argument(help="Names from `labelmill models list`.")]) -> None:
    """Fetch the files of embedded models, check them, and make them ready.

    Example: labelmill models fetch minilm smollm2
    """
    from labelmill.models.catalog import fetch_model

    for name in names:
        shown = Progress()
        folder = fetch_model(name, progress=shown.fetching)
        shown.end()
        say(f"{name} is in {folder}")
