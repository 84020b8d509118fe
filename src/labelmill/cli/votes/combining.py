"""``labelmill votes summary|combine``: what voters are like, and what they say together."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelmill.cli import options
from labelmill.cli.console import Progress, put, put_json, put_table, say
from labelmill.cli.votes.group import Exclusive, Voters, VotesFile, app

if TYPE_CHECKING:
    from labelmill.pipelines.gold import GoldCorpus
    from labelmill.pipelines.voting.combine import CombinedRun
    from labelmill.pipelines.voting.summary import VotesSummary

Gold = Annotated[list[Path] | None, typer.Option("--gold", "-g", help="Documents with gold labels; tens will do.")]


class MethodChoice(StrEnum):
    """How votes are combined, as `labelmill.learning.combining` has it."""

    auto = "auto"
    majority = "majority"
    weighted = "weighted"
    dawid_skene = "dawid-skene"
    pool = "pool"
    ranks = "ranks"
    snorkel = "snorkel"


@app.command()
def summary(
    votes_file: VotesFile,
    gold: Gold = None,
    voter: Voters = None,
    exclusive: Exclusive = False,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Show what each voter covers, overlaps and contradicts, how often it is right, and who echoes whom.

    Example: labelmill votes summary votes.duckdb --gold ads.jsonl
    """
    from labelmill.pipelines.voting.summary import summarise_votes

    corpus = _gold(gold, id_field, text_field, labels_field)
    found = summarise_votes(votes_file, voters=voter or (), gold=corpus, exclusive=exclusive)
    if as_json:
        put_json(found.as_dict())
    else:
        _put_summary(found)


@app.command()
def combine(
    votes_file: VotesFile,
    method: Annotated[
        MethodChoice,
        typer.Option(help="auto: what gold shows to be best, else the majority where nothing can beat it."),
    ] = MethodChoice.auto,
    exclusive: Exclusive = False,
    gold: Gold = None,
    voter: Voters = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Score, in 0..1, that a label of the final set has at least. Default: 0.5; none with --exclusive."
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Labels of a final set at most; not with --exclusive, where it is one.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Name of the run. Default: made of the method and its options.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over a run of this name that was combined in another way.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the parts of gold that are left out in turn.")] = 0,
    id_field: options.IdField = "id",
    text_field: options.TextField = "text",
    labels_field: options.LabelsField = "labels",
    as_json: options.Json = False,
) -> None:
    """Combine votes into probabilities, and write them as a run: to be evaluated, compared, reported, exported.

    Example: labelmill votes combine votes.duckdb --method dawid-skene --gold ads.jsonl
    """
    from labelmill.pipelines.voting.combine import combine_votes

    corpus = _gold(gold, id_field, text_field, labels_field)
    shown = Progress()
    try:
        done = combine_votes(
            votes_file,
            method=method.value,
            exclusive=exclusive,
            voters=voter or (),
            gold=corpus,
            threshold=threshold,
            top_k=top_k,
            run=run,
            replace=replace,
            seed=seed,
            on_progress=shown.show,
        )
    finally:
        shown.end()
    if as_json:
        put_json(done.as_dict())
    else:
        _put_combined(votes_file, done)


def _gold(paths: list[Path] | None, id_field: str, text_field: str, labels_field: str) -> GoldCorpus | None:
    from labelmill.pipelines.gold import GoldCorpus

    if not paths:
        return None
    return GoldCorpus.read(paths, id_field=id_field, text_field=text_field, labels_field=labels_field)


def _put_summary(found: VotesSummary) -> None:
    from rich import box
    from rich.table import Column, Table
    from rich.text import Text

    names = ("votes", "against", "labels", "coverage, %", "overlap, %", "conflict, %", "right, %", "of judged")
    table = Table("voter", "kind", *(Column(name, justify="right") for name in names), box=box.SIMPLE)
    for row in found.rows():
        shares = (f"{100 * row[name]:.1f}" for name in ("coverage", "overlap", "conflict"))
        right = "" if row["accuracy"] is None else f"{100 * row['accuracy']:.1f}"
        counts = (f"{row[name]:,}" for name in ("votes", "against", "labels"))
        judged = f"{row['judged']:,}" if row["judged"] else ""
        # Text, because a name may hold what rich takes for markup.
        table.add_row(Text(row["voter"]), row["kind"], *counts, *shares, right, judged)
    put_table(table)
    plain: dict[str, Any] = found.as_dict()
    put(
        f"{plain['votes']:,} votes of {len(plain['voters']):,} voters on {plain['documents_with_votes']:,} of "
        f"{plain['documents']:,} documents"
    )
    for echo in plain["correlated"]:
        put(
            f"{echo['voters'][0]} and {echo['voters'][1]} say the same of {echo['agreement']:.0%} of "
            f"{echo['common']:,} that both voted on; {echo['expected']:.0%} were to be expected"
        )
    for failure in plain["failures"]:
        say(f"{failure['voter']}: {failure['kind']}, {failure['kept']:,} kept, the first one {failure['example']}")
    for note in plain["notes"]:
        say(f"Note: {note}.")


def _put_combined(votes_file: Path, done: CombinedRun) -> None:
    from rich import box
    from rich.table import Column, Table
    from rich.text import Text

    plain = done.as_dict()
    put(f"Run {done.run}: {plain['method']}, {plain['why']}")
    for each in plain["tried"]:
        put(f"  {each['method']:<45} Brier score {each['brier']:.4f}")
    shown = [name for name in ("votes", "accuracy", "true_yes", "false_yes") if name in plain["voters"][0]]
    titles = {
        "votes": "votes",
        "accuracy": "right, %",
        "true_yes": "finds of what is right, %",
        "false_yes": "says yes to what is wrong, %",
    }
    table = Table("voter", *(Column(titles[name], justify="right") for name in shown), box=box.SIMPLE)
    for row in plain["voters"]:
        figures = (f"{row[name]:,}" if name == "votes" else f"{100 * row[name]:.1f}" for name in shown)
        table.add_row(Text(row["voter"]), *figures)
    put_table(table)
    took = ", ".join(f"{name} {value:.1f}" for name, value in plain["seconds"].items())
    say(
        f"{plain['votes']:,} votes on {plain['documents']:,} documents: {plain['labels']:,} labels ranked, "
        f"{plain['selected']:,} selected; seconds: {took}."
    )
    if plain["gold_documents"]:
        say(f"{plain['gold_documents']:,} documents keep the gold that taught: evaluate on others.")
    for note in plain["notes"]:
        say(f"Note: {note}.")
    say(f"Next: labelmill eval {votes_file} --run {done.run} --gold DOCS, or labelmill export {votes_file} --to FILE")
