"""Everything that a report of a run says, gathered: out of the store, the gold, the metrics and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelmill.eval.confidence import DEPTH
from labelmill.eval.evaluation import Evaluation
from labelmill.eval.fates import STAGES, Fate
from labelmill.eval.groups import TITLES, Shown, choose
from labelmill.eval.intervals import Interval
from labelmill.eval.ledger import Ledger, Losses
from labelmill.eval.table import title
from labelmill.pipelines.evaluate import RunEvaluation, evaluate_run
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.ledger import ledger_of_run
from labelmill.pipelines.report_examples import choose_examples, describe_examples
from labelmill.pipelines.report_figures import (
    Judged,
    measure_promise,
    measure_reliability,
    measure_thresholds,
    score_name,
)
from labelmill.pipelines.report_words import describe_cost, describe_material, describe_program
from labelmill.report.values import Example, Figure, Loss, Report, Sides, Stage, Stages
from labelmill.store import Store
from labelmill.store.migration import MIGRATED
from labelmill.store.reader import read_ranked
from labelmill.store.summary import RunSummary, summarise

_SIZE = "set_size_"


def report_of_run(
    path: str | Path,
    gold: GoldCorpus,
    *,
    run: str | None = None,
    examples: int = 3,
    worst: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> Report:
    """Gather what a report says of a run.

    Args:
        path: The DuckDB file.
        gold: Documents with gold labels, with the texts that were labelled.
        run: The run; the newest by default.
        examples: Documents to show of the best, of the worst, and at random.
        worst: Labels and documents that lost most, to show of each.
        resamples: Resamples of the bootstrap.
        seed: Of the documents that are shown at random.

    Raises:
        GoldError: No gold label can be resolved, or no document of the gold is in the run.
        StoreError: The file or the run is not there.
    """
    result = evaluate_run(path, gold, run=run, resamples=resamples)
    ledger = ledger_of_run(path, gold, run=result.run)
    evaluation = result.evaluation
    with Store(path) as store:
        summary = summarise(store, result.run)
        program = summary.program
        ranked = read_ranked(store, result.run, depth=max(int(program.get("top_k", 5)), DEPTH))
        judged = Judged.of(ranked, result.gold, evaluation.labels_in_taxonomy)
        shown = _examples(store, result, gold, judged, ledger, examples, seed)
        material = describe_material(summary, _source(store, summary), evaluation.labels_in_taxonomy)
    score = score_name(program, ranked)
    return Report(
        run=result.run,
        documents=evaluation.documents,
        program=describe_program(program),
        material=material,
        cost=describe_cost(summary),
        warnings=tuple(_warnings(result, summary)),
        main=_groups(evaluation, Shown.main),
        metrics=_groups(evaluation, Shown.all),
        counts=_counts(evaluation),
        stages=_stages(ledger, worst),
        thresholds=measure_thresholds(judged, program, score),
        sides=_sides(evaluation.metrics),
        score=score,
        reliability=measure_reliability(judged, evaluation),
        promise=measure_promise(judged, program, evaluation, resamples=resamples, seed=seed),
        examples=shown,
    )


def _examples(
    store: Store, result: RunEvaluation, gold: GoldCorpus, judged: Judged, ledger: Ledger, count: int, seed: int
) -> tuple[Example, ...]:
    """Show some documents; the texts are those of the gold."""
    chosen = choose_examples(judged, count, seed)
    wanted = {result.gold.documents[row] for row, _ in chosen}
    texts = {document.id: document for document in gold.documents if document.id in wanted}
    f1 = judged.f1
    listed = [(texts[result.gold.documents[row]], why, float(f1[row])) for row, why in chosen]
    return describe_examples(store, result.run, listed, ledger.entries)


def _source(store: Store, summary: RunSummary) -> str:
    """Read where the labels of a run came from."""
    with store.errors():
        row = store.first("SELECT source FROM taxonomies WHERE taxonomy = ?", [summary.taxonomy])
    return str(row[0]) if row else ""


def _warnings(result: RunEvaluation, summary: RunSummary) -> list[str]:
    unfinished = f"the run is not finished ({summary.state}): figures are of what it has done"
    return [*([] if summary.state in {"finished", MIGRATED} else [unfinished]), *result.warnings]


def _groups(evaluation: Evaluation, shown: Shown) -> tuple[tuple[str, tuple[Figure, ...]], ...]:
    """Group metrics as the table of `labelmill eval` does."""
    return tuple(
        (TITLES[kind], tuple(_figure(name, evaluation.metrics[name]) for name in names))
        for kind, names in choose(evaluation.metrics, shown).items()
    )


def _figure(name: str, interval: Interval) -> Figure:
    return Figure(title(name), interval.value, interval.low, interval.high, share=not name.startswith(_SIZE))


def _counts(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    """Say what the metrics are over, and what was left out or counts as zero."""
    lines = [
        ("Documents", evaluation.documents),
        ("Without gold, left out", evaluation.documents_without_gold),
        ("Without predictions, zero", evaluation.documents_without_predictions),
        ("Distinct gold labels", evaluation.labels),
        ("Gold labels outside the taxonomy, missed", evaluation.labels_outside_taxonomy),
        ("Labels used", evaluation.labels_used),
    ]
    return tuple((what, f"{count:,}") for what, count in lines if count)


def _stages(ledger: Ledger, worst: int) -> Stages:
    counts, ceilings = ledger.counts, ledger.ceilings
    return Stages(
        gold=len(ledger.entries),
        found=counts[Fate.found],
        stages=tuple(Stage(stage, str(fate), counts[fate], ceilings[stage]) for stage, fate in STAGES.items()),
        labels=tuple(map(_loss, ledger.worst_labels(worst))),
        documents=tuple(map(_loss, ledger.worst_documents(worst))),
        notes=(
            f"Ranked too low: not chosen, and below the {ledger.top_k} that can be.",
            f"Proposed: a query is at least {ledger.near:g} near to a name or alias, or it was retrieved anyway.",
        ),
    )


def _loss(losses: Losses) -> Loss:
    where = ", ".join(f"{fate} {count}" for fate, count in losses.fates.items())
    return Loss(losses.name, len(losses.entries), losses.gold, where, losses.entries[0].explain())


def _sides(metrics: Mapping[str, Any]) -> tuple[Sides, ...]:
    """Pair the metrics that there are over frequent and over rare labels."""
    names = [name.removesuffix("_head") for name in metrics if name.endswith("_head")]
    return tuple(
        Sides(title(name), _figure(f"{name}_head", metrics[f"{name}_head"]), _figure(f"{name}_tail", metrics[tail]))
        for name in names
        if (tail := f"{name}_tail") in metrics
    )
