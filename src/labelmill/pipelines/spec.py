"""What a program is, as plain values: stored with every run, and the root of every key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from labelmill.errors import InputError
from labelmill.learning.blend import Blend
from labelmill.learning.calibration import Calibration
from labelmill.learning.cascading import Cascade
from labelmill.learning.fusion import LearnedFusion
from labelmill.learning.promises import Decision
from labelmill.prompts.card import TaskCard
from labelmill.prompts.compiled import PromptState, StageName

InferKind = Literal["windows", "lm", "both"]
RankKind = Literal["fusion", "listwise", "pointwise", "whole"]
ScorerName = Literal["late", "overlap", "competition"]

STUDENT_LANE = "student/text"
"""The lane of a student. A program of this lane alone is the student: its scores are what it gives."""

_LIKELY = 0.5
"""What pointwise Rank asks of a label, in probability, where no threshold is given."""


class LabelledText(BaseModel):
    """A gold document that is kept for its likeness to documents to come.

    Attributes:
        text: Its beginning.
        labels: Ids of its gold labels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    labels: tuple[str, ...]


class ProgramSpec(BaseModel):
    """The whole of a labelling program, but for the taxonomy and the model's address.

    Attributes:
        infer: What proposes queries beside the text: windows of words, a language model, or both.
        rank: What orders candidates.
        model: The language model's name at its server; empty where none takes part.
        embedders: Their specifications, one dense lane set each.
        task: The wording.
        prompts: What an optimiser made of the wording, for the stages that it changed.
        candidates: Labels kept per document, and stored as its ranking.
        listed: Candidates that a model is shown, the best of the fusion; whole Rank shows every label.
        shown_parents: How many of the labels above a candidate are named behind it, in a prompt of Rank.
        top_k: Size of the final set at most.
        no_ancestors: Leave a label out of the final set where one below it is in.
        threshold: Least score of a label of the final set. None: as the decision says; without one 0.5 with pointwise
            Rank, no threshold otherwise.
        chunk_characters: Longest piece of a document that is read at once.
        chunk_overlap: Characters that neighbouring pieces share.
        lanes: What each lane weighs in the fusion by rank, by what is searched and the kind of query
            (``names/windows``); None for the lanes that are good in general.
        usages: Key of the phrases by which labels are found as well; empty where there are none. Not the phrases.
        scorers: What looks closer at candidates, for learned fusion.
        pool: Candidates that learned fusion looks at.
        examples: Gold documents, whose labels are a lane: those of the nearest ones.
        fusion: Learned fusion, from evidence to probability.
        blend: What a model's answer adds to it.
        calibration: From that to a probability that means what it says.
        decision: Which candidates become labels, and what that promises.
        student: Key of the student that is a lane, or that answers where it is certain; empty where there is none.
        cascade: When the student's answer stands, and the rest of this program has nothing to do.
        learned_from: Keys of the gold documents that taught it, for `labelmill.pipelines.learned_from`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    infer: InferKind = "windows"
    rank: RankKind = "fusion"
    model: str = ""
    embedders: tuple[str, ...] = ("minilm",)
    task: TaskCard = TaskCard()
    prompts: Mapping[StageName, PromptState] = Field(default_factory=dict)
    candidates: int = Field(default=50, ge=1)
    listed: int = Field(default=20, ge=1)
    shown_parents: int = Field(default=0, ge=0)
    top_k: int = Field(default=5, ge=1)
    no_ancestors: bool = False
    threshold: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    chunk_characters: int = Field(default=1200, ge=200)
    chunk_overlap: int = Field(default=100, ge=0)
    lanes: Mapping[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    usages: str = ""
    scorers: tuple[ScorerName, ...] = ()
    pool: int = Field(default=100, ge=1)
    examples: tuple[LabelledText, ...] = ()
    fusion: LearnedFusion | None = None
    blend: Blend | None = None
    calibration: Calibration | None = None
    decision: Decision | None = None
    student: str = ""
    cascade: Cascade | None = None
    learned_from: tuple[str, ...] = ()

    @property
    def is_student(self) -> bool:
        """Whether it is a student and nothing else."""
        return self.lanes is not None and set(self.lanes) == {STUDENT_LANE}

    @property
    def uses_model(self) -> bool:
        """Whether any stage asks a language model."""
        return self.infer != "windows" or self.rank != "fusion"

    @property
    def cut(self) -> float | None:
        """The threshold that holds; None for none."""
        return _LIKELY if self.threshold is None and self.rank == "pointwise" else self.threshold

    def described(self) -> dict[str, Any]:
        """Give plain values to store with a run: all but the texts of gold documents, of which the number is kept.

        Of a pool of demonstrations nothing is kept; the few that every document is shown are.
        """
        values = self.model_dump(mode="json")
        for state in values["prompts"].values():
            if state["nearest"]:
                state |= {"demonstrations": [], "sources": []}
        since = {name for name in ("student", "cascade", "learned_from") if not values[name]}  # older runs do not say
        return {name: value for name, value in values.items() if name not in since} | {"examples": len(self.examples)}

    @model_validator(mode="after")
    def _consistent_lanes(self) -> ProgramSpec:
        if not self.embedders and not self.is_student:
            raise ValueError("embedders: there is none")
        if self.lanes and STUDENT_LANE in self.lanes and not self.student:
            raise ValueError(f"the lane {STUDENT_LANE} without a student's key")
        if self.is_student and (self.uses_model or self.fusion or self.blend or self.cascade):
            raise ValueError("a student has no stages beside it")
        if self.cascade and not self.student:
            raise ValueError("a cascade without a student's key")
        if self.chunk_overlap >= self.chunk_characters:
            raise ValueError(
                f"chunk_overlap={self.chunk_overlap} must be less than chunk_characters={self.chunk_characters}"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> ProgramSpec:
        if self.uses_model and not self.model:
            stages = {f"infer={self.infer!r}": self.infer != "windows", f"rank={self.rank!r}": self.rank != "fusion"}
            asking = [stage for stage, asks in stages.items() if asks]
            need = f"{' and '.join(asking)} {'need' if len(asking) > 1 else 'needs'}"
            raise ValueError(f"{need} a language model. Give one with --lm.")
        if self.top_k > self.candidates:
            raise ValueError(f"top_k={self.top_k} is more than the {self.candidates} candidates that are ranked")
        learned = {"blend": self.blend, "calibration": self.calibration, "decision": self.decision}
        without = [name for name, value in learned.items() if value is not None]
        if without and self.fusion is None and not self.is_student:
            raise ValueError(f"{' and '.join(without)} without a learned fusion, whose probabilities they need")
        if self.fusion and self.rank != "fusion" and self.blend is None:
            raise ValueError(f"rank={self.rank!r} with learned fusion needs a blend, which says what its answers weigh")
        if self.fusion and self.candidates > self.pool:
            raise ValueError(f"candidates={self.candidates} is more than the pool={self.pool} that fusion looks at")
        return self


def make_spec(**fields: Any) -> ProgramSpec:
    """Make a specification; a wrong one is an error for a user.

    Raises:
        InputError: A field is wrong, or two do not go together.
    """
    try:
        return ProgramSpec(**fields)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        said = problem["msg"].removeprefix("Value error, ")
        raise InputError(f"{place}: {said}" if place else said) from error


def remake(spec: ProgramSpec, **changed: Any) -> ProgramSpec:
    """Change fields of a specification, and check it anew; raises as `make_spec` does."""
    return make_spec(**{name: getattr(spec, name) for name in ProgramSpec.model_fields} | changed)
