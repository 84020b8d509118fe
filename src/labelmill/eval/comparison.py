"""Two runs over the same documents: the difference of each metric, how sure it is, and by chance how likely.

A document is compared with itself, so that what makes documents hard or easy falls out. The interval of a difference
is the paired bootstrap's: both runs are measured on the same draws of documents (`labelmill.eval.intervals`). The
p-value is that of the paired randomisation test (Smucker, Allan and Carterette 2007, section 3): where the runs are
equally good, either could have given either of a document's two answers, so answers are swapped at random, and p is
how often the difference comes out at least as far from zero as it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import GoldError, InputError
from labelmill.eval.intervals import Interval, bootstrap
from labelmill.eval.metrics import MacroScores, Means, MicroScores, Statistic, find_hits, score_rankings
from labelmill.eval.rankings import PADDING, Gold, Rankings

_EQUAL = 1e-9
"""Differences below it are noise of the last bits."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of two runs.

    Attributes:
        a: Of the first run, as a fraction.
        b: Of the second.
        difference: b - a, with its 95% interval.
        p_value: Of the two-sided randomisation test, more than 0 and at most 1.
    """

    a: float
    b: float
    difference: Interval
    p_value: float

    def as_dict(self) -> dict[str, float]:
        """Give plain values for JSON."""
        change = self.difference
        ends = {"low": change.low, "high": change.high, "p_value": self.p_value}
        return {"a": self.a, "b": self.b, "difference": change.value} | ends


@dataclass(frozen=True, slots=True)
class Wins:
    """How many documents have the better ranking in which run.

    Attributes:
        a: Documents that the first run ranks better.
        b: Documents that the second does.
        ties: Documents that both rank equally well.
    """

    a: int
    b: int
    ties: int


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two runs compared.

    Attributes:
        metrics: By name: ``r@k``, ``rp@k``, ``ndcg@k`` for each k; ``micro_`` and ``macro_`` followed by ``f1``,
            ``precision``, ``recall`` for the final sets.
        wins: By name: ``rp@k`` for each k.
        rows: Numbers of the documents that have gold labels; all else is over these, in this order.
        documents_without_gold: Left out.
        scores: Of each document: ``rp@k`` of both runs for the first k, float64, shape (D, 2).
    """

    metrics: Mapping[str, Difference]
    wins: Mapping[str, Wins]
    rows: NDArray[np.int64]
    documents_without_gold: int
    scores: NDArray[np.float64]


