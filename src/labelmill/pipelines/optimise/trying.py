"""One stage from its prompt as it is to the best that was found: measured, tried, measured again on held-out gold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dspy

from labelmill.errors import LabelmillError, ModelRejected
from labelmill.pipelines.optimise.cases import Case, Parts
from labelmill.pipelines.optimise.examples import ask_about
from labelmill.pipelines.optimise.figures import OnOptimise, OptimiseProgress, StageFigures
from labelmill.pipelines.optimise.language_model import RespondentLM
from labelmill.pipelines.optimise.metric import Explain, Judge, Measure, Trials
from labelmill.pipelines.optimise.optimisers import Gold, PromptOptimiser
from labelmill.pipelines.optimise.respondent import Respondent
from labelmill.pipelines.optimise.silence import speaking
from labelmill.pipelines.optimise.spending import Allowance, Lease, Purse, Stopped
from labelmill.pipelines.optimise.stages import StageModule
from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.compiled import PromptState, StageName

_NEVER = 10**9
_LONGER = 2
"""What a document may take with demonstrations, as a multiple of what it takes without."""

BUDGET = "nothing is left of the budget"
_QUOTED = 200


@dataclass(frozen=True, slots=True)
class Means:
    """By what means stages are optimised.

    Attributes:
        optimiser: What makes prompts.
        student: Who will answer in the end.
        teacher: Who shows how.
        purse: Counts what that costs.
        seed: Of everything that is drawn.
        threads: Documents that are asked about at once.
        on_progress: Told after every document.
    """

    optimiser: PromptOptimiser
    student: Respondent
    teacher: Respondent
    purse: Purse
    seed: int
    threads: int
    on_progress: OnOptimise


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage to optimise.

    Attributes:
        name: ``infer`` or ``rank``.
        module: It, with its prompt as it is.
        parts: The gold documents.
        train: Those of them that can become demonstrations, as examples.
        measure: What is to become better.
        explain: Tells a teacher what became of a document's gold labels.
        share: Of what is left to spend, from 0 to 1.
    """

    name: StageName
    module: StageModule
    parts: Parts
    train: Sequence[dspy.Example]
    measure: Measure
    explain: Explain
    share: float


class Trying:
    """Optimises one stage.

    Args:
        stage: The stage.
        means: By what means.
    """

    def __init__(self, stage: Stage, means: Means) -> None:
        """Begin with nothing tried."""
        self._stage = stage
        self._means = means
        self._judge = Judge(stage.measure, {case.document: case for case in stage.parts.all}, stage.explain, self._tell)
        self._untuned = stage.module.state
        self._ended = ""

    def run(self) -> tuple[StageFigures, PromptState | None]:
        """Look for a better prompt; give it where there is one.

        Raises:
            LabelmillError: A model does not answer; what it has answered is in the journal.
        """
        held_out, validation = self._stage.parts.held_out, self._stage.parts.validation
        whole = self._means.purse.allowance
        began = self._means.purse.total
        self._phase(whole, lambda lease: self._ask(self._stage.module, held_out, lease))
        later = self._means.purse.total.plus(began, -1)
        self._phase(whole, lambda lease: self._ask(self._stage.module, validation, lease))
        if not self._stage.train:
            self._ended = self._ended or "no gold document can be shown as a demonstration"
        share = whole.share(self._means.purse.total, self._stage.share, later.times(_LONGER))
        self._phase(share, self._try)
        best = self._judge.trials.best(validation)
        if best is not None and best[0] != self._untuned:
            module = self._stage.module.with_state(best[0])
            self._last(whole, lambda lease: self._ask(module, held_out, lease))
        figures = self._figures(best)
        return figures, best[0] if best is not None and figures.taken else None

    def _phase(self, limit: Allowance, do: Callable[[Lease], None]) -> None:
        """Do something within a limit, unless all has ended already; at the limit, all ends."""
        if not self._ended:
            self._last(limit, do)

    def _last(self, limit: Allowance, do: Callable[[Lease], None]) -> None:
        try:
            with Lease(self._means.purse, limit) as lease:
                do(lease)
        except Stopped as stopped:
            if stopped.error is not None:
                raise stopped.error from None
            self._ended = BUDGET

    def _try(self, lease: Lease) -> None:
        """Let the optimiser try prompts; the one that it gives is tried too, which costs nothing where it was."""
        validation, means = self._stage.parts.validation, self._means
        student, teacher = RespondentLM(means.student, lease), RespondentLM(means.teacher, lease)
        gold = Gold(
            train=self._stage.train,
            validation=ask_about(validation),
            judge=self._judge,
            usual=self._judge.trials.mean(self._untuned, validation) or 0.0,
            student=student,
            teacher=teacher,
            seed=means.seed,
            threads=means.threads,
        )
        try:
            with dspy.context(lm=student, adapter=ADAPTER):
                made = means.optimiser.compile(self._stage.module, gold)
        except Exception as error:  # an optimiser's own, or for what a teacher answered it: what was tried stands
            if isinstance(error, LabelmillError) and not isinstance(error, ModelRejected):
                raise
            self._ended = f"the optimiser gave up: {_short(str(error))}"
        else:
            self._ask(made, validation, lease)
        if teacher.refused:
            self._ended = f"the teacher could not be asked: {_short(teacher.refused[0])}"

    def _ask(self, module: StageModule, cases: Sequence[Case], lease: Lease) -> None:
        """Have the student answer about documents; the judge takes note of the scores."""
        ask_all(module, cases, self._judge, RespondentLM(self._means.student, lease), self._means.threads)

    def _figures(self, best: tuple[PromptState, float] | None) -> StageFigures:
        stage, trials = self._stage, self._judge.trials
        parts = stage.parts
        before = trials.mean(self._untuned, parts.held_out)
        after = trials.mean(best[0], parts.held_out) if best else None
        return StageFigures(
            stage=stage.name,
            optimiser=self._means.optimiser.name,
            measure=str(stage.measure),
            train=len(parts.train),
            validation=len(parts.validation),
            held_out=len(parts.held_out),
            trials=len(trials.complete(parts.validation)),
            validation_before=trials.mean(self._untuned, parts.validation),
            validation_best=best[1] if best else None,
            before=before,
            after=after,
            taken=before is not None and after is not None and after > before,
            ended=self._ended,
        )

    def _tell(self, trials: Trials) -> None:
        complete = trials.complete(self._stage.parts.validation)
        purse = self._means.purse
        progress = OptimiseProgress(
            stage=self._stage.name,
            trials=len(complete),
            before=complete.get(self._untuned.key),
            best=max(complete.values(), default=None),
            student=purse.spent("student"),
            teacher=purse.spent("teacher"),
        )
        with speaking():
            self._means.on_progress(progress)


def _short(text: str) -> str:
    return " ".join(text.split())[:_QUOTED]


def ask_all(
    module: StageModule, cases: Sequence[Case], judge: Judge | None, model: RespondentLM, threads: int
) -> dict[str, dspy.Prediction]:
    """Have a model answer about documents, several at once.

    Returns:
        What the module gives, by document.

    Raises:
        Stopped: Nothing is left to spend, or the model does not answer.
    """
    metric = judge or (lambda *_: 0.0)
    evaluate = dspy.Evaluate(devset=ask_about(cases), metric=metric, num_threads=threads, max_errors=_NEVER)
    with dspy.context(lm=model, adapter=ADAPTER):
        results = evaluate(module).results
    return {example.document: prediction for example, prediction, _ in results}
