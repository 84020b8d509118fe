"""``labelmill export`` and ``labelmill import``: runs to other tools, and what people said there back as gold."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, counted, duration, put_json, say
from labelmill.cli.evaluation import rollup_of
from labelmill.cli.written import Replace, check_exported, check_written
from labelmill.errors import InputError

if TYPE_CHECKING:
    from labelmill.corpus import Corpus

_SHOWN = 3
"""Labels that the taxonomy lacks, to name with their places."""


class ExportChoice(StrEnum):
    """What a run is exported to."""

    table = "table"
    huggingface = "huggingface"
    label_studio = "label-studio"
    argilla = "argilla"
    cleanlab = "cleanlab"


class ImportChoice(StrEnum):
    """What is imported, as `labelmill.pipelines.exchange.reading` has it."""

    label_studio = "label-studio"
    argilla = "argilla"
    huggingface = "huggingface"
    cleanlab = "cleanlab"
    wrench = "wrench"
    snorkel = "snorkel"


class AgreementChoice(StrEnum):
    """Which labels of several annotators are gold."""

    majority = "majority"
    all = "all"
    any = "any"


CorpusFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--docs", help="The documents, with texts and perhaps gold labels: as for `labelmill label`; repeatable."
    ),
]
Question = Annotated[
    str | None,
    typer.Option(help="Which choices of a Label Studio task, or question of Argilla, label documents, of several."),
]


def export(
    runs_file: options.RunsFile,
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            help="What to write. Tables: .parquet, .jsonl or .csv; huggingface: a folder; label-studio and argilla: "
            ".json; cleanlab: .npz.",
        ),
    ],
    format_: Annotated[ExportChoice, typer.Option("--format", help="Who reads it.")] = ExportChoice.table,
    docs: CorpusFiles = None,
    run: options.Run = None,
    selected_only: Annotated[bool, typer.Option("--selected", help="The final sets only.")] = False,
    exclusive: Annotated[
        bool, typer.Option("--exclusive", help="For cleanlab: a document has exactly one label.")
    ] = False,
    replace: Replace = False,
    depth: options.Depth = None,
    ancestors: options.Ancestors = False,
    taxonomy: options.WholeTaxonomy = None,
    language: options.Language = "en",
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Write a run as a table, one row per document and label, or as another tool takes it.

    Columns of a table: document, label, name, rank, score, selected. With --depth or --ancestors, labels are seen from
    higher up in the hierarchy, each once a document with the best rank and score of those that it stands for; the
    column stands_for names the best of them. Other formats have the texts that --docs brings.

    Example: labelmill export runs.duckdb --to labels.parquet
    """
    check_exported(to, format_.value, [runs_file, *(docs or ()), *([taxonomy] if taxonomy else [])], replace=replace)
    if format_ is ExportChoice.table:
        if docs or exclusive:
            raise InputError(
                "a table has no texts and no gold", remedy="Leave out --docs and --exclusive, or name a --format."
            )
        _export_table(
            runs_file, to, run, (depth, ancestors, taxonomy, language), selected_only=selected_only, as_json=as_json
        )
        return
    if depth or ancestors or taxonomy:
        raise InputError("--depth, --ancestors and --taxonomy are for tables", remedy="Leave them out.")
    from labelmill.corpus import Corpus
    from labelmill.pipelines.exchange import export_run

    corpus = Corpus(docs, None, id_field, text_field, labels_field) if docs else None
    shown = Progress()
    try:
        done = export_run(
            runs_file,
            to,
            format_.value,
            run=run,
            corpus=corpus,
            selected_only=selected_only,
            exclusive=exclusive,
            on_progress=paced(shown, "exported", corpus),
        )
    finally:
        shown.end()
    counts = done.counts
    if as_json:
        put_json(done.as_dict())
    else:
        written = counted(counts.documents, "document")
        say(f"Wrote {written} of run {done.run} to {', '.join(map(str, done.files))}.")
        if counts.texts < counts.documents:
            say(f"Without their text, which --docs brings: {counts.documents - counts.texts:,} of them.")
        if counts.not_in_corpus and corpus:
            say(f"Left out: {counted(counts.not_in_corpus, 'document')} of the run, not among the documents given.")
        if counts.not_in_run:
            say(f"Left out: {counted(counts.not_in_run, 'document')} given, not done by the run.")
    for note in done.notes:
        say(f"Note: {note}.")
    end_with(done.outside, done.examples, counts.unreadable, counts.reasons, what="gold label")


