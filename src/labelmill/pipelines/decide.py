"""Decide: from ranked candidates to predictions with a final set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from labelmill.records import Candidate, Prediction
from labelmill.taxonomy import Taxonomy

_BELOW_ALL = -1e-6
"""A probability may be 0: what was not judged scores less."""

Threshold = float | Callable[[int], float] | None
"""Least score of a label of the final set: one for all, or one per label's position in the taxonomy; None for none."""


def decide(
    taxonomy: Taxonomy,
    candidates: Sequence[Candidate],
    chosen: Sequence[int] | None = None,
    *,
    probabilities: Sequence[float] | None = None,
    top_k: int,
    threshold: Threshold = None,
    no_ancestors: bool = False,
) -> list[Prediction]:
    """Order a document's candidates and select its final set. Scores never rise with the rank.

    Without an answer of a model, the order is the fusion's, and its scores lie in 0..1. With an answer of listwise or
    whole Rank, the chosen candidates come first, in the model's order, and only they can be selected; the n of them
    score 2 for the first to 1 + 1/n for the last. With one of pointwise Rank, a score is a probability, ties are in the
    order of the fusion, and candidates that were not judged come last, below 0, and cannot be selected.

    Args:
        taxonomy: The labels that candidates point into.
        candidates: In fusion order.
        chosen: Indexes into `candidates`, the best first; None where neither listwise nor whole Rank was asked.
        probabilities: Of the first candidates; None where pointwise Rank was not asked.
        top_k: Size of the final set at most.
        threshold: Least score of the final set, for example ``decision.thresholds(ids).item`` of a learned decision.
        no_ancestors: Of a label and one above it that are both selected, keep the more specific one. No other label
            takes the freed place: what is selected would have been so without this, too.
    """
    if probabilities is not None:
        scored = _by_probability(candidates, probabilities)
        selectable = len(probabilities)
    else:
        scored = list(_by_choice(candidates, chosen or ()))
        selectable = len(candidates) if chosen is None else len(chosen)
    predictions = list[Prediction]()
    for rank, (index, score) in enumerate(scored, start=1):
        candidate = candidates[index]
        label = taxonomy.labels[candidate.label]
        predictions.append(
            Prediction(
                label=label.id,
                name=label.name,
                rank=rank,
                score=score,
                selected=rank <= min(top_k, selectable) and _passes(threshold, candidate.label, score),
                retrieval_rank=index + 1 if candidate.found else 0,
                evidence=candidate.evidence,
                retrieval_score=candidate.score,
            )
        )
    return _without_ancestors(taxonomy, predictions) if no_ancestors else predictions


def _without_ancestors(taxonomy: Taxonomy, predictions: Sequence[Prediction]) -> list[Prediction]:
    selected = [taxonomy.position(found.label) for found in predictions if found.selected]
    kept = {taxonomy.labels[position].id for position in taxonomy.most_specific(selected)}
    return [replace(found, selected=found.selected and found.label in kept) for found in predictions]


def _passes(threshold: Threshold, label: int, score: float) -> bool:
    if threshold is None:
        return True
    return score >= (threshold(label) if callable(threshold) else threshold)


def _by_choice(candidates: Sequence[Candidate], chosen: Sequence[int]) -> Iterator[tuple[int, float]]:
    for place, index in enumerate(chosen):
        yield index, round(1 + (len(chosen) - place) / len(chosen), 6)
    picked = set(chosen)
    for index, candidate in enumerate(candidates):
        if index not in picked:
            yield index, round(candidate.score, 6)


def _by_probability(candidates: Sequence[Candidate], probabilities: Sequence[float]) -> list[tuple[int, float]]:
    # Rounded before they are compared: noise in the last bits of a server's answer should order nothing.
    judged = [(index, round(probability, 6)) for index, probability in enumerate(probabilities)]
    judged.sort(key=lambda pair: -pair[1])
    behind = range(len(probabilities), len(candidates))
    return judged + [(index, min(round(candidates[index].score - 1, 6), _BELOW_ALL)) for index in behind]
