"""Fitting a calibration to gold, its kind chosen on documents that it has not seen.

Candidates of one document share its difficulty, so folds are of documents: the figures say what to expect of fresh
documents, not of fresh candidates of the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError
from labelmill.learning.calibration import LEAST, Calibration, CalibrationKind, log_odds

_SIMPLEST_FIRST: tuple[CalibrationKind, ...] = ("none", "platt", "beta", "isotonic")

_PER_KNOT = 20
"""Candidates that an isotonic knot rests on at least."""

_RIDGE = 1e-3
"""Pull of a line's numbers towards those of the identity, in candidates: what keeps separable data finite."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationFit:
    """A calibration, and how well its kind does on documents that it was not fitted on.

    Attributes:
        calibration: Fitted on all documents.
        probabilities: The same kind, fitted without the candidate's document: what figures and promises are made from,
            shape (n,).
        log_losses: Mean log loss in nats per kind on documents left out; ``none`` is always among them.
    """

    calibration: Calibration
    probabilities: NDArray[np.float64]
    log_losses: dict[CalibrationKind, float]


def fit_calibration(
    scores: NDArray[np.float64],
    correct: NDArray[np.bool_],
    groups: NDArray[np.int64],
    parts: NDArray[np.int64],
    *,
    kinds: Sequence[CalibrationKind] = ("platt", "beta", "isotonic"),
) -> CalibrationFit:
    """Choose the simplest of the kinds of about least log loss on documents left out, and fit it on all.

    Args:
        scores: Of candidates, from 0 to 1, each from a model that was not fitted on its document, shape (n,).
        correct: Whether each candidate is a gold label of its document, shape (n,).
        groups: The candidate's document, shape (n,).
        parts: The part of the candidate's document, shape (n,); each is left out in turn.
        kinds: What to choose from beside ``none``, which stays where nothing is better.

    Raises:
        InputError: If arrays differ in length, scores are not from 0 to 1, there are fewer than two parts, or all
            candidates are right or all are wrong.
    """
    _check(scores, correct, groups, parts)
    found: dict[CalibrationKind, NDArray[np.float64]] = {}
    for kind in (one for one in _SIMPLEST_FIRST if one == "none" or one in kinds):
        found[kind] = np.empty(len(scores))
        for part in np.unique(parts):
            inside = parts == part
            found[kind][inside] = _fit(kind, scores[~inside], correct[~inside]).apply(scores[inside])
    losses = {kind: log_losses(probabilities, correct) for kind, probabilities in found.items()}
    best = _simplest_of_the_best(losses, groups)
    means = {kind: float(values.mean()) for kind, values in losses.items()}
    return CalibrationFit(_fit(best, scores, correct), found[best], means)


