"""Ridge regression of many labels on sparse features, in closed form: what a linear student is.

One kernel of the documents serves all labels, so that a thousand of them cost little more than one. The squared error
on soft labels is the Brier score, a proper one: what is fitted is the teacher's probability, and documents that weigh
more count for more. Up to some thousand documents the solution is exact, and what it says of a document that was left
out follows from the same factorisation: the residual without document i is its coefficient divided by the i-th entry
of the inverse's diagonal (Allen 1974; Rasmussen and Williams 2006, section 5.4.2). Beyond that, conjugate gradients
solve the same system, and documents are left out in three parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Of the penalty, for features of about length 1 a document; that of the least error on documents left out is taken."""

LEAST_WEIGHT = 0.01
"""A weight that moves a probability by less is not kept: nine tenths of them, and nothing that the ranking shows."""

_EXACT = 8_000
"""Documents up to which the kernel is inverted: a minute, and some 0.6 GB."""

_TRIED = 3_000
"""Documents that the strength is chosen by."""

_FOLDS = 3
_STEPS = 20
"""Of conjugate gradients, after which a ranking no longer changes."""

_LABELS_AT_ONCE = 256

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class RidgeFit:
    """What was fitted, for N documents and L labels.

    Attributes:
        coefficients: By document, float32, shape (N, L): weights are the features' transpose times these.
        base: What a label gets without any feature: the mean of its targets, float32, shape (L,).
        left_out: What each document's targets are fitted as without it, float32, shape (N, L).
    """

    coefficients: NDArray[np.float32]
    base: NDArray[np.float32]
    left_out: NDArray[np.float32]


def choose_strength(features: Any, targets: NDArray[np.float32], weights: NDArray[np.float32], seed: int = 0) -> float:
    """Choose the penalty by the squared error on documents left out one by one, on some thousand of them.

    Args:
        features: CSR float32, shape (N, F).
        targets: Shape (N, L).
        weights: What each document counts, about 1, shape (N,).
        seed: Of the drawing of documents.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(targets))[:_TRIED])
    some, wanted, counts = features[drawn], targets[drawn], weights[drawn]
    errors = []
    for strength in STRENGTHS:
        missed = wanted - _solve_exactly(some, wanted, counts, strength).left_out
        errors.append(float((counts[:, None] * missed**2).sum()))
    return STRENGTHS[int(np.argmin(errors))]


def fit_ridge(
    features: Any,
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    strength: float,
    told: Told = lambda _: None,
) -> RidgeFit:
    """Fit targets by features; arguments as `choose_strength` has them, and the penalty."""
    if len(targets) <= _EXACT:
        return _solve_exactly(features, targets, weights, strength)
    left_out = np.empty_like(targets)
    parts = np.arange(len(targets)) % _FOLDS
    for part in range(_FOLDS):
        told(f"fitting without part {part + 1} of {_FOLDS}")
        inside = parts == part
        rest, base = _solve_by_steps(features[~inside], targets[~inside], weights[~inside], strength)
        seen, fresh = features[~inside].T.tocsr(), features[inside]
        for start in range(0, targets.shape[1], _LABELS_AT_ONCE):
            block = slice(start, start + _LABELS_AT_ONCE)
            left_out[inside, block] = fresh @ (seen @ rest[:, block]) + base[block]
    told("fitting")
    return RidgeFit(*_solve_by_steps(features, targets, weights, strength), left_out)


def keep_weights(features: Any, coefficients: NDArray[np.float32], least: float = LEAST_WEIGHT) -> Any:
    """Multiply out the weights, a block of labels at a time, and keep those that matter: CSR float32, shape (F, L)."""
    from scipy import sparse

    turned = features.T.tocsr()
    blocks = []
    for start in range(0, coefficients.shape[1], _LABELS_AT_ONCE):
        weights = turned @ np.ascontiguousarray(coefficients[:, start : start + _LABELS_AT_ONCE])
        weights[np.abs(weights) < least] = 0
        blocks.append(sparse.csr_array(weights))
    return sparse.hstack(blocks, format="csr", dtype=np.float32)


def _solve_exactly(
    features: Any, targets: NDArray[np.float32], weights: NDArray[np.float32], strength: float
) -> RidgeFit:
    """Invert (K + strength / weights), by Cholesky, in single precision."""
    from scipy.linalg.lapack import spotrf, spotri

    base = np.average(targets, axis=0, weights=weights).astype(np.float32)
    kernel = (features @ features.T).toarray()
    kernel[np.diag_indices_from(kernel)] += strength / weights
    factor, failed = spotrf(kernel, lower=1, clean=0, overwrite_a=1)
    inverse, also = spotri(factor, lower=1, overwrite_c=1)
    if failed or also:  # no kernel with a penalty has that, but one with features that are no numbers
        raise FloatingPointError("the documents' features are not finite")
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    coefficients = inverse @ (targets - base)
    return RidgeFit(coefficients, base, targets - coefficients / np.diag(inverse)[:, None])


def _solve_by_steps(
    features: Any, targets: NDArray[np.float32], weights: NDArray[np.float32], strength: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Solve the same system by conjugate gradients, each label with steps of its own."""
    base = np.average(targets, axis=0, weights=weights).astype(np.float32)
    turned, penalty = features.T.tocsr(), (strength / weights).astype(np.float32)[:, None]
    found = np.empty_like(targets)
    for start in range(0, targets.shape[1], _LABELS_AT_ONCE):
        rest = np.ascontiguousarray(targets[:, start : start + _LABELS_AT_ONCE] - base[start : start + _LABELS_AT_ONCE])
        answer, direction = np.zeros_like(rest), rest.copy()
        size = (rest * rest).sum(axis=0)
        for _ in range(_STEPS):
            moved = features @ (turned @ direction) + penalty * direction
            step = size / np.maximum((direction * moved).sum(axis=0), 1e-30)
            answer += step * direction
            rest -= step * moved
            now = (rest * rest).sum(axis=0)
            direction = rest + now / np.maximum(size, 1e-30) * direction
            size = now
        found[:, start : start + _LABELS_AT_ONCE] = answer
    return found, base
