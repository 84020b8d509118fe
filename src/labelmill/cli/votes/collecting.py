"""``labelmill votes apply|import``: votes out of functions, rules, names, neighbours, runs and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, counted, duration, put, put_json, say
from labelmill.cli.exchange import ImportChoice, Question, paced
from labelmill.cli.program import fetch_models
from labelmill.cli.votes.group import app
from labelmill.errors import InputError

if TYPE_CHECKING:
    from labelmill.pipelines.voting.apply import VotingProgress
    from labelmill.pipelines.voting.importing import Imported
    from labelmill.records import Failure

_TOLD = 5
"""Rows that could not be read of which a person is told."""

Out = Annotated[Path, typer.Option("--out", "-o", help="The DuckDB file that votes go to; may be that of runs.")]


@app.command()
def apply(
    docs: options.Docs,
    taxonomy: options.TaxonomyFile,
    out: Out,
    functions: Annotated[
        list[Path] | None, typer.Option(help="A Python module with labelling functions; repeatable.")
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option(help="Words and regular expressions per label: TOML, JSONL, CSV; repeatable.")
    ] = None,
    prompts: Annotated[
        list[Path] | None,
        typer.Option(help="Questions for a model, with answers that are votes: TOML; needs --lm; repeatable."),
    ] = None,
    lm: options.Lm = None,
    aliases: Annotated[bool, typer.Option("--aliases", help="Names of labels in a text vote for them.")] = False,
    neighbours: Annotated[
        list[Path] | None, typer.Option(help="Documents with gold labels, of which the nearest to a text vote.")
    ] = None,
    embedder: Annotated[str, typer.Option(help="What tells which are near, as for `labelmill label`.")] = "minilm",
    seconds: Annotated[
        float, typer.Option(min=0.01, help="Seconds that a function or a rule may work on a document.")
    ] = 5.0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that have functions and rules vote.")] = 2,
    concurrency: options.Concurrency = None,
    timeout: options.Timeout = 300.0,
    patience: options.Patience = 3600.0,
    labels_where: options.Where = None,
    language: options.Language = "en",
    limit: options.Limit = None,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    as_json: options.Json = False,
) -> None:
    """Have labelling functions, rules, names, neighbours and a model's answers to questions vote on documents.

    What a voter said before is replaced once all is there: stopped, the command changes nothing, and begins anew. What
    a model answered is kept in the file: after a kill, the same command asks it nothing twice. A function that fails on
    a document, or takes too long, stops nothing.

    Example: labelmill votes apply ads.jsonl --taxonomy skills.csv --functions rules.py --aliases --out votes.duckdb
    """
    from labelmill.corpus import Corpus
    from labelmill.models.embedders import load_embedder
    from labelmill.pipelines.voting.apply import Electorate, apply_votes
    from labelmill.pipelines.voting.interviewing import Prompting
    from labelmill.taxonomy import Taxonomy

    corpus = Corpus(docs, limit, id_field, text_field)
    labels = Taxonomy.read(taxonomy, where=labels_where, language=language)
    shown = Progress()
    near = None
    if neighbours:
        fetch_models([embedder], shown)
        near = load_embedder(embedder)
    electorate = Electorate(
        tuple(functions or ()),
        tuple(rules or ()),
        aliases,
        tuple(neighbours or ()),
        near,
        tuple(prompts or ()),
        Prompting(lm or "none", concurrency, timeout, patience),
    )

    def told(progress: VotingProgress) -> None:
        total = f" of {progress.total:,}" if progress.total is not None else ""
        asked = f"{progress.requests:,} requests, {progress.tokens:,} tokens, " if progress.requests else ""
        shown.show(
            f"voted on {progress.documents:,}{total} documents, {progress.rate:,.1f}/s, {asked}"
            f"{progress.votes.total():,} votes, {progress.failed.total():,} failures, "
            f"{duration(progress.eta_seconds)} to go"
        )

    kept = f"no votes in {out} were changed. The same command begins anew; a model's answers are kept."
    with shown.until_interrupted(kept):
        done = apply_votes(corpus, out, labels, electorate, limit_seconds=seconds, jobs=jobs, on_progress=told)
    _report_cast(out, done, as_json=as_json)


@app.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            help="A DuckDB file of runs; a table with document and label, perhaps voter, vote, confidence, rank "
            "(CSV, TSV, JSONL, Parquet); documents with labels; or, with --format, what another tool wrote."
        ),
    ],
    out: Out,
    taxonomy: Annotated[Path | None, typer.Option("--taxonomy", "-t", help="The labels; a run brings its own.")] = None,
    format_: Annotated[
        ImportChoice | None, typer.Option("--format", help="The tool that wrote it; each who speaks in it is a voter.")
    ] = None,
    voter: Annotated[
        str | None, typer.Option(help="Who votes, where the file does not say. Default: its name.")
    ] = None,
    predictions: Annotated[
        bool,
        typer.Option(
            "--predictions", help="With --format, programs vote beside people. Default: where nobody else does."
        ),
    ] = False,
    question: Question = None,
    run: Annotated[list[str] | None, typer.Option(help="Which run; repeatable. Default: the newest.")] = None,
    depth: Annotated[int, typer.Option(min=1, help="How far down a run's rankings its votes go.")] = 50,
    own_documents: Annotated[
        bool, typer.Option("--own-documents", help="Voters of a table saw no documents but those they voted on.")
    ] = False,
    docs: Annotated[
        list[Path] | None,
        typer.Option(
            "--docs", help="Documents that the voters of a table were shown, beside those they voted on; repeatable."
        ),
    ] = None,
    labels_where: options.Where = None,
    language: options.Language = "en",
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Make a run, a table of votes, whoever labelled documents, or all who speak in another tool's file, voters.

    Example: labelmill votes import runs.duckdb --run plain --out votes.duckdb
    """
    from labelmill.corpus import Corpus
    from labelmill.pipelines.exchange import import_opinions
    from labelmill.pipelines.voting.importing import import_labels, import_runs, import_votes, is_table_of_votes
    from labelmill.taxonomy import Taxonomy

    if format_ is None and (predictions or question):
        raise InputError("--predictions and --question are for other tools' files", remedy="Give --format as well.")
    if docs and own_documents:
        raise InputError("--docs and --own-documents say different things of who was shown what", remedy="Give one.")
    shown = Progress()
    stopped = shown.until_interrupted(
        f"the votes in {out} are as they were, unless all were just taken over: labelmill votes summary {out} tells."
    )
    if source.suffix.lower() == ".duckdb":
        with stopped:
            found = import_runs(source, out, run or (), depth=depth)
        _report_imported(out, found, as_json=as_json)
        return
    if run:
        raise InputError("--run is for DuckDB files", path=source, remedy="Name one, or leave --run out.")
    if taxonomy is None:
        raise InputError("votes need labels to be on", remedy="Name them with --taxonomy.")
    labels = Taxonomy.read(taxonomy, where=labels_where, language=language)
    if format_ is not None:
        if voter:
            raise InputError("whoever speaks in such a file has a name", path=source, remedy="Leave --voter out.")
        with stopped:
            found = import_opinions(
                source,
                out,
                labels,
                format_.value,
                predictions=predictions,
                id_field=id_field,
                question=question,
                on_progress=paced(shown, "imported", None),
            )
    elif is_table_of_votes(source):
        seen = Corpus(docs, None, id_field, text_field, labels_field) if docs else None
        with stopped:
            found = import_votes(source, out, labels, voter=voter, own_documents=own_documents, shown=seen)
    else:
        name = voter or source.name.partition(".")[0]
        fields = {"id_field": id_field, "text_field": text_field, "labels_field": labels_field}
        with stopped:
            found = import_labels([source], out, labels, name, **fields)
    _report_imported(out, found, as_json=as_json)


