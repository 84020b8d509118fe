"""Prompts of Infer and Rank learned from gold documents, from left to right as in IReRa (arXiv 2401.12178).

First Infer, for the recall of what is retrieved with its phrases; then, with that Infer, Rank for its rank-precision.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import dspy

from labelmill.models.client import ChatModel
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.infer import Infer
from labelmill.pipelines.loop import run_to_end
from labelmill.pipelines.optimise.cases import Case, Parts, make_cases
from labelmill.pipelines.optimise.examples import infer_examples, pool_of, rank_examples
from labelmill.pipelines.optimise.feedback import explain_infer, explain_rank
from labelmill.pipelines.optimise.figures import OnOptimise, Optimised, StageFigures
from labelmill.pipelines.optimise.journal import Journal
from labelmill.pipelines.optimise.language_model import RespondentLM
from labelmill.pipelines.optimise.metric import Measure
from labelmill.pipelines.optimise.optimisers import PromptOptimiser, find_optimiser
from labelmill.pipelines.optimise.respondent import respondents
from labelmill.pipelines.optimise.silence import silence
from labelmill.pipelines.optimise.spending import Allowance, Lease, Purse, Stopped
from labelmill.pipelines.optimise.stages import Bench, InferModule, RankModule, StageModule
from labelmill.pipelines.optimise.trying import BUDGET, Means, Stage, Trying, ask_all
from labelmill.pipelines.program import Program, RankStage
from labelmill.pipelines.whole import by_id
from labelmill.prompts.compiled import PromptState, StageName
from labelmill.records import Document

INFER_DEPTH = 50
"""Candidates within which Infer's phrases should bring the gold labels."""

RANK_DEPTH = 10
"""Ranks at which Rank should have them."""

_MOST_AT_ONCE = 32
_SHARE_OF_INFER = 0.5
"""Of the budget, where Rank is to be optimised as well."""

Model = Connection | ChatModel | str | Sequence[str]
"""A language model: found already, any that answers, or as a user names it."""


def optimise(
    program: Program,
    gold: Sequence[Document],
    *,
    student: Model,
    teacher: Model | None = None,
    optimiser: str | PromptOptimiser = "bootstrap",
    budget: Allowance = Allowance(),  # noqa: B008 - frozen
    stages: Collection[StageName] = ("infer", "rank"),
    seed: int = 0,
    journal: str | Path | None = None,
    on_progress: OnOptimise = lambda _: None,
) -> Optimised:
    """Optimise the prompts of a program's stages that ask a model.

    Gold is parted into train, validation and held-out. A prompt takes the place of the one before where it is the best
    on validation and better than that one on the held-out documents. The same seed and the same answers give the same
    prompts, but for a budget that ends in the middle of a trial.

    Args:
        program: The program; it stays as it is.
        gold: Documents with gold labels; those without one of the taxonomy are left out.
        student: The model that will answer in the end.
        teacher: One that shows how and writes instructions; the student itself, where there is none.
        optimiser: ``labeled``, ``bootstrap``, ``mipro``, ``gepa`` or ``nearest``, or any of the protocol.
        budget: The most that it may cost; at its end, the best prompt so far is weighed as at any other.
        stages: Those whose prompts are optimised, if they ask a model; the others are asked as they are.
        seed: Of everything that is drawn.
        journal: A file for every answer; after a kill, the same call asks a model nothing that is in it.
        on_progress: Told after every document, from any thread, one call at a time.

    Raises:
        GoldError: The gold documents are too few, or no label resolves.
        InputError: There is no such optimiser, or the journal cannot be used.
        MissingExtraError: The optimiser needs a package that is not installed.
        ModelError: A model does not answer; what it has answered is in the journal.
    """
    chosen = find_optimiser(optimiser) if isinstance(optimiser, str) else optimiser
    with ExitStack() as stack:
        stack.enter_context(silence())
        parts = Parts.split(make_cases(program, gold), seed)
        book = stack.enter_context(Journal(journal))
        first = _connect(student, stack)
        second = _connect(teacher, stack) if teacher is not None else None
        purse = Purse(budget)
        pupil, master = stack.enter_context(respondents(first, second, book, purse))
        threads = min(first.concurrency, _MOST_AT_ONCE)
        means = Means(chosen, pupil, master, purse, seed, threads, on_progress)
        return _left_to_right(program, stages, parts, book, means)


