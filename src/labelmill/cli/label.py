"""``labelmill label``: label a corpus into a DuckDB file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, duration, put_json, say

if TYPE_CHECKING:
    from labelmill.pipelines.batch import RunProgress


class InferChoice(StrEnum):
    """Kinds of Infer."""

    windows = "windows"
    lm = "lm"
    both = "both"


class RankChoice(StrEnum):
    """Kinds of Rank."""

    fusion = "fusion"
    listwise = "listwise"


def label(
    docs: options.Docs,
    taxonomy: options.TaxonomyFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The DuckDB file to write; runs add up in it.")],
    task: Annotated[Path | None, typer.Option(help="The task card: a TOML file with the wording.")] = None,
    infer: Annotated[
        InferChoice | None, typer.Option(help="What proposes queries. Default: both with a model, windows without.")
    ] = None,
    rank: Annotated[RankChoice, typer.Option(help="What orders the candidates.")] = RankChoice.fusion,
    lm: Annotated[str, typer.Option(help="none, embedded, MODEL@URL, or the URL of a server with one model.")] = "none",
    embedder: Annotated[
        list[str] | None,
        typer.Option(help="minilm (default), use, wordllama, st:NAME or MODEL@URL; several serve side by side."),
    ] = None,
    labels_where: options.Where = None,
    language: options.Language = "en",
    top_k: Annotated[int, typer.Option(min=1, help="Labels of a document's final set at most.")] = 5,
    candidates: Annotated[int, typer.Option(min=1, help="Labels that are ranked and stored per document.")] = 50,
    listed: Annotated[int, typer.Option(min=1, help="Candidates that listwise Rank is shown.")] = 20,
    chunk_characters: Annotated[int, typer.Option(min=200, help="Longest piece of a document read at once.")] = 1200,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Model calls in flight at most.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read this many documents at most.")] = None,
    run: Annotated[
        str | None, typer.Option(help="Name of the run. Default: made of the program and the corpus.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try documents again that failed before.")
    ] = False,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Label documents with the labels of a taxonomy.

    The same command again goes on where it was stopped, and does nothing twice.

    Example: labelmill label ads.jsonl --taxonomy skills.csv --out runs.duckdb --lm http://127.0.0.1:8000/v1
    """
    from labelmill.corpus import count_documents
    from labelmill.pipelines.labeler import Labeler
    from labelmill.taxonomy import Taxonomy

    total = count_documents(docs, limit=limit)  # before anything slow: it also sees that the files are there
    labels = Taxonomy.read(taxonomy, where=labels_where, language=language)
    shown = Progress()
    chosen = embedder or ["minilm"]
    _fetch_models([*chosen, *(["smollm2"] if lm == "embedded" else [])], shown)
    if lm == "none" and infer in {None, InferChoice.windows} and rank is RankChoice.fusion:
        say("No language model: infer=windows, rank=fusion. Give one with --lm.")
    with Labeler(
        labels,
        lm=lm,
        infer=None if infer is None else infer.value,
        rank=rank.value,
        embedders=chosen,
        task=task,
        top_k=top_k,
        concurrency=concurrency,
        progress=shown.building,
        candidates=candidates,
        listed=listed,
        chunk_characters=chunk_characters,
    ) as labeler:
        name = run or labeler.run_name(docs)
        say(f"Run {name}: {len(labels):,} labels, into {out}")
        try:
            done = labeler.label_corpus(
                docs,
                out,
                run=name,
                taxonomy_source=str(taxonomy),
                limit=limit,
                retry_failed=retry_failed,
                total=total,
                on_progress=shown.labelling,
                id_field=id_field,
                text_field=text_field,
                labels_field=labels_field,
            )
        except KeyboardInterrupt:
            shown.end()
            say(f"Interrupted: what was done is in {out}. Run the same command again to go on.")
            raise typer.Exit(130) from None
        finally:
            shown.end()
    _report(out, name, done, as_json=as_json)


def _fetch_models(names: list[str], shown: Progress) -> None:
    """Fetch the files of embedded models first, with a progress bar, rather than silently with the first text."""
    from labelmill.models.catalog import fetch_model, list_models

    for model in list_models():
        if model.name in names and not model.cached:
            fetch_model(model.name, shown.fetching)
            shown.end()


def _report(out: Path, run: str, done: RunProgress, *, as_json: bool) -> None:
    from labelmill.store import Store
    from labelmill.store.reader import summarise

    with Store(out) as store:
        summary = summarise(store, run)
    if as_json:
        put_json(
            {
                "run": run,
                "out": str(out),
                "state": summary.state,
                "documents": summary.documents,
                "failures": summary.failures,
                "skipped": done.skipped,
                "predictions": summary.predictions,
                "selected": summary.selected,
                "unlabelled": summary.unlabelled,
                "new_calls": done.calls,
                "calls": summary.calls,
                "prompt_tokens": summary.prompt_tokens,
                "cached_tokens": summary.cached_tokens,
                "completion_tokens": summary.completion_tokens,
                "seconds": round(summary.seconds, 3),
            }
        )
    else:
        tokens = summary.prompt_tokens + summary.completion_tokens
        model = f"; {done.calls:,} model calls now, {summary.calls:,} answers of {tokens:,} tokens in all"
        before = f" ({done.skipped:,} were done before)" if done.skipped else ""
        say(
            f"Done in {duration(done.seconds)}: {summary.documents:,} documents{before}, {summary.failures:,} failed, "
            f"{summary.predictions:,} labels ranked, {summary.selected:,} selected{model if summary.calls else ''}."
        )
        if summary.unlabelled:
            say(f"{summary.unlabelled:,} documents got no label: the model chose none of their candidates.")
        say(f"Next: labelmill eval {out} --gold DOCS, or labelmill export {out} --to FILE.parquet")
    if summary.failures:
        say(
            f"{summary.failures:,} documents failed; list them with: labelmill runs {out} --failures; "
            "try them again with the same command and --retry-failed"
        )
        raise typer.Exit(3)
