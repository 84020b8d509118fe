"""One call from rankings and gold labels to every metric with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from labelmill.errors import GoldError, InputError
from labelmill.eval.intervals import Interval, bootstrap
from labelmill.eval.metrics import MacroScores, Means, MicroScores, Statistic, find_hits, score_rankings
from labelmill.eval.rankings import PADDING, Gold, Rankings


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well the predictions agree with the gold labels.

    Attributes:
        metrics: By name: ``p@k``, ``r@k``, ``rp@k``, ``ndcg@k`` for each k; ``micro_`` and ``macro_`` followed by
            ``f1``, ``precision``, ``recall`` for the final sets.
        documents: Documents with gold labels; all metrics are over these.
        documents_without_gold: Left out of every metric.
        documents_without_predictions: Of `documents`, those with none (failed ones among them); they count as zero.
        labels: Distinct gold labels.
        labels_outside_taxonomy: Of `labels`, those that no prediction can be, because the taxonomy lacks them.
    """

    metrics: Mapping[str, Interval]
    documents: int
    documents_without_gold: int
    documents_without_predictions: int
    labels: int
    labels_outside_taxonomy: int

    def as_dict(self, run: str | None = None) -> dict[str, Any]:
        """Give plain values for JSON, with the run's name in front; metrics are fractions from 0 to 1."""
        return {
            "run": run,
            "documents": self.documents,
            "documents_without_gold": self.documents_without_gold,
            "documents_without_predictions": self.documents_without_predictions,
            "labels": self.labels,
            "labels_outside_taxonomy": self.labels_outside_taxonomy,
            "metrics": {
                name: {"value": interval.value, "low": interval.low, "high": interval.high}
                for name, interval in self.metrics.items()
            },
        }


def evaluate(
    rankings: Rankings,
    gold: Gold,
    *,
    n_labels: int,
    ks: Sequence[int] = (1, 5, 10, 50),
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Score rankings and final sets against gold labels, with 95% intervals.

    A document without gold labels is left out and counted, because an empty gold set cannot be told from one that
    nobody made. A document with gold labels but without predictions scores zero and is counted.

    Args:
        rankings: One row per document.
        gold: The same documents, in the same order.
        n_labels: Size of the taxonomy.
        ks: Depths of the ranking metrics.
        resamples: Resamples of the bootstrap.
        seed: Its seed.

    Raises:
        GoldError: If no document has gold labels.
        InputError: If a k or the number of resamples is below 1.
        ValueError: If the two speak of different documents or name a position outside the taxonomy.
    """
    _check(rankings, gold, n_labels, ks)
    with_gold = gold.sizes > 0
    rankings, gold = rankings.take(with_gold), gold.take(with_gold)
    hits = find_hits(rankings, gold)
    statistics: list[Statistic] = [
        Means.of(score_rankings(hits, gold.sizes, sorted(set(ks)))),
        MicroScores.of(rankings, hits, gold),
        MacroScores.of(rankings, hits, gold),
    ]
    distinct = np.unique(gold.labels)
    return Evaluation(
        metrics=bootstrap(statistics, len(gold), resamples=resamples, seed=seed),
        documents=len(gold),
        documents_without_gold=int(np.count_nonzero(~with_gold)),
        documents_without_predictions=int(np.count_nonzero(np.all(rankings.labels == PADDING, axis=1))),
        labels=len(distinct),
        labels_outside_taxonomy=int(np.count_nonzero(distinct < PADDING)),
    )


def _check(rankings: Rankings, gold: Gold, n_labels: int, ks: Sequence[int]) -> None:
    """Refuse what cannot be scored."""
    if not ks or min(ks) < 1:
        raise InputError(f"cannot rank to depths {list(ks)}", remedy="Give depths of at least 1, for example 5 and 10.")
    if len(rankings) != len(gold):
        raise ValueError(f"rankings and gold speak of different documents: {len(rankings)} != {len(gold)}")
    highest = max(rankings.labels.max(initial=PADDING), gold.labels.max(initial=PADDING))
    if highest >= n_labels:
        raise ValueError(f"position {highest} is outside the taxonomy of {n_labels} labels")
    if not len(gold.labels):
        raise GoldError(
            f"none of the {len(gold)} documents has gold labels",
            remedy="Name the field that holds them with --labels-field, or evaluate a corpus that has some.",
        )