def compare(
    rankings: Sequence[Rankings],
    gold: Sequence[Gold],
    *,
    ks: Sequence[int] = (5, 10),
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two runs over the same documents.

    Args:
        rankings: What each run gave, over one numbering of labels.
        gold: The gold labels as each run's taxonomy has them, over the same numbering; equal where the taxonomies are.
        ks: Depths of the ranking metrics.
        resamples: Draws of the bootstrap, and as many random swaps.
        seed: Of both.

    Raises:
        GoldError: If no document has gold labels.
        InputError: If a k or the number of resamples is below 1.
        ValueError: If the runs and the gold speak of different numbers of documents.
    """
    if not ks or min(ks) < 1:
        raise InputError(f"cannot rank to depths {list(ks)}", remedy="Give depths of at least 1, for example 5 and 10.")
    if len({*map(len, rankings), *map(len, gold)}) != 1:
        raise ValueError("rankings and gold speak of different numbers of documents")
    with_gold = (gold[0].sizes > 0) & (gold[1].sizes > 0)
    rows = np.flatnonzero(with_gold)
    if not len(rows):
        raise GoldError(
            f"none of the {len(with_gold)} documents that both runs met has gold labels",
            remedy="Name the field that holds them with --labels-field.",
        )
    both = _stack([run.take(with_gold) for run in rankings]), _concatenate([labels.take(with_gold) for labels in gold])
    hits = find_hits(*both)
    scores = score_rankings(hits, both[1].sizes, ks)
    kept = {name: values for name, values in scores.items() if not name.startswith("p@")}
    statistics: list[Statistic] = [
        Means.of(kept),
        MicroScores.of(both[0], hits, both[1]),
        MacroScores.of(both[0], hits, both[1]),
    ]
    precise = {f"rp@{k}": scores[f"rp@{k}"].reshape(2, -1) for k in ks}
    return Comparison(
        metrics=_measure(statistics, len(rows), resamples, seed),
        wins={name: _count_wins(*values) for name, values in precise.items()},
        rows=rows,
        documents_without_gold=len(with_gold) - len(rows),
        scores=precise[f"rp@{ks[0]}"].T,
    )


def _stack(runs: Sequence[Rankings]) -> Rankings:
    """Put the documents of the second run behind those of the first."""
    width = max(run.labels.shape[1] for run in runs)
    pads = [((0, 0), (0, width - run.labels.shape[1])) for run in runs]
    labels = [np.pad(run.labels, pad, constant_values=PADDING) for run, pad in zip(runs, pads, strict=True)]
    selected = [np.pad(run.selected, pad) for run, pad in zip(runs, pads, strict=True)]
    return Rankings(np.concatenate(labels), np.concatenate(selected))


def _concatenate(golds: Sequence[Gold]) -> Gold:
    sizes = np.concatenate([gold.sizes for gold in golds])
    return Gold(np.concatenate([[0], np.cumsum(sizes)]), np.concatenate([gold.labels for gold in golds]))


def _measure(statistics: Sequence[Statistic], documents: int, resamples: int, seed: int) -> dict[str, Difference]:
    """Compute each metric of both runs, the interval of the difference, and its p-value."""
    once = np.ones((1, documents))
    paired = [_Paired(statistic) for statistic in statistics]
    sides = [np.concatenate([pair.sides(once)[side][0] for pair in paired]) for side in (0, 1)]
    intervals = bootstrap(paired, documents, resamples=resamples, seed=seed)
    p_values = _randomise(paired, sides[1] - sides[0], documents, resamples, seed)
    return {
        name: Difference(a, b, _centre(interval, b - a, shift), p_value)
        for (name, interval), a, b, shift, p_value in zip(
            intervals.items(),
            *(side.tolist() for side in sides),
            [pair.shift for pair in paired for _ in pair.names],
            p_values.tolist(),
            strict=True,
        )
    }


def _centre(interval: Interval, value: float, shift: float) -> Interval:
    return Interval(value, interval.low - shift, interval.high - shift)


@dataclass(frozen=True, slots=True, eq=False)
class _Paired:
    """A statistic of two runs as their difference, over D documents.

    Attributes:
        statistic: Over 2 D documents: those of the first run, then the same of the second.
    """

    statistic: Statistic

    @property
    def names(self) -> tuple[str, ...]:
        return self.statistic.names

    @property
    def width(self) -> int:
        return 2 * self.statistic.width

    @property
    def shift(self) -> float:
        """What is added to a difference, because the bootstrap knows metrics that begin at 0."""
        return self.statistic.ceiling

    @property
    def ceiling(self) -> float:
        return 2 * self.statistic.ceiling

    def sides(
        self, weights: NDArray[np.float64], swapped: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Measure both runs; where `swapped` says so, a document's answers are taken for those of the other run."""
        first = weights if swapped is None else weights * ~swapped
        second = weights - first
        return (
            self.statistic(np.concatenate([first, second], axis=1)),
            self.statistic(np.concatenate([second, first], axis=1)),
        )

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = self.sides(weights)
        return b - a + self.shift


def _randomise(
    paired: Sequence[_Paired],
    observed: NDArray[np.float64],
    documents: int,
    resamples: int,
    seed: int,
    cells: int = 4_000_000,
) -> NDArray[np.float64]:
    """Compute p-values: (1 + as extreme) / (1 + resamples), the observed difference being one that can come out."""
    batch = max(1, cells // max(2 * documents, *(pair.width for pair in paired)))
    extreme = np.zeros(len(observed), dtype=np.int64)
    for swapped in _swaps(documents, resamples, batch, seed):
        once = np.ones(swapped.shape)
        sides = [pair.sides(once, swapped) for pair in paired]
        differences = np.concatenate([b - a for a, b in sides], axis=1)
        extreme += np.count_nonzero(np.abs(differences) >= np.abs(observed) - _EQUAL, axis=0)
    return np.asarray((1 + extreme) / (1 + resamples))


def _swaps(documents: int, resamples: int, batch: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Yield which documents are swapped, each with probability one half, shape (at most batch, documents) a time."""
    generator = np.random.default_rng([seed, 1])  # not the draws of the bootstrap
    for start in range(0, resamples, batch):
        yield generator.integers(0, 2, size=(min(batch, resamples - start), documents), dtype=np.int8) == 1


def _count_wins(a: NDArray[np.float64], b: NDArray[np.float64]) -> Wins:
    first, second = int(np.count_nonzero(a > b + _EQUAL)), int(np.count_nonzero(b > a + _EQUAL))
    return Wins(first, second, len(a) - first - second)