def log_losses(probabilities: NDArray[np.float64], correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute -log of the probability of what was the case, in nats, shape (n,)."""
    inside = np.clip(probabilities, LEAST, 1 - LEAST)
    return -np.where(correct, np.log(inside), np.log1p(-inside))


def _simplest_of_the_best(
    losses: dict[CalibrationKind, NDArray[np.float64]], groups: NDArray[np.int64]
) -> CalibrationKind:
    """Take a later, less simple kind only for a gain of more than its standard error over documents.

    The one-standard-error rule (Breiman et al. 1984, section 3.4.3), paired: a hundred documents cannot tell small
    gains from luck, and what then follows luck is worse on fresh documents.
    """
    _, document = np.unique(groups, return_inverse=True)
    best: CalibrationKind = "none"
    for kind, values in losses.items():
        gains = np.bincount(document, weights=losses[best] - values)
        if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)):
            best = kind
    return best


def _fit(kind: CalibrationKind, scores: NDArray[np.float64], correct: NDArray[np.bool_]) -> Calibration:
    if kind == "none" or correct.all() or not correct.any():  # a fold may lack one of the two answers
        return Calibration()
    inside = np.clip(scores, LEAST, 1 - LEAST)
    if kind == "isotonic":
        return Calibration(kind=kind, knots=_fit_knots(inside, correct))
    columns = np.stack([np.log(inside), -np.log1p(-inside)], axis=1)
    if kind == "platt":
        slope, intercept = _fit_line(columns.sum(axis=1, keepdims=True), correct)
        return Calibration(kind=kind, slope=slope, upper_slope=slope, intercept=intercept)
    slope, upper_slope, intercept = _fit_line(columns, correct)
    return Calibration(kind=kind, slope=slope, upper_slope=upper_slope, intercept=intercept)


def _fit_line(columns: NDArray[np.float64], correct: NDArray[np.bool_]) -> list[float]:
    """Fit positive slopes and an intercept, shape (n, c) to c + 1 numbers, by likelihood towards Platt's targets."""
    from scipy.optimize import minimize
    from scipy.special import expit

    right = int(correct.sum())
    # Platt's targets: as if each answer had been seen once more, so that separable data bring no infinite slope.
    targets = np.where(correct, (right + 1) / (right + 2), 1 / (len(correct) - right + 2))
    design = np.concatenate([columns, np.ones((len(columns), 1))], axis=1)
    start = np.append(np.ones(columns.shape[1]), 0.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        values = design @ weights
        away = weights - start
        gradient = design.T @ (expit(values) - targets) + _RIDGE * away
        return float((np.logaddexp(0, values) - targets * values).sum() + _RIDGE * away @ away / 2), gradient

    bounds = [(1e-3, None)] * columns.shape[1] + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return [float(f"{weight:.9g}") for weight in found.x]


def _fit_knots(scores: NDArray[np.float64], correct: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    """Pool adjacent violators over bins of at least `_PER_KNOT` candidates; one knot per pool, at its means."""
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(scores, kind="stable")
    bins = np.array_split(order, max(1, len(order) // _PER_KNOT))
    places = np.array([log_odds(scores[part]).mean() for part in bins])
    shares = np.array([correct[part].mean() for part in bins])
    sizes = np.array([len(part) for part in bins], dtype=np.float64)
    levels = IsotonicRegression().fit_transform(np.arange(len(bins)), shares, sample_weight=sizes)
    rate = correct.mean()
    knots: list[tuple[float, float]] = []
    for level in np.unique(levels):
        pool = levels == level
        size = sizes[pool].sum()
        place = float(1 / (1 + np.exp(-np.average(places[pool], weights=sizes[pool]))))
        # One more candidate at the mean rate: a pool of wrong ones alone is improbable, not impossible.
        knots.append((place, float((level * size + rate) / (size + 1))))
    return _rising(knots)


def _rising(knots: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Round, and keep the knots that rise in both numbers; smoothing may have bent the order of near-equal ones."""
    kept: list[tuple[float, float]] = []
    for place, level in knots:
        knot = float(f"{place:.9g}"), float(f"{level:.9g}")
        if not kept or (knot[0] > kept[-1][0] and knot[1] > kept[-1][1]):
            kept.append(knot)
    return tuple(kept)


def _check(
    scores: NDArray[np.float64], correct: NDArray[np.bool_], groups: NDArray[np.int64], parts: NDArray[np.int64]
) -> None:
    if not scores.shape == correct.shape == groups.shape == parts.shape or scores.ndim != 1:
        raise InputError(
            f"scores, answers, documents and parts of shapes {scores.shape}, {correct.shape}, {groups.shape} and "
            f"{parts.shape} differ",
            remedy="Give four arrays of one length.",
        )
    if len(np.unique(parts)) < 2:
        raise InputError(
            f"{len(np.unique(groups))} documents in one part leave nothing to check a calibration on",
            remedy="Give two documents in two parts at least.",
        )
    wrong = scores[~((scores >= 0) & (scores <= 1))]
    if len(wrong):
        raise InputError(f"the score {wrong[0]} is not from 0 to 1", remedy="Give probabilities, calibrated or not.")
    if correct.all() or not correct.any():
        raise InputError(
            f"{int(correct.sum())} of {len(correct)} candidates are gold labels: there is nothing to calibrate on",
            remedy="Give gold whose labels are partly among the candidates.",
        )
