"""What optimising brought and what it cost, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labelmill.pipelines.optimise.spending import Usage
from labelmill.prompts.compiled import PromptState, StageName


@dataclass(frozen=True, slots=True)
class StageFigures:
    """What became of one stage.

    Attributes:
        stage: ``infer`` or ``rank``.
        optimiser: Its name.
        measure: What is measured: ``r@50`` of candidates for Infer, ``rp@10`` for Rank; less deep for a small taxonomy.
        train: Documents that demonstrations come from.
        validation: Documents that prompts were chosen by.
        held_out: Documents that nothing was chosen by.
        trials: Prompts that were tried on all of validation, the one before included.
        validation_before: The mean on validation of the prompt as it was; None where it was not reached.
        validation_best: Of the best one that was tried.
        before: The mean on the held-out documents of the prompt as it was; None where it was not reached.
        after: Of the best one.
        taken: Whether the best one takes its place: it is better on the held-out documents.
        ended: Why no more was tried; empty where the optimiser came to its end.
    """

    stage: StageName
    optimiser: str
    measure: str
    train: int
    validation: int
    held_out: int
    trials: int = 0
    validation_before: float | None = None
    validation_best: float | None = None
    before: float | None = None
    after: float | None = None
    taken: bool = False
    ended: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        if self.before is None or self.after is None:
            return f"{self.stage}: not optimised: {self.ended or 'no other prompt was tried'}"
        verdict = "is taken" if self.taken else "is not taken, being no better there"
        early = f"; ended early: {self.ended}" if self.ended else ""
        change = f"{self.measure} {self.before:.3f} to {self.after:.3f} on {self.held_out} held-out documents"
        return f"{self.stage}: {change}; the best of {self.trials} prompts {verdict}{early}"


@dataclass(frozen=True, slots=True)
class Optimised:
    """What optimising gives.

    Attributes:
        prompts: For `ProgramSpec.prompts`: those that were taken, and those that the program had already.
        figures: What became of each stage, in order.
        student: What the student has cost.
        teacher: What a teacher has cost; nothing, where the student was its own.
    """

    prompts: Mapping[StageName, PromptState]
    figures: tuple[StageFigures, ...]
    student: Usage
    teacher: Usage

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON: the figures and the cost."""
        return {
            "stages": {figures.stage: asdict(figures) for figures in self.figures},
            "student": asdict(self.student),
            "teacher": asdict(self.teacher),
        }


@dataclass(frozen=True, slots=True)
class OptimiseProgress:
    """How far optimising is.

    Attributes:
        stage: What is being optimised.
        trials: Prompts that were tried on all of validation.
        before: The mean on validation of the prompt as it was, once it is known.
        best: Of the best so far.
        student: What the student has cost.
        teacher: What a teacher has cost.
    """

    stage: StageName
    trials: int
    before: float | None
    best: float | None
    student: Usage
    teacher: Usage


OnOptimise = Callable[[OptimiseProgress], None]
"""Told after every document, from any thread, one call at a time."""
