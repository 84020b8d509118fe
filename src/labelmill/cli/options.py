"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class InferChoice(StrEnum):
    """Kinds of Infer."""

    windows = "windows"
    lm = "lm"
    both = "both"


class RankChoice(StrEnum):
    """Kinds of Rank."""

    fusion = "fusion"
    listwise = "listwise"
    pointwise = "pointwise"
    whole = "whole"


Docs = Annotated[
    list[Path], typer.Argument(help="JSONL, CSV or TSV (also .gz), Parquet, a folder of .txt, or - for JSONL on stdin.")
]
TaxonomyFile = Annotated[
    Path, typer.Option("--taxonomy", "-t", help="The labels: JSONL, CSV, TSV, text with one name a line, or SKOS.")
]
Where = Annotated[
    str | None, typer.Option(help="Keep the labels for which this SQL condition holds, such as \"kind = 'skill'\".")
]
Under = Annotated[
    list[str] | None,
    typer.Option(help="Keep this label and all below it, an id or a unique name; several branches add up."),
]
WholeTaxonomy = Annotated[
    Path | None,
    typer.Option("--taxonomy", "-t", help="The whole hierarchy, where the run had a part. Default: the run's labels."),
]
Depth = Annotated[
    int | None,
    typer.Option(min=1, help="Roll labels up to this depth: in place of a deeper one those above it; 1 is the top."),
]
Ancestors = Annotated[bool, typer.Option("--ancestors", help="Add to every label all those above it.")]
ShownParents = Annotated[
    int | None,
    typer.Option(
        "--show-parents", min=0, help="Name so many labels above each candidate that Rank shows the model. Default: 0."
    ),
]
NoAncestors = Annotated[
    bool | None,
    typer.Option(
        "--no-ancestors/--with-ancestors",
        help="Of a label and one above it, both in the final set, keep the more specific. Default: keep both.",
    ),
]
Language = Annotated[str, typer.Option(help="Language of the names to read from SKOS.")]
IdField = Annotated[str, typer.Option(help="What the documents call their id.")]
TextField = Annotated[str, typer.Option(help="What the documents call their text.")]
LabelsField = Annotated[str, typer.Option(help="What the documents call their gold labels.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]
RunsFile = Annotated[Path, typer.Argument(help="The DuckDB file that `labelmill label` wrote.")]
Run = Annotated[str | None, typer.Option(help="Which run; the newest by default.")]

Task = Annotated[Path | None, typer.Option(help="The task card: a TOML file with the wording.")]
Infer = Annotated[
    InferChoice | None, typer.Option(help="What proposes queries. Default: both with a model, windows without.")
]
Rank = Annotated[
    RankChoice | None,
    typer.Option(
        help="What orders the candidates; whole has the model choose among all labels, 1,000 at most. Default: fusion."
    ),
]
Lm = Annotated[
    list[str] | None,
    typer.Option(
        help="none (default), embedded, MODEL@URL, or the URL of a server with one model; "
        "given several times: servers of the same model, which share the work."
    ),
]
EmbedderChoice = Annotated[
    list[str] | None,
    typer.Option(help="minilm (default), use, wordllama, st:NAME or MODEL@URL; several serve side by side."),
]
TunedProgram = Annotated[
    Path | None,
    typer.Option("--program", help="A program that `labelmill tune` wrote, in place of choosing the stages here."),
]
UsagesFile = Annotated[
    Path | None,
    typer.Option(
        "--usages", help="Phrases that say how documents speak of labels: a file of `taxonomy describe --phrases`."
    ),
]
StudentChoice = Annotated[
    Path | None,
    typer.Option("--student", help="A folder of `labelmill distill`: one more lane, or with --cascade ahead of all."),
]
CascadeWish = Annotated[
    str | None,
    typer.Option(
        "--cascade",
        help="Let the student answer where that keeps this promise: agreement>=0.9 (with its teacher), precision>=0.8 "
        "or recall>=0.8. The rest goes to the program.",
    ),
]
CascadeGold = Annotated[
    list[Path] | None,
    typer.Option("--gold", "-g", help="Documents with gold that show it, for --cascade. Default: those of distilling."),
]
TopK = Annotated[
    int | None,
    typer.Option(min=1, help="Labels of a document's final set at most. Default: 5, or as the program has it."),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Score that a label of the final set has at least. Default: 0.5 with pointwise Rank, else none."),
]
Candidates = Annotated[
    int | None, typer.Option(min=1, help="Labels that are ranked and stored per document. Default: 50.")
]
Listed = Annotated[int | None, typer.Option(min=1, help="Candidates that the model is shown by Rank. Default: 20.")]
ChunkCharacters = Annotated[
    int | None, typer.Option(min=200, help="Longest piece of a document read at once. Default: 1200.")
]
Concurrency = Annotated[
    int | None,
    typer.Option(min=1, help="Requests in flight at each server at most. Default: as many as make it faster, to 256."),
]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds for an answer of the model.")]
Patience = Annotated[
    float, typer.Option(min=0, help="Seconds to wait for the model's servers when none answers any more.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Read this many documents at most.")]
