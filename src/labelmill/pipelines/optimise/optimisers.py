"""DSPy's optimisers behind one protocol: each takes a stage and gold, tries prompts, and may give back a last one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol, cast

import dspy

from labelmill.errors import InputError, MissingExtraError
from labelmill.pipelines.optimise.examples import pool_of
from labelmill.pipelines.optimise.language_model import RespondentLM
from labelmill.pipelines.optimise.metric import Judge
from labelmill.pipelines.optimise.stages import StageModule
from labelmill.prompts.adapter import ADAPTER

_NEVER = 10**9
"""Errors after which DSPy would give up: what cannot be answered scores 0, and what cannot go on stops at once."""


@dataclass(frozen=True, slots=True)
class Gold:
    """What an optimiser learns from.

    Attributes:
        train: Examples that may become demonstrations.
        validation: Examples that choose among prompts.
        judge: Scores what the stage gives for one.
        usual: The score of the untuned prompt on validation: what a demonstration by the teacher has to reach.
        student: Who will answer in the end.
        teacher: Who shows how, and writes instructions.
        seed: Of everything that is drawn.
        threads: Documents that are asked about at once.
    """

    train: Sequence[dspy.Example]
    validation: Sequence[dspy.Example]
    judge: Judge
    usual: float
    student: RespondentLM
    teacher: RespondentLM
    seed: int
    threads: int


class PromptOptimiser(Protocol):
    """Looks for a better prompt of one stage.

    Attributes:
        name: What a user calls it.
    """

    @property
    def name(self) -> str:
        """See the attributes."""
        ...

    def compile(self, module: StageModule, gold: Gold) -> StageModule:
        """Try prompts of the module, each on validation, and give the last or the best.

        Which is taken is decided by what `Gold.judge` has seen, not by what is given back; `module` stays as it is.
        """
        ...


@dataclass(frozen=True, slots=True)
class Labeled:
    """Demonstrations drawn from gold (`dspy.LabeledFewShot`); it tries one prompt and asks no teacher.

    Attributes:
        demonstrations: How many at most.
    """

    demonstrations: int = 4
    name: str = "labeled"

    def compile(self, module: StageModule, gold: Gold) -> StageModule:
        """Draw demonstrations."""
        made = dspy.LabeledFewShot(k=self.demonstrations).compile(module, trainset=list(gold.train))
        return cast("StageModule", made)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Demonstrations by the teacher where they are good, mixed with gold (`dspy.BootstrapFewShotWithRandomSearch`).

    Attributes:
        demonstrations: How many a prompt has at most.
        programs: How many mixtures are tried, besides none, gold alone, and the documents in order.
    """

    demonstrations: int = 4
    programs: int = 6
    name: str = "bootstrap"

    def compile(self, module: StageModule, gold: Gold) -> StageModule:
        """Try mixtures."""
        optimiser = dspy.BootstrapFewShotWithRandomSearch(
            metric=gold.judge,
            metric_threshold=gold.usual,
            teacher_settings={"lm": gold.teacher},
            max_bootstrapped_demos=self.demonstrations,
            max_labeled_demos=self.demonstrations,
            num_candidate_programs=self.programs,
            num_threads=gold.threads,
            max_errors=_NEVER,
        )
        made = optimiser.compile(module, trainset=list(gold.train), valset=list(gold.validation))
        return cast("StageModule", made)


@dataclass(frozen=True, slots=True)
class Mipro:
    """Instructions by the teacher together with demonstrations, searched for with a model of what is good (`MIPROv2`).

    Attributes:
        demonstrations: How many a prompt has at most.
        candidates: Instructions, and sets of demonstrations, that are made.
        trials: Pairs of the two that are tried.
    """

    demonstrations: int = 4
    candidates: int = 5
    trials: int = 10
    name: str = "mipro"

    def __post_init__(self) -> None:
        """Raise `MissingExtraError` where Optuna is not installed: before anything is asked."""
        if find_spec("optuna") is None:
            raise MissingExtraError("the optimiser 'mipro'", "tune")

    def compile(self, module: StageModule, gold: Gold) -> StageModule:
        """Make instructions and demonstrations, and try pairs."""
        optimiser = dspy.MIPROv2(
            metric=gold.judge,
            metric_threshold=gold.usual,
            prompt_model=gold.teacher,
            task_model=gold.student,
            teacher_settings={"lm": gold.teacher},
            max_bootstrapped_demos=self.demonstrations,
            max_labeled_demos=self.demonstrations,
            auto=None,
            num_candidates=self.candidates,
            num_threads=gold.threads,
            max_errors=_NEVER,
            seed=gold.seed,
        )
        made = optimiser.compile(
            module,
            trainset=list(gold.train),
            valset=list(gold.validation),
            num_trials=self.trials,
            minibatch=False,
            program_aware_proposer=False,  # our source would say nothing of the task
        )
        return cast("StageModule", made)


@dataclass(frozen=True, slots=True)
class Gepa:
    """Instructions that the teacher rewrites after reading what went wrong (`dspy.GEPA`, arXiv 2507.19457).

    Attributes:
        rounds: How often instructions are rewritten at most.
        read: Documents that the teacher reads each time.
    """

    rounds: int = 8
    read: int = 3
    name: str = "gepa"

    def compile(self, module: StageModule, gold: Gold) -> StageModule:
        """Rewrite instructions round by round."""
        from dspy.teleprompt.gepa.instruction_proposal import InstructionProposer

        read, validation = min(self.read, len(gold.train)), len(gold.validation)
        module = module.with_state(module.state)
        module.shows_mistakes = True
        optimiser = dspy.GEPA(
            metric=gold.judge,
            max_metric_calls=validation + self.rounds * (2 * read + validation),
            reflection_minibatch_size=read,
            reflection_lm=gold.teacher,
            # Its own adapter would expand marks in a document into pictures.
            instruction_proposer=InstructionProposer(adapter=ADAPTER),
            use_merge=False,  # of several predictors; there is one
            num_threads=gold.threads,
            warn_on_score_mismatch=False,
            seed=gold.seed,
        )
        made = optimiser.compile(module, trainset=list(gold.train), valset=list(gold.validation))
        return cast("StageModule", made)


@dataclass(frozen=True, slots=True)
class Nearest:
    """For each document the gold documents nearest to it as demonstrations, as `dspy.KNNFewShot` (arXiv 2309.10954).

    It tries one prompt and asks no teacher. `pool_of` has what is kept of it.

    Attributes:
        demonstrations: How many a document is shown.
    """

    demonstrations: int = 4
    name: str = "nearest"

    def compile(self, module: StageModule, gold: Gold) -> StageModule:
        """Make the pool."""
        return module.with_state(pool_of(module, gold.train, self.demonstrations))


OPTIMISERS: dict[str, type[Labeled | Bootstrap | Mipro | Gepa | Nearest]] = {
    "labeled": Labeled,
    "bootstrap": Bootstrap,
    "mipro": Mipro,
    "gepa": Gepa,
    "nearest": Nearest,
}
"""By what a user calls them."""


def find_optimiser(name: str) -> PromptOptimiser:
    """Make an optimiser as it usually is.

    Raises:
        InputError: There is none of this name.
        MissingExtraError: It needs a package that is not installed.
    """
    if name not in OPTIMISERS:
        raise InputError(f"no optimiser is called {name!r}", remedy=f"Give one of {', '.join(OPTIMISERS)}.")
    return OPTIMISERS[name]()
