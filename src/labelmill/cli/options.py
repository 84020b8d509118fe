"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Docs = Annotated[
    list[Path], typer.Argument(help="JSONL, CSV or TSV (also .gz), Parquet, a folder of .txt, or - for JSONL on stdin.")
]
TaxonomyFile = Annotated[
    Path, typer.Option("--taxonomy", "-t", help="The labels: JSONL, CSV, TSV, text with one name a line, or SKOS.")
]
Where = Annotated[
    str | None, typer.Option(help="Keep the labels for which this SQL condition holds, such as \"kind = 'skill'\".")
]
Language = Annotated[str, typer.Option(help="Language of the names to read from SKOS.")]
IdField = Annotated[str, typer.Option(help="What the documents call their id.")]
TextField = Annotated[str, typer.Option(help="What the documents call their text.")]
LabelsField = Annotated[str, typer.Option(help="What the documents call their gold labels.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]
RunsFile = Annotated[Path, typer.Argument(help="The DuckDB file that `labelmill label` wrote.")]
Run = Annotated[str | None, typer.Option(help="Which run; the newest by default.")]
