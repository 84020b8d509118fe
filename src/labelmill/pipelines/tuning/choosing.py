"""What to keep: parts of the evidence that do not earn their cost on documents that they were not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.fusing import cross_fit, fit_quickly, log_loss
from labelmill.pipelines.tuning.gathering import Gathered

_SHARES = {"infer": 1.0, "usages": 0.9, "embedder": 0.5, "windows": 0.3, "late": 0.2, "competition": 0.2}
_CHEAP = 0.05

_TO_BE_SHOWN = "usages"
"""The kind of part that stays out unless the gold shows that it helps: somebody, or a model, has made it up."""

_WORTH = 0.01
"""Share of the log loss for which all of the cost would be paid."""

MOST_DOCUMENTS = 300
"""To choose evidence by; fusion itself is learned from all."""


@dataclass(frozen=True, slots=True)
class Part:
    """Evidence that is kept or left out as a whole.

    Attributes:
        name: Of a lane without its embedder (``names/windows``), of a scorer (``late``), or of an embedder.
        kind: ``lane``, ``scorer``, ``embedder``, ``infer`` or ``usages``.
        columns: Its places in the evidence.
        seconds: What each of its lanes or its scorer takes per document, by name; a lane is its embedder's as well.
    """

    name: str
    kind: str
    columns: frozenset[int]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trial:
    """How good a choice of parts is on documents that it was not fitted on.

    Attributes:
        without: The parts that are left out.
        log_loss: Mean over candidates, in nats.
        rp5: Rank-precision at 5, 0 to 1.
        rp10: Rank-precision at 10.
        seconds: Per document, for retrieval and all that is kept of the evidence.
        kept: Whether it is the choice from then on.
        front: Whether no other trial is both better (by RP@10) and faster.
    """

    without: tuple[str, ...]
    log_loss: float
    rp5: float
    rp10: float
    seconds: float
    kept: bool = False
    front: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)


OnTrial = Callable[[int, int], None]
"""Told how many parts were tried, and of how many."""


def choose(
    gathered: Gathered, parts: Sequence[Part], *, seed: int = 0, on_trial: OnTrial = lambda *_: None
) -> tuple[list[Part], list[Trial]]:
    """Leave parts out one after the other, the usually dearest first, where they do not pay.

    Of many documents some hundreds are drawn to choose by.

    Returns:
        The parts that are left out, and every trial, that of all parts first.
    """
    gathered = _draw(gathered, seed)
    out: list[Part] = []
    trial, best = _try(gathered, parts, out)
    trials = [trial]
    for done, part in enumerate(sorted(parts, key=lambda each: (-_share(each), each.name)), start=1):
        on_trial(done, len(parts))
        if not _lanes_left(parts, [*out, part]):
            continue
        trial, losses = _try(gathered, parts, [*out, part])
        if _stays_out(part, losses - best, best):
            out, best = [*out, part], losses
            trial = replace(trial, kept=True)
        trials.append(trial)
    return out, _with_front(trials)


def _stays_out(part: Part, more: NDArray[np.float64], before: NDArray[np.float64]) -> bool:
    """Decide whether a part stays out, by what each document's loss is without it more than before."""
    return not _helps(more) if part.kind == _TO_BE_SHOWN else _does_not_pay(more, before, _share(part))


def _does_not_pay(more: NDArray[np.float64], before: NDArray[np.float64], share: float) -> bool:
    """Decide whether a part is not worth its cost.

    What costs next to nothing goes only where the loss without it is lower by more than a standard error: among many
    trials some look better by chance, and fusion gives little weight to what is of no use. What takes all the time goes
    even where the loss is a little higher.

    Args:
        more: What each document's loss is higher without the part, shape (D,).
        before: Their losses with it.
        share: The part's usual share of the cost, 0 to 1.
    """
    error = float(more.std()) / len(more) ** 0.5
    return bool(more.mean() + (1 - share) * error <= share * _WORTH * before.mean())


def _helps(more: NDArray[np.float64]) -> bool:
    """Tell whether the loss without a part is higher by more than a standard error; see `_does_not_pay`."""
    return bool(more.mean() > float(more.std()) / len(more) ** 0.5)