def import_(
    source: Annotated[Path, typer.Argument(help="What another tool exported: a file, or a folder of Hugging Face.")],
    taxonomy: options.TaxonomyFile,
    to: Annotated[Path, typer.Option("--to", help="The documents with gold labels to write: .jsonl, also .gz.")],
    format_: Annotated[ImportChoice, typer.Option("--format", help="Who wrote it.")],
    docs: CorpusFiles = None,
    annotator: Annotated[
        list[str] | None, typer.Option(help="Whose labels; repeatable. Default: those of all annotators.")
    ] = None,
    agreement: Annotated[
        AgreementChoice,
        typer.Option(help="Which labels are gold: those of most annotators of a document, of all, of any."),
    ] = AgreementChoice.majority,
    question: Question = None,
    replace: Replace = False,
    labels_where: options.Where = None,
    language: options.Language = "en",
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    as_json: options.Json = False,
) -> None:
    """Make gold of what people labelled elsewhere: documents that eval and tune take, annotators kept apart.

    Example: labelmill import tasks.json --format label-studio --taxonomy skills.csv --to gold.jsonl
    """
    from labelmill.corpus import Corpus
    from labelmill.pipelines.exchange import import_gold
    from labelmill.taxonomy import Taxonomy

    check_written(to, [source, taxonomy, *(docs or ())], replace=replace)
    labels = Taxonomy.read(taxonomy, where=labels_where, language=language)
    done = import_gold(
        source,
        to,
        labels,
        format_.value,
        corpus=Corpus(docs, None, id_field, text_field) if docs else None,
        annotators=annotator or (),
        agreement=agreement.value,
        id_field=id_field,
        text_field=text_field,
        question=question,
    )
    if as_json:
        put_json(done.as_dict() | {"file": str(to)})
    else:
        say(f"Wrote {counted(done.documents, 'document')} with {counted(done.labels, 'gold label')} to {to}.")
        for who, count in done.annotators.most_common():
            say(f"{who}: {counted(count, 'document')}")
        if done.disputed:
            disputed = counted(done.disputed, "document")
            say(f"Annotators do not say the same of {disputed}; `annotations` has what each said.")
    if done.without_label:
        say(f"Left out: {counted(done.without_label, 'document')}, of whose labels none is in the taxonomy.")
    if done.without_text:
        left_out = counted(done.without_text, "document")
        say(f"Left out: {left_out} without a text. Name the files that have it with --docs.")
    failed = bool(done.without_text)
    end_with(done.outside, done.examples, done.unreadable, done.reasons, what="label", failed=failed)


def paced(shown: Progress, what: str, corpus: Corpus | None) -> Callable[[int], None]:
    """Say how many documents are done, at which rate, and how long it takes yet, where that can be known."""
    total = corpus.count() if corpus else None
    began = time.monotonic()

    def told(done: int) -> None:
        rate = done / max(time.monotonic() - began, 1e-9)
        of = f" of {total:,}" if total else ""
        left = f", {duration((total - done) / max(rate, 1e-9))} to go" if total else ""
        shown.show(f"{what} {done:,}{of} documents, {rate:,.0f}/s{left}")

    return told


def end_with(
    outside: Counter[str],
    examples: Mapping[str, str],
    unreadable: int,
    reasons: Sequence[str],
    *,
    what: str,
    failed: bool = False,
) -> None:
    """Report labels that the taxonomy lacks and entries of no use, with places; then the command ends with code 3."""
    if outside:
        say(f"Left out: {counted(outside.total(), what)}, {len(outside):,} different, that the taxonomy lacks:")
        for name, _ in outside.most_common(_SHOWN):
            say(f"  {examples[name]}")
        if len(outside) > _SHOWN:
            say(f"  and {len(outside) - _SHOWN:,} more, which --json lists")
    if unreadable:
        say(f"Could not be read: {counted(unreadable, 'entry', 'entries')}")
        for reason in reasons:
            say(f"  {reason}")
    if outside or unreadable or failed:
        raise typer.Exit(3)


def _export_table(
    runs_file: Path,
    to: Path,
    run: str | None,
    seen: tuple[int | None, bool, Path | None, str],
    *,
    selected_only: bool,
    as_json: bool,
) -> None:
    from labelmill.store import Store
    from labelmill.store.reader import choose_run, read_taxonomy
    from labelmill.store.reader import export as write

    rollup = rollup_of(*seen)
    with Store(runs_file) as store:
        name = choose_run(store, run)
        standing = rollup.over(read_taxonomy(store, name)).rows if rollup else None
        rows = write(store, name, to, selected_only=selected_only, standing=standing)
    if as_json:
        put_json({"run": name, "file": str(to), "rows": rows})
    else:
        say(f"Wrote {counted(rows, 'row')} of run {name} to {to}.")
