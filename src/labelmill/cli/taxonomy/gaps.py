"""``labelmill taxonomy gaps``: what documents say that a taxonomy lacks, and the next version of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, duration, put, put_json, put_table, say
from labelmill.cli.taxonomy.group import app
from labelmill.cli.written import Replace, check_written
from labelmill.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labelmill.pipelines.gaps import Proposal, RunGaps
    from labelmill.taxonomy import Taxonomy

_SHOWN, _SPLITS = 20, 5


@app.command()
def gaps(
    runs_file: options.RunsFile,
    run: options.Run = None,
    docs: Annotated[
        list[Path] | None,
        typer.Option(help="The run's documents: windows of their texts are taken for phrases. Needed without a model."),
    ] = None,
    taxonomy: Annotated[
        Path | None,
        typer.Option("--taxonomy", "-t", help="The version to compare with and to add to. Default: the run's labels."),
    ] = None,
    labels_where: options.Where = None,
    under: options.Under = None,
    language: options.Language = "en",
    lm: options.Lm = None,
    embedder: Annotated[
        str | None, typer.Option(help="What makes vectors of phrases. Default: the first of the run's program.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the proposals, for review: .jsonl.")] = None,
    accept: Annotated[
        Path | None, typer.Option(help='Take the proposals of this file that say "accept": true; look for none.')
    ] = None,
    accept_all: Annotated[bool, typer.Option("--accept-all", help="Take all that is found.")] = False,
    new_taxonomy: Annotated[
        Path | None, typer.Option(help="Write the next version of the taxonomy with what is accepted: .jsonl.")
    ] = None,
    near: Annotated[
        float, typer.Option(min=0, max=1, help="Cosine with a name from which on a label is near to a phrase.")
    ] = 0.8,
    least: Annotated[
        int, typer.Option("--least-documents", min=1, help="Documents that speak for a proposal at least.")
    ] = 2,
    most: Annotated[int, typer.Option("--most", min=1, help="New labels and aliases to propose at most.")] = 500,
    replace: Replace = False,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    as_json: options.Json = False,
) -> None:
    """Propose new labels, aliases and splits from what documents say and no label is near to.

    Read the proposals, change what you like, set "accept" to true where you agree, and have the next version written
    with --accept.

    Example: labelmill taxonomy gaps runs.duckdb --docs ads.jsonl --out proposals.jsonl
    """
    _check(accept, new_taxonomy, taxonomy, accept_all=accept_all)
    if out and out.suffix not in {".jsonl", ".ndjson"}:
        raise InputError("proposals are written as JSONL", path=out, remedy="Name it .jsonl.")
    for path in (out, new_taxonomy):
        check_written(path, [runs_file, taxonomy, accept, *(docs or ())], replace=replace)
    whole = _read(taxonomy, language)
    if accept:
        from labelmill.pipelines.gaps import read_proposals

        chosen = [(line, each) for line, each in read_proposals(accept) if each.accept]
        if not chosen:
            raise InputError(
                "no proposal is accepted", path=accept, remedy='Write "accept": true where you agree, or --accept-all.'
            )
        _write_next(whole, chosen, accept, new_taxonomy, as_json=as_json)
        return
    part = whole.under(under) if whole and under else whole
    part = part.where(labels_where) if part and labels_where else part
    if not whole and (labels_where or under):
        raise InputError("--labels-where and --under choose labels of a file", remedy="Give it with --taxonomy.")
    found = _find(runs_file, run, docs, part, lm, embedder, near, least, most, id_field, text_field)
    if out:
        from labelmill.pipelines.gaps import write_proposals

        write_proposals(found.proposals, out)
    _report(found, out, as_json=as_json)
    if accept_all:
        chosen = list(enumerate(found.proposals, 1))
        _write_next(whole, chosen, out, new_taxonomy, as_json=as_json)


def _check(accept: Path | None, new_taxonomy: Path | None, taxonomy: Path | None, *, accept_all: bool) -> None:
    """See before anything slow that the options go together."""
    if accept and accept_all:
        raise InputError("--accept and --accept-all are two ways", remedy="Give one of them.")
    if (bool(accept) or accept_all) != bool(new_taxonomy):
        raise InputError(
            "accepting writes the next version of the taxonomy",
            remedy="Give both: --accept FILE (or --accept-all) and --new-taxonomy FILE.jsonl.",
        )
    if new_taxonomy and new_taxonomy.name.removesuffix(".gz").rpartition(".")[2] not in {"jsonl", "ndjson"}:
        raise InputError("a taxonomy is written as JSONL", path=new_taxonomy, remedy="Name it .jsonl or .jsonl.gz.")
    if new_taxonomy and not taxonomy:
        raise InputError(
            "accepting adds to a taxonomy, and a run's file has neither all of its labels nor their fields",
            remedy="Give the taxonomy's file with --taxonomy.",
        )


def _read(path: Path | None, language: str) -> Taxonomy | None:
    from labelmill.taxonomy import Taxonomy

    return Taxonomy.read(path, language=language) if path else None


def _find(
    runs_file: Path,
    run: str | None,
    docs: list[Path] | None,
    taxonomy: Taxonomy | None,
    lm: list[str] | None,
    embedder: str | None,
    near: float,
    least: int,
    most: int,
    id_field: str,
    text_field: str,
) -> RunGaps:
    from labelmill.cli.program import fetch_models
    from labelmill.corpus import Corpus
    from labelmill.pipelines.gaps import Limits, gaps_of_run
    from labelmill.store import Store
    from labelmill.store.reader import choose_run
    from labelmill.store.standings import read_program

    corpus = Corpus(docs, None, id_field, text_field) if docs else None
    if corpus:
        corpus.count()  # before anything slow: it sees that the files are there
    shown = Progress()
    with Store(runs_file) as store:
        wanted = embedder or read_program(store, choose_run(store, run))["embedders"][0]
    fetch_models([wanted, *(["smollm2"] if "embedded" in (lm or ()) else [])], shown)
    then = "nothing is written. Run the same command again to begin anew; fewer --docs take less time."
    with shown.until_interrupted(then):
        return gaps_of_run(
            runs_file,
            run=run,
            docs=corpus,
            taxonomy=taxonomy,
            embedder=embedder,
            lm=lm,
            limits=Limits(near=near, documents=least, proposals=most),
            building=shown.building,
            told=_teller(shown),
        )


def _teller(shown: Progress) -> Callable[[str, int, int | None], None]:
    """Say what is being done, how fast it goes, and how long it will take."""
    begun: dict[str, float] = {}

    def told(what: str, done: int, total: int | None) -> None:
        seconds = max(time.monotonic() - begun.setdefault(what, time.monotonic()), 1e-9)
        rate = done / seconds if seconds > 0.1 else 0.0
        of = f" of {total:,}" if total is not None else ""
        to_go = f", {duration((total - done) / rate)} to go" if total is not None and rate else ""
        shown.show(f"{what}: {done:,}{of}{f', {rate:,.0f}/s' if rate else ''}{to_go}", last=done == total)

    return told


def _report(found: RunGaps, out: Path | None, *, as_json: bool) -> None:
    for note in found.notes:
        say(f"Note: {note}.")
    if as_json:
        put_json(_as_dict(found))
        return
    seen = found.found
    put(
        f"Run {found.run}: {seen.looked_at:,} phrases, no label is near to {seen.far:,}; {seen.clusters:,} clusters, "
        f"{seen.spoken_for:,} of them in documents enough"
    )
    kinds = {kind: [each for each in found.proposals if each.kind == kind] for kind in ("new", "alias", "split")}
    put(f"{len(kinds['new']):,} new labels, {len(kinds['alias']):,} aliases, {len(kinds['split']):,} splits proposed")
    if found.proposals:
        _put_proposals(
            [*[each for each in found.proposals if each.kind != "split"][:_SHOWN], *kinds["split"][:_SPLITS]]
        )
    if len(found.proposals) > _SHOWN + _SPLITS:
        say(f"The first {_SHOWN} are shown{'' if out else '; --out FILE.jsonl writes all'}.")
    if out:
        say(
            f'Wrote {out}. Set "accept" to true where you agree; then: -t FILE --accept {out} --new-taxonomy NEXT.jsonl'
        )


def _put_proposals(proposals: Sequence[Proposal]) -> None:
    from rich import box
    from rich.table import Column, Table

    table = Table("", "name", Column("documents", justify="right"), "said as", "nearest label", box=box.SIMPLE)
    for each in proposals:
        near = f"{each.nearest[0].name} ({each.nearest[0].likeness:.2f})" if each.nearest else ""
        if each.kind == "split":
            near = f"into: {'; '.join(part.name for part in each.parts)}"
        table.add_row(each.kind, each.name, f"{each.documents:,}", "; ".join(each.phrases[1:4]), near)
    put_table(table)


def _as_dict(found: RunGaps) -> dict[str, Any]:
    from dataclasses import asdict

    counts = {name: value for name, value in asdict(found.found).items() if name != "proposals"}
    proposals = [each.model_dump(mode="json") for each in found.proposals]
    return {"run": found.run, **counts, "notes": list(found.notes), "proposals": proposals}


def _write_next(
    taxonomy: Taxonomy | None,
    chosen: Sequence[tuple[int, Proposal]],
    source: Path | None,
    target: Path | None,
    *,
    as_json: bool,
) -> None:
    from labelmill.pipelines.gaps import accept
    from labelmill.taxonomy import write_jsonl

    assert taxonomy is not None  # `_check` has seen to both
    assert target is not None
    made = accept(taxonomy, chosen, str(source or ""))
    write_jsonl(made.taxonomy, target)
    for note in made.notes:
        say(f"Note: {note}; passed over.")
    say(
        f"Wrote {target}: {len(made.taxonomy):,} labels, {made.labels:,} of them new, {made.aliases:,} new aliases. "
        f"Next: labelmill taxonomy check {target}"
    )
    if as_json and source:
        put_json({"file": str(target), "labels": len(made.taxonomy), "new": made.labels, "aliases": made.aliases})