def _share(part: Part) -> float:
    """Say what a part of its kind usually takes of the cost; by no clock, so that the same gold gives the same."""
    if part.kind != "lane":
        return _SHARES.get(part.kind, _SHARES.get(part.name, _CHEAP))
    return _SHARES.get(part.name.rpartition("/")[2], _CHEAP)


def _draw(gathered: Gathered, seed: int) -> Gathered:
    """Draw at most `MOST_DOCUMENTS`, and number them anew; each stays in its part."""
    whole, documents = gathered.examples, len(gathered.gold)
    if documents <= MOST_DOCUMENTS:
        return gathered
    drawn = np.sort(np.random.default_rng(seed).permutation(documents)[:MOST_DOCUMENTS])
    some = whole.take(np.isin(whole.groups, drawn))
    gold = replace(gathered.gold, sizes=gathered.gold.sizes[drawn], parts=gathered.gold.parts[drawn])
    return replace(gathered, gold=gold, examples=replace(some, groups=np.searchsorted(drawn, some.groups)))


def _lanes_left(parts: Sequence[Part], out: Sequence[Part]) -> bool:
    """Say whether any lane of any embedder is left: without one there are no candidates."""
    gone = frozenset[int]().union(*(part.columns for part in out))
    return any(part.kind == "lane" and not part.columns <= gone for part in parts)


def _try(gathered: Gathered, parts: Sequence[Part], out: Sequence[Part]) -> tuple[Trial, NDArray[np.float64]]:
    """Cross-fit without some parts: the figures, and each document's mean loss, shape (D,)."""
    examples, sizes = gathered.examples, gathered.gold.sizes
    gone = frozenset[int]().union(*(part.columns for part in out))
    kept = [place for place in range(len(examples.columns)) if place not in gone]
    found = cross_fit(examples.only(kept), fit_quickly)
    each = np.logaddexp(0, np.where(examples.correct, -found, found))
    counts = np.maximum(np.bincount(examples.groups, minlength=len(sizes)), 1)
    losses = np.bincount(examples.groups, weights=each, minlength=len(sizes)) / counts
    trial = Trial(
        without=tuple(part.name for part in out),
        log_loss=log_loss(found, examples.correct),
        rp5=float(rank_precision(found, examples.correct, examples.groups, sizes, 5).mean()),
        rp10=float(rank_precision(found, examples.correct, examples.groups, sizes, 10).mean()),
        seconds=_seconds(parts, out),
    )
    return trial, losses


def _seconds(parts: Sequence[Part], out: Sequence[Part]) -> float:
    """Sum what is left takes, each lane once: it may be there by what it searches, and by its embedder."""
    each = {name: seconds for part in parts for name, seconds in part.seconds.items()}
    gone = {name for part in out for name in part.seconds}
    return sum(seconds for name, seconds in each.items() if name not in gone)


def _with_front(trials: Sequence[Trial]) -> list[Trial]:
    """Mark the Pareto front: trials than which no other is at least as good and as fast, and better in one."""

    def beaten(trial: Trial) -> bool:
        return any(
            other.rp10 >= trial.rp10
            and other.seconds <= trial.seconds
            and (other.rp10 > trial.rp10 or other.seconds < trial.seconds)
            for other in trials
        )

    return [replace(trial, front=not beaten(trial)) for trial in trials]


def rank_precision(
    scores: NDArray[np.float64],
    correct: NDArray[np.bool_],
    groups: NDArray[np.int64],
    sizes: NDArray[np.int64],
    k: int,
) -> NDArray[np.float64]:
    """Compute RP@k (arXiv 2401.12178): right ones among the first k, as a share of those possible.

    Documents without gold labels are left out, as in `labelmill.eval.evaluate`: nothing is possible there.

    Args:
        scores: Of all candidates, shape (n,).
        correct: Whether each candidate is gold, shape (n,).
        groups: The candidate's document, shape (n,).
        sizes: Gold labels of each document, shape (D,).
        k: The depth.

    Returns:
        One for each document with gold labels.
    """
    order = np.lexsort((-scores, groups))
    document = groups[order]
    first = np.searchsorted(document, document, side="left")
    hits = correct[order] & (np.arange(len(order)) - first < k)
    found = np.bincount(document, weights=hits, minlength=len(sizes))
    return np.asarray(found[sizes > 0] / np.minimum(k, sizes[sizes > 0]))
