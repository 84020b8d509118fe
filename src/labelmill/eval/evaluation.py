"""One call from rankings and gold labels to every metric with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import GoldError, InputError
from labelmill.eval.confidence import CalibrationError
from labelmill.eval.coverage import SetSizes, covered
from labelmill.eval.hierarchy import Hierarchy
from labelmill.eval.hierarchy_scores import HierarchyScores
from labelmill.eval.intervals import Interval, bootstrap
from labelmill.eval.metrics import MacroScores, Means, MicroScores, Statistic, find_hits, score_rankings
from labelmill.eval.propensity import Frequencies, score_head_and_tail, score_propensities
from labelmill.eval.rankings import PADDING, Gold, Rankings
from labelmill.eval.ratios import Ratios


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well the predictions agree with the gold labels.

    Attributes:
        metrics: By name: ``p@k``, ``r@k``, ``rp@k``, ``ndcg@k`` for each k; ``micro_`` and ``macro_`` followed by
            ``f1``, ``precision``, ``recall``, then ``coverage``, ``set_size_mean``, ``set_size_median`` for the final
            sets; ``psp@k``, ``psndcg@k``, ``r@k_head``, ``rp@k_tail`` and so on for rare and frequent labels; ``hf1``,
            ``hp``, ``hr``, ``near_f1``, ``near_precision``, ``near_recall`` where there is a hierarchy; ``ece@10``
            where there are probabilities. All but the sizes are fractions.
        documents: Documents with gold labels; all metrics are over these.
        documents_without_gold: Left out of every metric.
        documents_without_predictions: Of `documents`, those with none (failed ones among them); they count as zero.
        labels: Distinct gold labels.
        labels_outside_taxonomy: Of `labels`, those that no prediction can be, because the taxonomy lacks them.
        labels_used: Distinct labels in the final sets of these documents. Without an interval: a resample has fewer
            documents to use labels in, so that a bootstrap says nothing of it.
        labels_in_taxonomy: Its size.
    """

    metrics: Mapping[str, Interval]
    documents: int
    documents_without_gold: int
    documents_without_predictions: int
    labels: int
    labels_outside_taxonomy: int
    labels_used: int
    labels_in_taxonomy: int

    def as_dict(self, run: str | None = None) -> dict[str, Any]:
        """Give plain values for JSON, with the run's name in front; metrics are fractions, but for the set sizes."""
        return {
            "run": run,
            "documents": self.documents,
            "documents_without_gold": self.documents_without_gold,
            "documents_without_predictions": self.documents_without_predictions,
            "labels": self.labels,
            "labels_outside_taxonomy": self.labels_outside_taxonomy,
            "labels_used": self.labels_used,
            "labels_in_taxonomy": self.labels_in_taxonomy,
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
    hierarchy: Hierarchy | None = None,
    frequencies: Frequencies | None = None,
    probabilities: NDArray[np.float64] | None = None,
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
        hierarchy: The taxonomy's, where it has one.
        frequencies: How often labels are gold elsewhere, such as in training data; by default as in `gold`.
        probabilities: Of each ranked label, shape (D, K), where the scores of the program are probabilities. Rows must
            not repeat a label.

    Raises:
        GoldError: If no document has gold labels.
        InputError: If a k or the number of resamples is below 1, or a probability is none.
        ValueError: If the two speak of different documents or name a position outside the taxonomy.
    """
    _check(rankings, gold, n_labels, ks)
    with_gold = gold.sizes > 0
    rankings, gold = rankings.take(with_gold), gold.take(with_gold)
    hits = find_hits(rankings, gold)
    statistics = _statistics(rankings, hits, gold, sorted(set(ks)), frequencies or Frequencies.of(gold))
    if hierarchy is not None:
        statistics.append(HierarchyScores.of(rankings, gold, hierarchy))
    if probabilities is not None and hits.size:
        statistics.append(CalibrationError.of(rankings, hits, probabilities[with_gold]))
    distinct = np.unique(gold.labels)
    return Evaluation(
        metrics=bootstrap(statistics, len(gold), resamples=resamples, seed=seed),
        documents=len(gold),
        documents_without_gold=int(np.count_nonzero(~with_gold)),
        documents_without_predictions=int(np.count_nonzero(np.all(rankings.labels == PADDING, axis=1))),
        labels=len(distinct),
        labels_outside_taxonomy=int(np.count_nonzero(distinct < PADDING)),
        labels_used=len(np.unique(rankings.labels[rankings.selected])),
        labels_in_taxonomy=n_labels,
    )


def _statistics(
    rankings: Rankings, hits: NDArray[np.bool_], gold: Gold, ks: Sequence[int], frequencies: Frequencies
) -> list[Statistic]:
    """Prepare what can be measured of any taxonomy and any scores."""
    rare = (rankings, hits, gold, frequencies, ks)
    return [
        Means.of(score_rankings(hits, gold.sizes, ks)),
        MicroScores.of(rankings, hits, gold),
        MacroScores.of(rankings, hits, gold),
        Means.of({"coverage": covered(rankings)}),
        SetSizes.of(rankings),
        Ratios.of(score_propensities(*rare) | score_head_and_tail(*rare)),
    ]


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