def _report_cast(out: Path, done: VotingProgress, *, as_json: bool) -> None:
    failures = [
        {"voter": voter, "kind": kind, "count": count, "document": document, "message": message}
        for (voter, kind), count in sorted(done.failed.items())
        for document, message in [done.examples[voter, kind]]
    ]
    if as_json:
        put_json(
            {
                "out": str(out),
                "documents": done.documents,
                "unreadable": done.unreadable,
                "unreadable_rows": _rows(done.rows),
                "votes": dict(sorted(done.votes.items())),
                "failures": failures,
                "given_up": done.given_up,
                "requests": done.requests,
                "tokens": done.tokens,
                "seconds": round(done.seconds, 3),
            }
        )
    else:
        for voter, count in sorted(done.votes.items()):
            put(f"{voter}: {counted(count, 'vote')}")
        say(f"Done in {duration(done.seconds)}: {_said(done)}, {out}.")
        if done.requests:
            say(
                f"The model was sent {done.requests:,} requests, {done.tokens:,} tokens; its answers are kept in {out}."
            )
    for each in failures:
        say(
            f"{each['voter']}: {each['kind']} on {each['count']:,} documents, "
            f"the first one {each['document']}: {each['message']}"
        )
    for voter in done.given_up:
        say(f"{voter}: given up; documents after that have no vote of it. Mend it and have it vote again.")
    _say_rows(done.unreadable, done.rows)
    if not as_json:
        say(f"Next: labelmill votes summary {out}, or labelmill votes combine {out}")
    if failures or done.unreadable:
        raise typer.Exit(3)


def _report_imported(out: Path, found: Imported, *, as_json: bool) -> None:
    outside = dict(found.outside.most_common())
    if as_json:
        put_json(
            {
                "out": str(out),
                "documents": found.documents,
                "unreadable": found.unreadable,
                "unreadable_rows": _rows(found.rows),
                "votes": dict(sorted(found.votes.items())),
                "outside_taxonomy": outside,
                "repeated": {"same": found.same, "against": found.against, "example": found.example},
                "not_among_shown": found.unshown,
            }
        )
    else:
        for voter, count in sorted(found.votes.items()):
            put(f"{voter}: {counted(count, 'vote')}")
        say(f"In {out}: {_said(found)}.")
    if outside:
        worst = next(iter(outside))
        say(
            f"Left out: {counted(sum(outside.values()), 'vote')} on {counted(len(outside), 'label')} that the taxonomy "
            f"lacks, for example {worst!r}: {found.examples[worst]}"
        )
    if found.against:
        say(
            f"Opposite to a row before, which counts: {counted(found.against, 'row')}, for example {found.example}. "
            "Mend them, and import again."
        )
    if found.same:
        example = "" if found.against else f", for example {found.example}"
        say(f"Note: said once more: {counted(found.same, 'row')}{example}.")
    if found.unshown:
        say(f"Note: not among --docs, and counted as shown, too: {counted(found.unshown, 'document')} with votes.")
    _say_rows(found.unreadable, found.rows)
    if outside or found.unreadable or found.against:
        raise typer.Exit(3)


def _said(done: Imported | VotingProgress) -> str:
    return f"{counted(done.votes.total(), 'vote')} on {counted(done.documents, 'document')}"


def _rows(rows: Sequence[Failure]) -> list[dict[str, str]]:
    return [{"source": each.source, "kind": each.kind, "message": each.message} for each in rows]


def _say_rows(count: int, rows: Sequence[Failure]) -> None:
    if count:
        say(f"Could not be read: {counted(count, 'row')}.")
    for each in rows[:_TOLD]:
        say(f"  {each.source}: {each.message}")
    if count > _TOLD:
        say("  … --json lists them.")
