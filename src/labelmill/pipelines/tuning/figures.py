"""Figures of tuning: how good rankings of gold documents are, each document's by a model that never saw it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.fusing import Examples
from labelmill.pipelines.tuning.choosing import rank_precision
from labelmill.pipelines.tuning.gathering import Gathered, GoldSet
from labelmill.pipelines.tuning.ranking import Ranked

_DEPTHS = (5, 10)


def by_rank(gathered: Gathered) -> NDArray[np.float64]:
    """Score candidates by their place in the fusion by rank."""
    return np.array([-place for pool in gathered.pools for place in range(len(pool))], dtype=np.float64)


def precisions(scores: NDArray[np.float64], gathered: Gathered) -> dict[str, float]:
    """Give RP@5 and RP@10, and the recall of the whole pool."""
    examples, sizes = gathered.examples, gathered.gold.sizes
    found = np.bincount(examples.groups, weights=examples.correct, minlength=len(sizes))
    return {
        **{f"rp@{k}": float(rank_precision(scores, examples, sizes, k).mean()) for k in _DEPTHS},
        "pool_recall": float((found / np.maximum(sizes, 1)).mean()),
    }


def ranked_precisions(ranked: Ranked, gold: GoldSet) -> dict[str, float]:
    """Give RP@5 and RP@10 of candidates in the order of their log-odds."""
    examples = Examples(("",), ranked.log_odds[:, None], ranked.correct, ranked.groups)
    return {f"rp@{k}": float(rank_precision(ranked.log_odds, examples, gold.sizes, k).mean()) for k in _DEPTHS}
