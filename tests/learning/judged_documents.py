"""Synthetic documents whose candidates have calibrated probabilities, as a cross-fitted program would give them."""

from __future__ import annotations

import numpy as np

CANDIDATES = 50


def draw(documents, seed):
    """About three gold labels a document, a tenth of them not retrieved; some documents are harder than they look."""
    generator = np.random.default_rng(seed)
    shape = documents, CANDIDATES
    values = 0.6 - 2 * np.log(np.arange(1, CANDIDATES + 1)) + generator.normal(0, 1, (documents, 1))
    values = values + generator.normal(0, 1.4, shape)
    surprise = generator.normal(0, 0.6, (documents, 1))
    correct = generator.random(shape) < 1 / (1 + np.exp(-(1.06 * values + surprise)))
    gold = correct.sum(axis=1) + generator.poisson(0.25, documents)
    numbers = np.repeat(np.arange(documents), CANDIDATES)
    return (1 / (1 + np.exp(-values))).ravel(), correct.ravel(), numbers, gold
