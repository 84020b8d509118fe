"""The figures of a report that are no metrics: calibration, thresholds, promises, and how well each document went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.calibration import reliability
from labelmill.eval.confidence import DEPTH
from labelmill.eval.evaluation import Evaluation
from labelmill.eval.gold import ResolvedGold
from labelmill.eval.intervals import bootstrap
from labelmill.eval.metrics import Means
from labelmill.eval.rankings import PADDING
from labelmill.eval.thresholds import ThresholdCurve, ThresholdPoint
from labelmill.learning.promises import parse_promise
from labelmill.pipelines.confidence import are_probabilities, claims_probabilities
from labelmill.report.values import Bin, Cut, Figure, Kept, Reliability, Thresholds
from labelmill.store import RankedLabels

_LIKELY = 0.5


@dataclass(frozen=True, eq=False)
class Judged:
    """The ranked labels of documents with gold, each right or wrong; n of them, flat.

    Attributes:
        rows: Index into the documents of the gold, shape (n,).
        ranks: From 1, shape (n,).
        scores: Shape (n,).
        selected: Whether in the final set, shape (n,).
        hits: Whether gold, shape (n,).
        gold: Gold labels of each document, 0 for those that do not count, shape (D,).
    """

    rows: NDArray[np.int64]
    ranks: NDArray[np.int32]
    scores: NDArray[np.float64]
    selected: NDArray[np.bool_]
    hits: NDArray[np.bool_]
    gold: NDArray[np.int64]

    @classmethod
    def of(cls, ranked: RankedLabels, resolved: ResolvedGold, labels: int) -> Judged:
        """Join what is ranked and what is gold, with a taxonomy of so many labels."""
        places = {document: row for row, document in enumerate(resolved.documents)}
        known = np.array([places.get(document, PADDING) for document in ranked.documents], dtype=np.int64)
        rows = known[ranked.rows] if len(known) else ranked.rows
        kept = np.append(resolved.gold.sizes > 0, False)[rows]
        inside = resolved.gold.labels > PADDING
        wanted = resolved.gold.rows[inside] * labels + resolved.gold.labels[inside]
        hits = np.isin(rows[kept] * labels + ranked.labels[kept], wanted)
        each = ranked.ranks[kept], ranked.scores[kept], ranked.selected[kept]
        return cls(rows[kept], *each, hits, resolved.gold.sizes)

    @property
    def documents(self) -> int:
        """How many documents have gold labels."""
        return int(np.count_nonzero(self.gold))

    @cached_property
    def given(self) -> NDArray[np.int64]:
        """Labels of each document's final set, shape (D,)."""
        return np.bincount(self.rows[self.selected], minlength=len(self.gold))

    @cached_property
    def right(self) -> NDArray[np.int64]:
        """Those of them that are gold, shape (D,)."""
        return np.bincount(self.rows[self.selected & self.hits], minlength=len(self.gold))

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 of each document's final set, shape (D,)."""
        return np.asarray(2 * self.right / np.maximum(self.given + self.gold, 1))


def score_name(program: Mapping[str, Any], ranked: RankedLabels) -> str:
    """Name what the scores of a run are."""
    first = ranked.scores[ranked.ranks <= DEPTH]
    return "probability" if claims_probabilities(program) and are_probabilities(first) else "score"


def measure_reliability(judged: Judged, evaluation: Evaluation) -> Reliability | None:
    """Compare probabilities with what is right, over the candidates that the calibration error is of.

    None where the evaluation found no probabilities.
    """
    error = evaluation.metrics.get(f"ece@{DEPTH}")
    if error is None:
        return None
    first = judged.ranks <= DEPTH
    bins = reliability(judged.scores[first], judged.hits[first])
    figure = Figure("error", error.value, error.low, error.high)
    return Reliability(tuple(Bin(**asdict(each)) for each in bins), figure, DEPTH)


def measure_thresholds(judged: Judged, program: Mapping[str, Any], score: str) -> Thresholds | None:
    """Draw up what other thresholds would give; None where no label may be in a final set."""
    top_k = int(program.get("top_k", 5))
    may = (judged.ranks <= top_k) & (judged.scores >= _least(program))
    if not may.any():
        return None
    gold = int(judged.gold.sum())
    curve = ThresholdCurve.of(judged.scores[may], judged.hits[may], gold=gold, documents=judged.documents)
    in_use = threshold_in_use(program)
    at = curve.at(-np.inf if in_use is None else in_use)
    cuts = tuple(map(_cut, curve.points()))
    return Thresholds(cuts, _cut(curve.best), _cut(at), top_k, score, tuple(_notes(program, in_use)))


