"""``labelmill report``: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import counted, put_json, say
from labelmill.errors import InputError

_BEGIN = b"<!doctype html"


def report(
    runs_file: options.RunsFile,
    gold: Annotated[list[Path], typer.Option("--gold", "-g", help="Documents with gold labels, ids or unique names.")],
    out: Annotated[Path, typer.Option("--out", help="The page to write: .html.")],
    run: options.Run = None,
    examples: Annotated[
        int, typer.Option(min=0, help="Documents to show of the best, of the worst, and at random.")
    ] = 3,
    worst: Annotated[int, typer.Option(min=0, help="Labels and documents that lost most, to show of each.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the documents that are shown at random.")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="Resamples of the bootstrap.")] = 1000,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Write one HTML page about a run: metrics, calibration, losses by stage, thresholds, examples.

    The page loads nothing and runs nothing. It holds the texts of the documents that it shows.

    Example: labelmill report runs.duckdb --gold ads.jsonl --out report.html
    """
    _check(out)
    from labelmill.pipelines.gold import GoldCorpus
    from labelmill.pipelines.report import report_of_run
    from labelmill.report import render_page

    corpus = GoldCorpus.read(gold, id_field=id_field, text_field=text_field, labels_field=labels_field)
    found = report_of_run(runs_file, corpus, run=run, examples=examples, worst=worst, seed=seed, resamples=resamples)
    for warning in found.warnings:
        say(f"Note: {warning}.")
    _write(out, render_page(found))
    if as_json:
        put_json({"out": str(out), "documents": found.documents})
    else:
        say(f"Wrote a report of run {found.run}, over {counted(found.documents, 'document')}, to {out}.")


def _check(out: Path) -> None:
    """Refuse what cannot be written, or would be lost, before anything is computed."""
    if out.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"unknown format {out.suffix!r}", path=out, remedy="Use .html.")
    if not out.parent.exists():
        raise InputError(f"the folder {out.parent} does not exist", path=out, remedy="Create it first.")
    if not out.exists():
        return
    try:
        with out.open("rb") as file:
            begin = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path=out, remedy="Name another file.") from None
    if begin and not begin.lower().startswith(_BEGIN):
        raise InputError("is there and is no HTML page", path=out, remedy="Name another file, or remove this one.")


def _write(out: Path, page: str) -> None:
    """Write beside, then move: a report that fails leaves the old one as it was."""
    part = out.with_name(f".{out.name}.part")
    try:
        part.write_bytes(page.encode())
        part.replace(out)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path=out, remedy="Name another file.") from None
    finally:
        part.unlink(missing_ok=True)
