"""Ridge regression of many labels at once: exact, without each document, and by steps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from labelmill.learning import ridge
from labelmill.learning.ridge import choose_strength, fit_ridge, keep_weights


@pytest.fixture
def lesson():
    """Sixty documents of forty features, five labels, weights that differ."""
    rng = np.random.default_rng(3)
    rows = sparse.random_array((60, 40), density=0.2, rng=rng, format="csr", dtype=np.float32)
    targets = np.clip(rows @ rng.normal(size=(40, 5)), 0, 1).astype(np.float32)
    return sparse.csr_array(rows), targets, rng.uniform(0.5, 2, 60).astype(np.float32)


def by_hand(rows, targets, weights, strength):
    """Solve the normal equations in features, in double precision."""
    base = np.average(targets, axis=0, weights=weights)
    dense, counts = rows.toarray().astype(float), np.diag(weights)
    system = dense.T @ counts @ dense + strength * np.eye(dense.shape[1])
    return np.linalg.solve(system, dense.T @ counts @ (targets - base)), base


def test_weights_are_those_of_the_normal_equations(lesson):
    """The dual with weights is the primal with weights."""
    rows, targets, weights = lesson
    fit = fit_ridge(rows, targets, weights, 0.5)
    wanted, base = by_hand(rows, targets, weights, 0.5)
    np.testing.assert_allclose(keep_weights(rows, fit.coefficients, 0).toarray(), wanted, atol=2e-4)
    np.testing.assert_allclose(fit.base, base, atol=1e-6)


def test_what_is_left_out_is_what_a_fit_without_the_document_says(lesson):
    """With the mean of all documents for a base, as the formula has it."""
    rows, targets, weights = lesson
    fit = fit_ridge(rows, targets, weights, 0.5)
    rest = np.arange(60) != 7
    dense, counts = rows.toarray().astype(float)[rest], np.diag(weights[rest])
    system = dense.T @ counts @ dense + 0.5 * np.eye(40)
    found = np.linalg.solve(system, dense.T @ counts @ (targets[rest] - fit.base))
    np.testing.assert_allclose(fit.left_out[7], rows.toarray()[7] @ found + fit.base, atol=2e-4)


def test_steps_come_to_the_same(lesson, monkeypatch):
    """Beyond some thousand documents; and what is left out is then left out in parts."""
    rows, targets, weights = lesson
    exact = fit_ridge(rows, targets, weights, 1.0)
    monkeypatch.setattr(ridge, "_EXACT", 10)
    told = []
    stepwise = fit_ridge(rows, targets, weights, 1.0, told.append)
    np.testing.assert_allclose(stepwise.coefficients, exact.coefficients, atol=1e-3)
    assert np.corrcoef(stepwise.left_out.ravel(), exact.left_out.ravel())[0, 1] > 0.8
    assert told == [
        "fitting without part 1 of 3",
        "fitting without part 2 of 3",
        "fitting without part 3 of 3",
        "fitting",
    ]


def test_noise_wants_a_stronger_penalty_than_what_can_be_learned(lesson):
    """The error on documents left out chooses."""
    rows, targets, weights = lesson
    noise = np.random.default_rng(0).random(targets.shape).astype(np.float32)
    assert choose_strength(rows, noise, weights) == ridge.STRENGTHS[-1]
    assert choose_strength(rows, targets, weights) < ridge.STRENGTHS[-1]


def test_small_weights_are_not_kept(lesson):
    """And the others are as they were."""
    rows, targets, weights = lesson
    fit = fit_ridge(rows, targets, weights, 0.5)
    some, everything = (keep_weights(rows, fit.coefficients, least).toarray() for least in (0.1, 0))
    np.testing.assert_array_equal(some, np.where(np.abs(everything) < 0.1, 0, everything))
    assert 0 < np.count_nonzero(some) < np.count_nonzero(everything)
