"""Decide: from ranked candidates to predictions with a final set."""

from __future__ import annotations

from collections.abc import Sequence

from labelmill.records import Candidate, Prediction
from labelmill.taxonomy import Taxonomy


def decide(
    taxonomy: Taxonomy,
    candidates: Sequence[Candidate],
    chosen: Sequence[int] | None,
    *,
    top_k: int,
) -> list[Prediction]:
    """Order a document's candidates and select its final set.

    Without an answer of listwise Rank, the order is the fusion's and the first `top_k` are selected. With one, the
    chosen candidates come first, in the model's order, and only they can be selected. Scores fall with the rank: a
    fused score lies in 0..1, and the n chosen ones have instead 2 for the first and 1 + 1/n for the last.

    Args:
        taxonomy: The labels that candidates point into.
        candidates: In fusion order.
        chosen: Indexes into `candidates`, the best first; None where no model ranked them.
        top_k: Size of the final set at most.
    """
    picked = list(chosen or ())
    order = picked + [index for index in range(len(candidates)) if index not in set(picked)]
    selectable = min(top_k, len(candidates) if chosen is None else len(picked))
    predictions = []
    for rank, index in enumerate(order, start=1):
        candidate = candidates[index]
        label = taxonomy.labels[candidate.label]
        score = 1 + (len(picked) + 1 - rank) / len(picked) if rank <= len(picked) else candidate.score
        predictions.append(
            Prediction(
                label=label.id,
                name=label.name,
                rank=rank,
                score=round(score, 6),
                selected=rank <= selectable,
                retrieval_rank=index + 1,
                evidence=candidate.evidence,
                retrieval_score=round(candidate.score, 6),
            )
        )
    return predictions
