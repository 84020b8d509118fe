"""``labelmill taxonomy describe``: drafts of descriptions and instructions, their acceptance, and usage phrases."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelmill.cli import options
from labelmill.cli.compare import address
from labelmill.cli.console import Progress, counted, duration, put, put_json, say
from labelmill.cli.program import fetch_models
from labelmill.cli.taxonomy.files import File
from labelmill.cli.taxonomy.group import app
from labelmill.cli.written import Replace, check_written
from labelmill.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labelmill.corpus import Corpus
    from labelmill.pipelines.describing import Described, DescribeProgress, LabelledDocuments, Phrased
    from labelmill.taxonomy import Taxonomy


@app.command()
def describe(
    file: File,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The JSONL file to write: drafts, phrases, or the next version.")
    ],
    gold: Annotated[list[Path] | None, typer.Option("--gold", "-g", help="Documents with gold labels.")] = None,
    run: Annotated[
        str | None,
        typer.Option(help="FILE or FILE:RUN: take the labels that a run of `labelmill label` has given documents."),
    ] = None,
    docs: Annotated[
        list[Path] | None, typer.Option(help="Where the documents of --run are now. Default: where the run found them.")
    ] = None,
    lm: options.Lm = None,
    task: options.Task = None,
    phrases: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Write this many phrases of each label for --usages, in place of drafts."),
    ] = None,
    only_missing: Annotated[
        bool, typer.Option("--only-missing/--all", help="Leave labels alone that have what would be drafted.")
    ] = True,
    instructions: Annotated[
        bool, typer.Option(help="Draft what belongs and what does not as well, where a model writes.")
    ] = True,
    accept: Annotated[
        Path | None, typer.Option(help="A reviewed file of drafts: write the taxonomy with these, and ask nothing.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --accept: replace texts that labels have already.")
    ] = False,
    replace: Replace = False,
    labels_where: options.Where = None,
    language: options.Language = "en",
    examples_per_label: Annotated[
        int, typer.Option(min=1, max=50, help="Documents of a label that the model is shown at most.")
    ] = 4,
    embedder: Annotated[
        str, typer.Option(help="Tells which phrases are near to a label's name, without a model; or none.")
    ] = "minilm",
    budget_tokens: Annotated[
        int | None, typer.Option(min=1, help="Stop when all answers together would take more tokens than this.")
    ] = None,
    concurrency: options.Concurrency = None,
    timeout: options.Timeout = 300.0,
    patience: options.Patience = 3600.0,
    limit: options.Limit = None,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Draft what labels lack, from documents that have them: descriptions, what belongs and what does not.

    Drafts wait in a file of their own for a person to read, mend or empty. With --accept they go into the next version
    of the taxonomy, and replace nothing. Without a model a description is a list of telling words, and says so. A
    model's answers are kept beside --out, in a file ending in .journal: the same command goes on after a kill.

    Example: labelmill taxonomy describe skills.csv --gold ads.jsonl --lm http://127.0.0.1:8000/v1 --out drafts.jsonl
    """
    from labelmill.corpus import Corpus
    from labelmill.taxonomy import Taxonomy

    taxonomy = Taxonomy.read(file, language=language)
    check_written(out, [file], replace=replace, why="what a model answered is in the journal.")
    if accept is not None:
        if gold or run or phrases is not None:
            raise InputError(
                "--accept takes drafts as they are, and reads no documents",
                remedy="Leave out --gold, --run and --phrases.",
            )
        _accept(taxonomy, accept, out, overwrite=overwrite, as_json=as_json)
        return
    _check_documents(gold, run, lm, phrases)
    read = partial(Corpus, limit=limit, id_field=id_field, text_field=text_field, labels_field=labels_field)
    known = _documents(taxonomy, gold, run, docs, read)
    for note in known.notes:
        say(f"Note: {note}.")
    asking: dict[str, Any] = {
        "lm": lm or ["none"],
        "task": task,
        "chosen": _chosen(taxonomy, labels_where),
        "examples": examples_per_label,
        "journal": out.with_name(f"{out.name}.journal") if lm and lm != ["none"] else None,
        "budget_tokens": budget_tokens,
        "concurrency": concurrency,
        "timeout": timeout,
        "patience": patience,
    }
    shown = Progress()
    kept = "what was answered is in the journal. Run the same command again to go on."
    nothing = "nothing is written. Run the same command again; --limit reads fewer documents."
    with shown.until_interrupted(kept if asking["journal"] else nothing):
        if phrases is None:
            asking |= {"only_missing": only_missing, "instructions": instructions}
            done: Described | Phrased = _drafts(taxonomy, known, out, shown, asking)
        else:
            done = _phrases(taxonomy, known, out, shown, asking, phrases, embedder)
    _report(done, file, out, as_json=as_json)


def _accept(taxonomy: Taxonomy, drafts: Path, out: Path, *, overwrite: bool, as_json: bool) -> None:
    from labelmill.taxonomy import write_jsonl
    from labelmill.taxonomy.drafts import accept, read_drafts

    plain = out.with_suffix("") if out.suffix.lower() == ".gz" else out
    if plain.suffix.lower() not in {".jsonl", ".ndjson"}:
        raise InputError("a taxonomy is written as JSON lines", path=out, remedy="Name a file that ends in .jsonl.")
    read = read_drafts(drafts, taxonomy)
    if out.exists() and out.samefile(drafts):
        raise InputError("this is the file of drafts", path=out, remedy="Name another --out.")
    done = accept(taxonomy, read, overwrite=overwrite)
    write_jsonl(done.taxonomy, out)
    if as_json:
        put_json({"out": str(out), "taken": done.taken, "kept": done.kept, "left_out": done.left_out})
        return
    put(f"{counted(done.taken, 'draft')} accepted into {out}, which has {counted(len(done.taxonomy), 'label')}")
    if done.kept:
        say(f"{done.kept:,} were not taken: the label has such a text already. --overwrite replaces it.")
    if done.left_out:
        say(f"{done.left_out:,} have no text.")


