"""Gold labels that are probably wrong or missing: confident learning, on the pairs that were ranked or are gold.

Each label is a yes-or-no question of its own (Thyagarajan et al. 2022, arXiv 2211.13895), and the pairs are ordered by
self-confidence, the probability of what gold says. A label's threshold is the mean probability of its gold pairs
(Northcutt, Jiang and Chuang 2021, section 3.1). Two things differ from cleanlab's ``multilabel_classification``, for
taxonomies of which most labels are seen once or never: pairs that a program does not rank take no memory and count as
probability 0, and thresholds of rare labels lean on that of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STRENGTH_LABEL = 5.0
"""Gold pairs of its own from which on a label's threshold is more its own than that of all."""

_STRENGTH_DOCUMENT = 2.0
"""The same for documents, which have fewer labels."""

_MOST_FITTED = 200_000
"""Pairs that two coefficients are fitted to at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of a document and a label that are gold, or ranked by a program, or both; each once.

    Attributes:
        documents: A number from 0 for each document, int64, shape (n,).
        labels: Position in the taxonomy, int32, shape (n,).
        probabilities: That the label is right, 0 where the program does not rank it; float64, shape (n,).
        gold: Whether gold has the label, bool, shape (n,).
    """

    documents: NDArray[np.int64]
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    gold: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Suspicion:
    """Which pairs to look at, the most suspicious first.

    Attributes:
        wrong: Indexes of gold pairs that are less probable than their label's threshold.
        missing: Indexes of other pairs that are at least as probable as their label's threshold.
        thresholds: Of the label of every pair, shape (n,).
    """

    wrong: NDArray[np.intp]
    missing: NDArray[np.intp]
    thresholds: NDArray[np.float64]


def suspect(pairs: Pairs) -> Suspicion:
    """Order gold labels by how improbable they are, and other labels by how probable they are.

    Of equally improbable gold, as all that no program ranks, that one comes first whose label and whose document are
    usually clear, both told by the other gold labels: one random label among five that are found is more suspicious
    than five that are missed.
    """
    if not pairs.gold.any():
        nothing = np.empty(0, dtype=np.intp)
        return Suspicion(nothing, nothing, np.ones(len(pairs.gold)))
    thresholds, of_label = _usual(pairs.labels, pairs, _STRENGTH_LABEL)
    _, of_document = _usual(pairs.documents, pairs, _STRENGTH_DOCUMENT)
    p = pairs.probabilities
    expected = of_label * of_document
    wrong = np.flatnonzero(pairs.gold & (p < of_label))
    missing = np.flatnonzero(~pairs.gold & (p >= thresholds) & (p > 0))
    return Suspicion(
        wrong[np.lexsort((-expected[wrong], p[wrong]))],
        missing[np.lexsort((thresholds[missing], -p[missing]))],
        np.where(pairs.gold, of_label, thresholds),
    )


def confidence_by_rank(
    scores: NDArray[np.float64], ranks: NDArray[np.int32], gold: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Turn scores that are no probabilities into some that will do for ordering suspects.

    A logistic regression of `gold` on the score and the logarithm of the rank, over all labels together: with two
    coefficients it cannot learn which labels are wrong.

    Args:
        scores: Of ranked pairs, shape (n,).
        ranks: From 1, shape (n,).
        gold: Whether gold has them, shape (n,).
    """
    if gold.all() or not gold.any():
        return np.full(len(gold), float(gold.any()))
    from sklearn.linear_model import LogisticRegression

    evidence = np.stack([scores, np.log(ranks)], axis=1)
    evidence = (evidence - evidence.mean(axis=0)) / np.maximum(evidence.std(axis=0), 1e-12)
    step = -(-len(gold) // _MOST_FITTED)
    # Every step-th pair, and all gold among the first: the rare kind must be there.
    fitted = np.union1d(np.arange(0, len(gold), step), np.flatnonzero(gold)[:1])
    if gold[fitted].all():
        fitted = np.union1d(fitted, np.flatnonzero(~gold)[:1])
    found = LogisticRegression().fit(evidence[fitted], gold[fitted]).predict_proba(evidence)
    return np.asarray(found[:, 1], dtype=np.float64)


def _usual(
    groups: NDArray[np.int32] | NDArray[np.int64], pairs: Pairs, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average the probabilities of the gold pairs of each pair's group, leaning on the average of all.

    Returns:
        The averages, and for gold pairs those without the pair itself; shape (n,) each.
    """
    p, gold = pairs.probabilities, pairs.gold
    pooled = p[gold].mean()
    _, codes = np.unique(groups, return_inverse=True)
    counts = np.bincount(codes, weights=gold)[codes]
    sums = np.bincount(codes, weights=p * gold)[codes]
    with_it = (sums + strength * pooled) / (counts + strength)
    without_it = (sums - p * gold + strength * pooled) / (counts - gold + strength)
    return with_it, without_it
