"""Figures of tuning: how good rankings of gold documents are, each document's by a model that never saw it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from labelmill.pipelines.evidence import OF_A_LANE
from labelmill.pipelines.program import Program
from labelmill.pipelines.retrieve import LANE_DEPTH, RANK_CONSTANT
from labelmill.pipelines.tuning.choosing import rank_precision
from labelmill.pipelines.tuning.gathering import Gathered, GoldSet
from labelmill.pipelines.tuning.ranking import Ranked

_DEPTHS = (5, 10)


def by_rank(gathered: Gathered, program: Program, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Score candidates by rank alone, as a program that nothing was learned for would: near enough for figures.

    Args:
        gathered: The candidates.
        program: Which gathered them.
        weights: Of the lanes of that other program; the others do not count.
    """
    columns, width = gathered.examples.values, len(OF_A_LANE)
    scores = np.zeros(len(columns))
    for place, lane in enumerate(program.retrieve.lanes):
        reciprocal = columns[:, place * width + OF_A_LANE.index("reciprocal_rank")]
        found = reciprocal > 1 / (RANK_CONSTANT + LANE_DEPTH + 1)
        scores += weights.get(f"{lane.searched}/{lane.kind}", 0.0) * np.where(found, reciprocal, 0.0)
    return scores


def precisions(scores: NDArray[np.float64], gathered: Gathered) -> dict[str, float]:
    """Give RP@5 and RP@10, and the recall of the whole pool, of documents with gold labels."""
    examples, sizes = gathered.examples, gathered.gold.sizes
    found = np.bincount(examples.groups, weights=examples.correct, minlength=len(sizes))
    return {
        **{
            f"rp@{k}": float(rank_precision(scores, examples.correct, examples.groups, sizes, k).mean())
            for k in _DEPTHS
        },
        "pool_recall": float((found[sizes > 0] / sizes[sizes > 0]).mean()),
    }


def ranked_precisions(ranked: Ranked, gold: GoldSet) -> dict[str, float]:
    """Give RP@5 and RP@10 of candidates in the order of their log-odds, of documents with gold labels."""
    of = ranked.log_odds, ranked.correct, ranked.groups, gold.sizes
    return {f"rp@{k}": float(rank_precision(*of, k).mean()) for k in _DEPTHS}
