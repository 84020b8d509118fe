"""``labelmill tune``: learn a program from gold documents."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, put, put_json, put_table, say
from labelmill.cli.program import fetch_models
from labelmill.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labelmill.pipelines.program_file import ProgramFile
    from labelmill.records import Document


class OptimiserChoice(StrEnum):
    """What optimises prompts."""

    none = "none"
    labeled = "labeled"
    bootstrap = "bootstrap"
    mipro = "mipro"
    gepa = "gepa"
    nearest = "nearest"


class RankWish(StrEnum):
    """Kinds of Rank, and the choice among them."""

    fusion = "fusion"
    listwise = "listwise"
    pointwise = "pointwise"
    whole = "whole"
    auto = "auto"


def tune(
    taxonomy: options.TaxonomyFile,
    gold: Annotated[list[Path], typer.Option("--gold", "-g", help="Documents with gold labels; tens at least.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The program to write, a JSON file.")],
    labels_where: options.Where = None,
    under: options.Under = None,
    language: options.Language = "en",
    embedder: options.EmbedderChoice = None,
    lm: options.Lm = None,
    infer: options.Infer = None,
    rank: Annotated[
        RankWish | None,
        typer.Option(
            help="What orders the candidates. auto: listwise, whole (up to 1,000 labels) or fusion, as is best on the "
            "gold. Default: fusion."
        ),
    ] = None,
    task: options.Task = None,
    teacher: Annotated[
        str | None, typer.Option(help="MODEL@URL of a model that shows the other how. Default: the model itself.")
    ] = None,
    optimiser: Annotated[
        OptimiserChoice, typer.Option(help="What optimises the prompts, where a model is asked.")
    ] = OptimiserChoice.bootstrap,
    budget_calls: Annotated[
        int | None, typer.Option("--budget", min=1, help="Requests that optimising prompts may take at most.")
    ] = None,
    budget_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens that it may take at most.")] = None,
    promise: Annotated[
        str, typer.Option(help="f1 (the best), precision>=0.9, recall>=0.8, or cost<=1.5 (wrong labels a document).")
    ] = "f1",
    delta: Annotated[
        float | None, typer.Option(help="Keep the promise with confidence 1 - delta. Default: 0.1 for precision.")
    ] = None,
    usages: options.UsagesFile = None,
    student: options.StudentChoice = None,
    top_k: options.TopK = None,
    show_parents: options.ShownParents = None,
    no_ancestors: options.NoAncestors = None,
    keep_all: Annotated[bool, typer.Option("--keep-all", help="Leave out no evidence, be it of use or not.")] = False,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    limit: options.Limit = None,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Learn a program from tens of gold documents: what evidence weighs, prompts, probabilities, and the final set.

    Answers of models are kept beside the program, in a file ending in .journal: the same command goes on after a kill.

    Example: labelmill tune --taxonomy skills.csv --gold ads.jsonl --out ads.program.json --promise "precision>=0.8"
    """
    from labelmill.learning.promises import parse_promise
    from labelmill.pipelines.optimise.spending import Allowance
    from labelmill.pipelines.tuning import TuneProgress
    from labelmill.pipelines.tuning import tune as learn
    from labelmill.prompts.card import TaskCard
    from labelmill.retrievers.students import StudentFolder
    from labelmill.taxonomy import Taxonomy
    from labelmill.taxonomy.usages import Usages

    wanted = parse_promise(promise)
    if out.is_dir():
        raise InputError("this is a folder", path=out, remedy="Name the file to write, such as ads.program.json.")
    if not out.absolute().parent.is_dir():  # rather than after all is learned
        raise InputError("there is no such folder for the program", path=out, remedy="Make it, or name another --out.")
    documents = _read(gold, limit, id_field, text_field, labels_field)
    labels = Taxonomy.read(taxonomy, where=labels_where, under=under or (), language=language)
    phrases = None if usages is None else Usages.read(usages, labels)
    taught = None if student is None else StudentFolder.read(student)
    models, embedders = lm or ["none"], embedder or ["minilm"]
    shown = Progress()
    fetch_models([*embedders, *(["smollm2"] if "embedded" in models else [])], shown)
    chosen: dict[str, Any] = {
        "infer": None if infer is None else infer.value,
        "rank": None if rank is None else rank.value,
        "task": None if task is None else TaskCard.read(task),
        "top_k": top_k,
        "shown_parents": show_parents,
        "no_ancestors": no_ancestors,
    }

    def told(state: TuneProgress) -> None:
        of = f" {state.done:,} of {state.total:,}" if state.total else f" {state.done:,}" if state.done else ""
        shown.show(f"{state.step}{of}{f', {state.detail}' if state.detail else ''}")

    if show_parents and (rank is None or rank.value == "fusion"):
        say("Note: showing parents has no effect: it is for a model that ranks, and rank=fusion asks none.")
    asks = models != ["none"]
    kept = "what the model answered is kept. Run the same command again to go on."
    nothing = "nothing is written. Run the same command again; --limit reads fewer documents."
    with shown.until_interrupted(kept if asks else nothing):
        program = learn(
            labels,
            documents,
            lm=models,
            teacher=teacher,
            optimiser=None if optimiser is OptimiserChoice.none else optimiser.value,
            allowance=Allowance(budget_calls, budget_tokens),
            embedders=embedders,
            promise=wanted,
            delta=delta,
            usages=phrases,
            student=taught,
            keep_all=keep_all,
            seed=seed,
            journal=out.with_name(f"{out.name}.journal") if asks else None,
            building=shown.building,
            on_progress=told,
            **{name: value for name, value in chosen.items() if value is not None},
        )
    program.write(out)
    if as_json:
        put_json({"out": str(out), "figures": program.figures})
    else:
        _report(program, out)


