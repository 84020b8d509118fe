"""Prompts of every kind of Rank that is tried, each optimised within its share of what may be spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from labelmill.corpus import chunk
from labelmill.pipelines.optimise.figures import Optimised
from labelmill.pipelines.optimise.spending import Allowance, Usage
from labelmill.pipelines.spec import ProgramSpec, RankKind, remake
from labelmill.prompts.compiled import PromptState, StageName
from labelmill.records import Document

OptimiseStages = Callable[[ProgramSpec, Sequence[StageName], Allowance], Optimised]
"""Optimises the prompts of some stages of a program, within an allowance."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """What optimisers made of a program's prompts.

    Attributes:
        infer: Infer's, where one was taken.
        rank: Rank's, by kind, of those kinds for which one was taken.
        figures: What became of each stage, and what that cost.
    """

    infer: PromptState | None = None
    rank: Mapping[RankKind, PromptState] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)

    def of(self, kind: RankKind) -> dict[StageName, PromptState]:
        """Give the prompts of a program with this kind of Rank."""
        states: dict[StageName, PromptState | None] = {"infer": self.infer, "rank": self.rank.get(kind)}
        return {stage: state for stage, state in states.items() if state is not None}

    @classmethod
    def given(cls, spec: ProgramSpec, kinds: Sequence[RankKind]) -> Prompts:
        """Take those that a specification has; its prompt of Rank is of the first kind."""
        rank = {kinds[0]: spec.prompts["rank"]} if "rank" in spec.prompts else {}
        return cls(spec.prompts.get("infer"), rank)

    @property
    def shown(self) -> frozenset[str]:
        """Texts that any of them shows to every document; what is shown to some is held out by folds instead."""
        states = [*self.rank.values(), *([self.infer] if self.infer else [])]
        fixed = [state for state in states if not state.nearest]
        return frozenset(str(each.get("text", "")) for state in fixed for each in state.demonstrations)


def optimise_kinds(
    spec: ProgramSpec, kinds: Sequence[RankKind], allowance: Allowance, optimise: OptimiseStages
) -> Prompts:
    """Optimise Infer and the first kind of Rank, then with that Infer every other kind.

    Args:
        spec: The program.
        kinds: Of Rank, one at least.
        allowance: For all of them; each gets an equal share of what is left.
        optimise: Does it for one.
    """
    given = Prompts.given(spec, kinds)
    infer, rank = given.infer, dict(given.rank)
    stages: dict[str, Any] = {}
    student, teacher = Usage(), Usage()
    for place, kind in enumerate(kinds):
        own = remake(spec, rank=kind, prompts=Prompts(infer, rank).of(kind))
        left = allowance.left(student.plus(teacher)).share(Usage(), 1 / (len(kinds) - place), Usage())
        done = optimise(own, ("rank",) if place else ("infer", "rank"), left)
        infer = done.prompts.get("infer")
        if "rank" in done.prompts:
            rank[kind] = done.prompts["rank"]
        student, teacher = student.plus(done.student), teacher.plus(done.teacher)
        for each in done.figures:
            name = f"rank {kind}" if each.stage == "rank" and len(kinds) > 1 else each.stage
            stages[name] = asdict(each) | {"stage": name}
    figures = {"stages": stages, "student": asdict(student), "teacher": asdict(teacher)}
    return Prompts(infer, rank, figures)


def not_shown(documents: Sequence[Document], spec: ProgramSpec, shown: frozenset[str]) -> list[Document]:
    """Leave out documents that a prompt shows with their labels: of these the model knows the answer."""
    return [
        document
        for document in documents
        if not shown.intersection(chunk(document.text, spec.chunk_characters, spec.chunk_overlap))
    ]
