"""Finding thresholds that keep a promise: one search per kind, each with the statement of what it proves.

Every search walks a fixed sequence of decisions and stops at the first that cannot be shown to keep the promise, so
that testing many costs no confidence (fixed-sequence testing: Learn then Test, Angelopoulos et al. 2021, arXiv
2110.01052). Documents must be in an order that says nothing of their labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.bets import documents_needed, play
from labelmill.learning.tallies import GRID, Judged


@dataclass(frozen=True, slots=True)
class Cut:
    """A decision that keeps a promise.

    Attributes:
        place: The threshold's place in `GRID`.
        top_k: Labels of a document at most.
    """

    place: int
    top_k: int


@dataclass(frozen=True, slots=True)
class Unkept:
    """No decision can be shown to keep the promise.

    Attributes:
        documents: About how many documents would do, if they were like these; infinity where none would.
    """

    documents: float


def keep_precision(judged: Judged, level: float, delta: float, top_k: int, *, ladder: bool = True) -> Cut | Unkept:
    """Find the laxest decision of a precision of `level` with confidence 1 - delta.

    The precision over all labels is at least p just where the mean over documents of (right labels - p * labels) is at
    least 0. That mean is highest, if probabilities are calibrated, at the threshold p itself; so the sequence starts
    there, with one label per document, whose gain is tied closest. It goes on to more labels per document, and with
    `top_k` of them to lower thresholds.

    Args:
        judged: The candidates.
        level: The precision p.
        delta: The error that is allowed.
        top_k: Labels of a document at most.
        ladder: Whether to begin with one label per document; else with `top_k`.
    """
    start = int(np.searchsorted(-GRID, -level, side="left"))
    kept: Cut | None = None
    for cap in range(1 if ladder else top_k, top_k + 1):
        given, right = judged.tally(cap)
        gains = (right - level * given)[:, start:]
        rich = play(gains if cap == top_k else gains[:, :1], level * cap, delta) >= 1 / delta
        if not rich[0]:
            return kept or Unkept(documents_needed(gains[:, 0], level * cap, delta))
        kept = Cut(start + _run(rich) - 1, cap)
    assert kept is not None  # top_k is 1 at least
    return kept


def keep_recall(judged: Judged, level: float, delta: float | None, top_k: int) -> Cut | Unkept:
    """Find the strictest threshold of a mean recall of `level` over documents that have gold labels.

    Args:
        judged: The candidates.
        level: The recall.
        delta: The error that is allowed; None for a promise in expectation.
        top_k: Labels of a document at most.
    """
    has_gold = judged.gold > 0
    _, right = judged.tally(top_k)
    misses = 1 - right[has_gold] / judged.gold[has_gold, None]
    # From lax to strict, the risk rises: the sequence is ordered, as both methods need.
    return _keep_risk(misses[:, ::-1], 1 - level, delta, worst=1.0, top_k=top_k, lax_first=True)


def keep_cost(judged: Judged, level: float, delta: float | None, top_k: int) -> Cut | Unkept:
    """Find the laxest threshold of at most `level` wrong labels per document in the mean.

    Only false positives count: with a price on misses as well the cost would first fall and then rise with the
    threshold, and conformal risk control needs a risk that does one of the two.

    Args:
        judged: The candidates.
        level: The cost.
        delta: The error that is allowed; None for a promise in expectation.
        top_k: Labels of a document at most.
    """
    given, right = judged.tally(top_k)
    return _keep_risk(given - right, level, delta, worst=float(top_k), top_k=top_k, lax_first=False)


def bound_risk(losses: NDArray[np.float64], worst: float) -> NDArray[np.float64]:
    """Bound the expected loss of a fresh document as conformal risk control does, shape (T,) from (D, T).

    With n documents it is n/(n+1) mean + worst/(n+1): one more document might be as bad as can be (Angelopoulos et al.
    2022, arXiv 2208.02814, theorem 1). The threshold chosen by it for a monotone loss keeps the promise in expectation.
    """
    return np.asarray((losses.sum(axis=0) + worst) / (len(losses) + 1))


def best_f1(judged: Judged, top_k: int) -> tuple[Cut, NDArray[np.float64]]:
    """Find the threshold of the best micro F1, and what each document is given by the one that the others choose.

    Returns:
        The decision, and per document its labels and its right ones under the threshold that is best on all other
        documents, shape (D, 2): what to expect of fresh documents.
    """
    given, right = judged.tally(top_k)
    gold = float(judged.gold.sum())

    all_right, all_given = right.sum(axis=0), given.sum(axis=0)
    place = int(np.argmax(2 * all_right / (all_given + gold)))
    others = 2 * (all_right - right) / np.maximum(all_given - given + gold - judged.gold[:, None], 1)
    places = others.argmax(axis=1)[:, None]
    left_out = np.concatenate([np.take_along_axis(part, places, axis=1) for part in (given, right)], axis=1)
    return Cut(place, top_k), left_out


def _keep_risk(
    losses: NDArray[np.float64], level: float, delta: float | None, *, worst: float, top_k: int, lax_first: bool
) -> Cut | Unkept:
    """Walk along losses of shape (D, T), whose means rise, while the mean is shown to be at most the level."""
    if level >= worst:
        return Cut(len(GRID) - 1, top_k)
    if delta is None:
        kept = bound_risk(losses, worst) <= level
        reached = float(losses[:, 0].mean())
        needed = (worst - level) / (level - reached) if reached < level else float("inf")
    else:
        gains = level - losses
        kept = play(gains, worst - level, delta) >= 1 / delta
        needed = documents_needed(gains[:, 0], worst - level, delta)
    if not kept[0]:
        return Unkept(needed)
    last = _run(kept) - 1
    return Cut(len(GRID) - 1 - last if lax_first else last, top_k)


def _run(flags: NDArray[np.bool_]) -> int:
    """Count how many are true before the first that is not."""
    return len(flags) if flags.all() else int(np.argmin(flags))