def threshold_in_use(program: Mapping[str, Any]) -> float | None:
    """Find the least score of a label of the final set, as `Program.decide` does; None for none."""
    given = program.get("threshold")
    if given is not None:
        return float(given)
    if program.get("fusion"):
        decision = program.get("decision")
        return float(decision["threshold"]) if decision else None
    return _LIKELY if program.get("rank") == "pointwise" else None


def measure_promise(
    judged: Judged, program: Mapping[str, Any], evaluation: Evaluation, *, resamples: int, seed: int
) -> Kept | None:
    """Say whether a run's promise is kept on these documents; None where its program promises nothing.

    Args:
        judged: Its labels.
        program: Its specification.
        evaluation: Its metrics.
        resamples: Resamples of the bootstrap.
        seed: Its seed.

    Raises:
        InputError: The promise that is stored cannot be read.
    """
    decision = program.get("decision")
    if not decision:
        return None
    promise = parse_promise(str(decision.get("promise", "f1")))
    learned = tuple((str(what), f"{value:.3f}") for what, value in (decision.get("figures") or {}).items())
    words = str(promise), str(decision.get("statement", ""))
    if promise.kind == "f1":
        return Kept(*words, None, None, "Nothing was promised: the decision has the best F1 on its gold", learned)
    if program.get("threshold") is not None:
        return Kept(*words, None, None, "This run has a threshold of its own in place of the decision", learned)
    measured = _promised(promise.kind, judged, evaluation, resamples, seed)
    limit = (measured.low, measured.value, measured.high)
    met = [number <= promise.level if promise.kind == "cost" else number >= promise.level for number in limit]
    return Kept(*words, measured, met[1], _verdict(met), learned)


def _verdict(met: list[bool]) -> str:
    """Say whether what was measured is as good as promised, and how sure that is."""
    answer = "Yes" if met[1] else "No"
    sure = "and all of the interval agrees" if len(set(met)) == 1 else "though the interval allows for either"
    return f"{answer}, on these documents, {sure}"


def _promised(kind: str, judged: Judged, evaluation: Evaluation, resamples: int, seed: int) -> Figure:
    """Measure what is promised, as `Promise` says it is meant."""
    if kind == "precision":
        found = evaluation.metrics["micro_precision"]
        return Figure("micro precision", found.value, found.low, found.high)
    counted = judged.gold > 0
    right, given, gold = (each[counted] for each in (judged.right, judged.given, judged.gold))
    if kind == "recall":
        found = bootstrap([Means.of({"it": right / gold})], len(gold), resamples=resamples, seed=seed)["it"]
        return Figure("mean recall of a document", found.value, found.low, found.high)
    wrong = given - right
    scale = max(1, int(wrong.max(initial=0)))  # means of shares are what intervals are made of
    found = bootstrap([Means.of({"it": wrong / scale})], len(gold), resamples=resamples, seed=seed)["it"]
    value, low, high = (scale * number for number in (found.value, found.low, found.high))
    return Figure("wrong labels per document", value, low, high, share=False)


def _least(program: Mapping[str, Any]) -> float:
    """Give the score below which no label may be in a final set, whatever the threshold; see `decide`."""
    if program.get("fusion"):
        return -np.inf
    return {"listwise": 1.0, "whole": 1.0, "pointwise": 0.0}.get(str(program.get("rank")), -np.inf)


def _notes(program: Mapping[str, Any], in_use: float | None) -> list[str]:
    """Say what the mark of the threshold in use does not."""
    if in_use is None:
        return ["This program has no threshold: the first labels of each document are given."]
    decision = program.get("decision") if program.get("threshold") is None else None
    if decision and decision.get("group_thresholds"):
        return ["Groups of labels have thresholds of their own; what is marked is that of all other labels."]
    return []


def _cut(point: ThresholdPoint) -> Cut:
    return Cut(**asdict(point))