def _connect(model: Model, resources: ExitStack) -> Connection:
    if isinstance(model, Connection):
        return model
    return run_to_end(lambda: Connection.find(model, resources))


def _left_to_right(
    program: Program, stages: Collection[StageName], parts: Parts, journal: Journal, means: Means
) -> Optimised:
    """Optimise Infer, and then Rank with what became of it."""
    prompts: dict[StageName, PromptState] = dict(program.spec.prompts)
    figures: list[StageFigures] = []
    if program.infer is not None and "infer" in stages:
        module = InferModule(program.infer, Bench(program, journal))
        found, state = Trying(_infer_stage(module, parts), means).run()
        figures.append(found)
        if state is not None:
            state = _with_all(module, state, infer_examples(module.bench, parts.all))
            prompts["infer"] = state
            program = replace(program, infer=cast("Infer", module.with_state(state).stage))
    if program.rank is not None and "rank" in stages:
        found, state = _optimise_rank(program, program.rank, Bench(program, journal), parts, means)
        figures.append(found)
        if state is not None:
            prompts["rank"] = by_id(state, program.taxonomy.labels) if program.ranks_all else state
    return Optimised(prompts, tuple(figures), means.purse.spent("student"), means.purse.spent("teacher"))


def _infer_stage(module: InferModule, parts: Parts) -> Stage:
    bench = module.bench
    program = bench.program
    bench.cases = {case.document: case for case in parts.all}
    measure = Measure.of("r", min(INFER_DEPTH, program.spec.candidates), len(program.taxonomy))
    return Stage(
        "infer",
        module,
        parts,
        infer_examples(bench, parts.train),
        measure,
        partial(explain_infer, program.taxonomy, depth=measure.depth),
        share=_SHARE_OF_INFER if program.rank is not None else 1.0,
    )


def _optimise_rank(
    program: Program, rank: RankStage, bench: Bench, parts: Parts, means: Means
) -> tuple[StageFigures, PromptState | None]:
    measure = Measure.of("rp", min(RANK_DEPTH, program.spec.candidates), len(program.taxonomy))
    try:
        with Lease(means.purse, means.purse.allowance) as lease:
            parts = _with_candidates(program, parts, bench, means, lease)
    except Stopped as stopped:
        if stopped.error is not None:
            raise stopped.error from None
        sizes = len(parts.train), len(parts.validation), len(parts.held_out)
        return StageFigures("rank", means.optimiser.name, str(measure), *sizes, ended=BUDGET), None
    bench.cases = {case.document: case for case in parts.all}
    explain = partial(explain_rank, program.taxonomy, depth=measure.depth)
    examples = rank_examples(bench, parts.train)
    module = RankModule(rank, bench)
    found, state = Trying(Stage("rank", module, parts, examples, measure, explain, 1.0), means).run()
    return found, state and _with_all(module, state, rank_examples(bench, parts.all))


def _with_all(module: StageModule, state: PromptState, examples: Sequence[dspy.Example]) -> PromptState:
    """Let a pool that has proved itself be of all gold documents: the more of them, the nearer the nearest."""
    return pool_of(module.with_state(state), examples, state.nearest) if state.nearest else state


def _with_candidates(program: Program, parts: Parts, bench: Bench, means: Means, lease: Lease) -> Parts:
    """Retrieve every document's candidates, with the phrases of the student where Infer asks a model.

    A document without an answer has none, and scores 0 as it does in a run.
    """
    bench.cases = {case.document: case for case in parts.all}
    if program.infer is None:
        found = {case.document: tuple(bench.retrieve(case, ())) for case in parts.all}
    else:
        module = InferModule(program.infer, bench)
        predictions = ask_all(module, parts.all, None, RespondentLM(means.student, lease), means.threads)
        found = {document: prediction.candidates for document, prediction in predictions.items()}

    def fill(cases: Sequence[Case]) -> tuple[Case, ...]:
        return tuple(replace(case, candidates=found[case.document]) for case in cases)

    return Parts(fill(parts.train), fill(parts.validation), fill(parts.held_out))
