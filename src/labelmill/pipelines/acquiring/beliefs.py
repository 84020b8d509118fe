"""What the scores of a run say of how probable labels are: as they are, by what gold teaches, or by their margin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labelmill.pipelines.confidence import are_probabilities, claims_probabilities
from labelmill.store import Store
from labelmill.store.shortlist import Belief, read_range, read_spread
from labelmill.store.standings import read_program

FEWEST_GOLD = 30
"""Documents with gold, of those in the run, from which on they teach what scores mean."""

_MOST_FITTED = 100_000


def find_belief(
    store: Store,
    run: str,
    depth: int,
    taught: tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.bool_]],
    gold: int,
) -> Belief:
    """Find out how scores become probabilities.

    Args:
        store: Where the run is.
        run: Its name.
        depth: How far down its rankings.
        taught: Scores, ranks, and whether gold has the label, of the pairs of documents with gold.
        gold: How many documents with gold there are in the run.
    """
    if claims_probabilities(read_program(store, run)) and are_probabilities(np.array(read_range(store, run))):
        return Belief("probability")
    scores, ranks, right = taught
    if gold >= FEWEST_GOLD and right.any() and not right.all():
        return _fit(scores, ranks, right)
    return Belief("margin", (read_spread(store, run, depth),))


def _fit(scores: NDArray[np.float64], ranks: NDArray[np.int32], right: NDArray[np.bool_]) -> Belief:
    """Fit a logistic regression on the score and the logarithm of the rank, alike for all labels."""
    from sklearn.linear_model import LogisticRegression

    evidence = np.stack([scores, np.log(ranks)], axis=1)
    kept = np.arange(0, len(right), -(-len(right) // _MOST_FITTED))
    if right[kept].all() or not right[kept].any():
        kept = np.arange(len(right))
    mean, scale = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), 1e-9)
    model = LogisticRegression().fit((evidence[kept] - mean) / scale, right[kept])
    weights = model.coef_[0] / scale
    constant = float(model.intercept_[0] - weights @ mean)
    return Belief("fitted", (constant, float(weights[0]), float(weights[1])))
