"""Fusion of lanes by weighted reciprocal rank (Cormack, Clarke and Buettcher, SIGIR 2009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from labelmill.records import Candidate, LaneHit
from labelmill.retrievers.base import Hits


def fuse(
    lanes: Mapping[str, Hits],
    weights: Mapping[str, float],
    queries: Mapping[str, Sequence[str]],
    *,
    constant: float,
    k: int,
) -> list[Candidate]:
    """Fuse one document's lanes: a label scores the sum over lanes of weight / (constant + rank).

    Args:
        lanes: What each lane found.
        weights: Each lane's weight; only ratios matter. A lane without one counts nothing.
        queries: The queries each lane was given, to say which one hit; empty strings are left unsaid.
        constant: The larger, the less the very first ranks count (60 in the paper).
        k: How many candidates at most.

    Returns:
        Candidates, best first, ties by position; scores lie in 0..1, 1 meaning first in every lane.
    """
    if not any(len(hits.labels) for hits in lanes.values()):
        return []
    best_possible = sum(weights[lane] for lane in lanes) / (constant + 1)
    labels = np.concatenate([hits.labels for hits in lanes.values()])
    gains = np.concatenate(
        [weights[lane] / (constant + np.arange(1, len(hits.labels) + 1)) for lane, hits in lanes.items()]
    )
    found, inverse = np.unique(labels, return_inverse=True)
    scores = np.bincount(inverse, weights=gains) / best_possible
    order = np.lexsort((found, -scores))[:k]
    evidence = _evidence(lanes, queries, set(found[order].tolist()))
    return [Candidate(int(found[i]), float(scores[i]), tuple(evidence.get(int(found[i]), ()))) for i in order.tolist()]


def _evidence(
    lanes: Mapping[str, Hits], queries: Mapping[str, Sequence[str]], wanted: set[int]
) -> dict[int, list[LaneHit]]:
    evidence: dict[int, list[LaneHit]] = {}
    for lane, hits in lanes.items():
        asked = queries[lane]
        rows = zip(hits.labels.tolist(), hits.scores.tolist(), hits.queries.tolist(), strict=True)
        for rank, (label, score, query) in enumerate(rows, start=1):
            if label in wanted:
                evidence.setdefault(label, []).append(LaneHit(lane, rank, score, asked[query]))
    for hits_of_label in evidence.values():
        # The best first, and of equals one that can show a query.
        hits_of_label.sort(key=lambda hit: (hit.rank, not hit.query))
    return evidence