def _check_documents(gold: list[Path] | None, run: str | None, lm: list[str] | None, phrases: int | None) -> None:
    """Demand what says which documents have a label; a model can write phrases without."""
    if gold and run:
        raise InputError("--gold and --run both say which documents have a label", remedy="Give one of them.")
    without = phrases is not None and lm and lm != ["none"]
    if not gold and not run and not without:
        raise InputError("nothing says which documents have a label", remedy="Give --gold DOCS or --run RUNS.duckdb.")


def _documents(
    taxonomy: Taxonomy,
    gold: list[Path] | None,
    run: str | None,
    docs: list[Path] | None,
    read: Callable[[Sequence[str | Path]], Corpus],
) -> LabelledDocuments:
    from labelmill.pipelines.describing import LabelledDocuments

    if gold:
        return LabelledDocuments.of_gold(read(gold), taxonomy)
    if run:
        path, name = address(run)
        return LabelledDocuments.of_run(path, name, taxonomy, docs, read)
    return LabelledDocuments()


def _chosen(taxonomy: Taxonomy, where: str | None) -> list[int] | None:
    return None if where is None else [taxonomy.position(label.id) for label in taxonomy.where(where)]


def _settings(asking: dict[str, Any]) -> dict[str, Any]:
    from labelmill.pipelines.budget import Budget
    from labelmill.prompts.card import TaskCard

    task = TaskCard() if asking["task"] is None else TaskCard.read(asking["task"])
    rest = {name: value for name, value in asking.items() if name not in {"task", "budget_tokens"}}
    return rest | {"task": task, "budget": Budget(asking["budget_tokens"])}


def _drafts(
    taxonomy: Taxonomy, known: LabelledDocuments, out: Path, shown: Progress, asking: dict[str, Any]
) -> Described:
    from labelmill.pipelines.describing import describe as draft
    from labelmill.taxonomy.drafts import write_drafts

    fetch_models(["smollm2"] if "embedded" in asking["lm"] else [], shown)
    done = draft(taxonomy, known, on_progress=lambda now: _tell(shown, now), **_settings(asking))
    write_drafts(done.drafts, taxonomy, out)
    return done


def _phrases(
    taxonomy: Taxonomy,
    known: LabelledDocuments,
    out: Path,
    shown: Progress,
    asking: dict[str, Any],
    count: int,
    embedder: str,
) -> Phrased:
    from labelmill.models.embedders import load_embedder
    from labelmill.pipelines.describing import phrase
    from labelmill.taxonomy.usages import write_usages

    compares = asking["lm"] == ["none"] and embedder != "none"
    fetch_models([embedder] if compares else ["smollm2"] if "embedded" in asking["lm"] else [], shown)
    near = load_embedder(embedder) if compares else None
    settings = _settings(asking)
    done = phrase(taxonomy, known, count, embedder=near, on_progress=lambda now: _tell(shown, now), **settings)
    write_usages(done.usages, out)
    return done


def _tell(shown: Progress, now: DescribeProgress) -> None:
    finished = now.done + now.failed
    asked = f"{now.tokens:,} tokens, {now.failed:,} failed, " if now.tokens or now.failed or now.reused else ""
    shown.show(
        f"wrote of {finished:,} of {now.total:,} labels, {now.rate:.1f}/s, {asked}{duration(now.eta_seconds)} to go",
        last=finished == now.total and not asked,  # a model's are told once more at the end
    )


def _report(done: Described | Phrased, file: Path, out: Path, *, as_json: bool) -> None:
    from labelmill.pipelines.describing import Described

    drafted = isinstance(done, Described)
    some = done.drafts if isinstance(done, Described) else done.usages
    written = len({each.label for each in some if not each.problem})
    if as_json:
        put_json(
            {
                "out": str(out),
                "labels": done.labels,
                "written": written,
                "texts": sum(1 for each in some if not each.problem),
                "failed": done.failed,
                "without_documents": done.without_documents,
                "not_asked": done.not_asked,
                **({"asked": asdict(done.progress)} if done.progress else {}),
            }
        )
    else:
        what = "drafts for" if drafted else "phrases of"
        put(f"{out}: {what} {written:,} of {done.labels:,} labels")
        if done.without_documents:
            say(f"{counted(done.without_documents, 'label')} without documents, or with too few to say anything of.")
        if done.not_asked:
            say(
                f"Not asked about, since the budget is spent: {counted(done.not_asked, 'label')}. "
                "The same command with a larger one and --replace goes on."
            )
        if written and drafted:
            say(
                "Read them, mend what is wrong, and empty the text of what shall not be taken. "
                f"Then: labelmill taxonomy describe {file} --accept {out} --out NEW.jsonl"
            )
        elif written:
            say(
                "Next: labelmill tune … "
                f"--usages {out} (with gold of other documents), which keeps them only where they help."
            )
    if done.failed:
        say(f"{counted(done.failed, 'label')} failed; {out} says why. The same command with --replace asks again.")
        raise typer.Exit(3)
