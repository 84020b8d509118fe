"""How good a prompt is: recall of what is retrieved with Infer's phrases, rank-precision of what Rank orders."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy

from labelmill.eval.metrics import find_hits, score_rankings
from labelmill.eval.rankings import Gold, Rankings
from labelmill.pipelines.optimise.cases import Case
from labelmill.prompts.compiled import PromptState

_SHARE = 4
"""Ranks that are looked at, as a part of a small taxonomy at most: all labels would hold every gold label."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of one document's ranking.

    Attributes:
        name: Of the figure, without its depth: ``r`` for recall or ``rp`` for rank-precision (arXiv 2401.12178).
        depth: How many ranks count.
    """

    name: str
    depth: int

    @classmethod
    def of(cls, name: str, depth: int, n_labels: int) -> Measure:
        """Choose the depth: as asked, or a quarter of a taxonomy that is small."""
        return cls(name, max(1, min(depth, n_labels // _SHARE)))

    def __str__(self) -> str:
        """Name it as evaluation does."""
        return f"{self.name}@{self.depth}"

    def __call__(self, ranking: Sequence[int], gold: Sequence[int]) -> float:
        """Score a ranking, 0 to 1."""
        rankings = Rankings.from_lists([list(ranking)], [[False] * len(ranking)])
        wanted = Gold.from_lists([gold])
        return float(score_rankings(find_hits(rankings, wanted), wanted.sizes, [self.depth])[str(self)][0])


@dataclass(slots=True)
class Trials:
    """What is known of every prompt: its score on each document that it was tried on, by the student.

    Attributes:
        states: The prompts by key, in the order in which they were first tried.
        scores: By key of the prompt, then by document.
    """

    states: dict[str, PromptState] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)

    def record(self, state: PromptState, document: str, score: float) -> None:
        """Take note of a score."""
        self.states.setdefault(state.key, state)
        self.scores.setdefault(state.key, {})[document] = score

    def mean(self, state: PromptState, cases: Sequence[Case]) -> float | None:
        """Average a prompt's scores; None where it was not tried on every document."""
        scores = self.scores.get(state.key, {})
        found = [scores[case.document] for case in cases if case.document in scores]
        return sum(found) / len(found) if found and len(found) == len(cases) else None

    def complete(self, cases: Sequence[Case]) -> dict[str, float]:
        """Give the mean of every prompt that was tried on all of these documents, by key, in order."""
        means = {key: self.mean(state, cases) for key, state in list(self.states.items())}
        return {key: mean for key, mean in means.items() if mean is not None}

    def best(self, cases: Sequence[Case]) -> tuple[PromptState, float] | None:
        """Give the best prompt of those tried on all of these documents, the first of equals; None without any."""
        means = self.complete(cases)
        if not means:
            return None
        key = max(means, key=lambda key: means[key])
        return self.states[key], means[key]


Explain = Callable[[Case, Any], str]
"""Says what became of a document's gold labels."""


class Judge:
    """The metric that DSPy's optimisers call, from any thread.

    Args:
        measure: The figure.
        cases: The documents, by id.
        explain: Tells a teacher what was good and what was not.
        on_judged: Told after every document.
    """

    def __init__(
        self,
        measure: Measure,
        cases: Mapping[str, Case],
        explain: Explain,
        on_judged: Callable[[Trials], None],
    ) -> None:
        """Begin without trials."""
        self.measure = measure
        self.trials = Trials()
        self._cases = cases
        self._explain = explain
        self._on_judged = on_judged
        self._lock = threading.Lock()

    def __call__(
        self,
        gold: dspy.Example,
        pred: Any,
        trace: Any = None,  # noqa: ARG002 - DSPy's order
        pred_name: str | None = None,
        pred_trace: Any = None,  # noqa: ARG002
    ) -> Any:
        """Score a prediction; where one predictor is asked about, with a line for each gold label.

        A document without an answer has no ranking and scores 0, as it does in a run.
        """
        case = self._cases[gold.document]
        score = self.measure(pred.ranking, case.gold)
        if pred.role == "student":
            with self._lock:
                self.trials.record(pred.prompt, case.document, score)
                self._on_judged(self.trials)
        if pred_name is None:
            return score
        said = f"The answer could not be used: {pred.problem}.\n" if pred.problem else ""
        feedback = f"{said}Score {score:.2f} ({self.measure}).\n{self._explain(case, pred)}"
        return dspy.Prediction(score=score, feedback=feedback)