def _read(gold: list[Path], limit: int | None, id_field: str, text_field: str, labels_field: str) -> list[Document]:
    """Read gold documents; where several files use an id, the file's name goes before it."""
    from labelmill.corpus import Corpus
    from labelmill.records import Document

    found: list[Document] = []
    for path in gold:
        items = list(Corpus([path], limit, id_field, text_field, labels_field).documents())
        if unreadable := [item for item in items if not isinstance(item, Document)]:
            say(f"Note: {len(unreadable):,} rows of {path} are left out, the first one: {unreadable[0].message}")
        found += [item for item in items if isinstance(item, Document)]
    if len({document.id for document in found}) < len(found) and len(gold) > 1:
        found = [replace(each, id=f"{each.source.rpartition(':')[0]}:{each.id}") for each in found]
    return found[:limit]


def _report(program: ProgramFile, out: Path) -> None:
    figures, decision = program.figures, program.spec.decision
    learned = figures["gold"]
    put(
        f"Learned from {learned['documents']:,} documents with {learned['labels']:,} gold labels; "
        "figures are cross-validated."
    )
    if nothing := learned["without_known_labels"]:
        say(f"Note: {nothing:,} of them have no label of the taxonomy; all that they are given counts as wrong.")
    if learned["note"]:
        say(f"Note: {learned['note']}.")
    for stage in figures.get("prompts", {}).get("stages", {}).values():
        put(f"Prompt of {_prompt_line(stage)}")
    for name, ranking, of in (("before", "before", f"  ({figures['before_is']})"), ("tuned", "after", "")):
        found = figures[ranking]
        put(f"  {name:<9} RP@5 {_percent(found['rp@5'])}  RP@10 {_percent(found['rp@10'])}{of}")
    if "trials" in figures:
        _put_trials(figures["trials"], figures["left_out"])
    for rank in figures.get("ranks") or [figures["rank"]] if "rank" in figures else []:
        _put_rank(rank)
    calibration = figures["calibration"]
    put(
        f"Calibration: {calibration['kind']}; error of the first ten candidates' probabilities "
        f"{calibration['ece@10_before']:.3f} before, {calibration['ece@10_after']:.3f} after"
    )
    if decision:
        put(f"Decision: {decision.statement}")
        put("  on the gold: " + ", ".join(f"{name} {value:.3g}" for name, value in decision.figures.items()))
    if program.spec.examples:
        put(
            f"The program holds the texts of the {len(program.spec.examples):,} gold documents, "
            "for their likeness to others."
        )
    also = " --usages FILE" if program.spec.usages else ""
    also += " --student STUDENT" if program.spec.student else ""
    say(f"Wrote {out}. Next: labelmill label DOCS --taxonomy FILE --program {out}{also} --out RUNS.duckdb")


def _put_trials(trials: list[Mapping[str, Any]], left_out: list[str]) -> None:
    """Show what was left out in turn, the dearest first, and whether it stayed out."""
    from rich import box
    from rich.table import Column, Table

    numbers = ("log loss", "RP@5", "RP@10", "ms a document", "tokens")
    columns = [Column(name, justify="right", no_wrap=True) for name in numbers]
    table = Table(Column("without", no_wrap=True), *columns, "", box=box.SIMPLE)
    for trial in trials:
        said = "stays out" if trial["kept"] else ""
        table.add_row(
            trial["without"][-1] if trial["without"] else "(nothing)",
            f"{trial['log_loss']:.5f}",
            _percent(trial["rp5"]),
            _percent(trial["rp10"]),
            f"{1000 * trial['seconds']:.0f}",
            f"{trial['tokens']:.0f}",
            f"{said}{' *' if trial['front'] else ''}".strip(),
        )
    put("What to keep (each row without its part, and without all that stays out above it; * on the Pareto front):")
    put_table(table)
    put(f"Left out: {', '.join(left_out)}" if left_out else "Nothing is left out.")


def _put_rank(rank: Mapping[str, Any]) -> None:
    losses = rank["log_losses"]
    better = losses["with rank"] < losses["without"]
    out = "another kind is better, or it is too little" if better else "it does not make unseen labels more probable"
    cached = f" ({rank['cached_tokens']:.0f} of them cached)" if rank["cached_tokens"] else ""
    put(
        f"Rank by the model ({rank['kind']}): RP@5 {_percent(rank['without']['rp@5'])} to "
        f"{_percent(rank['with']['rp@5'])}, RP@10 {_percent(rank['without']['rp@10'])} to "
        f"{_percent(rank['with']['rp@10'])}, log loss {losses['without']:.5f} to {losses['with rank']:.5f}, "
        f"{rank['tokens']:.0f} tokens a document{cached}; {'kept' if rank['kept'] else f'left out: {out}'}"
    )


def _prompt_line(stage: Mapping[str, Any]) -> str:
    before, after = stage.get("before"), stage.get("after")
    if before is None or after is None:
        return f"{stage['stage']}: not optimised: {stage.get('ended') or 'no other prompt was tried'}"
    verdict = "taken" if stage["taken"] else "not taken"
    return (
        f"{stage['stage']} ({stage['optimiser']}): {stage['measure']} {before:.3f} to {after:.3f} held out; {verdict}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
