"""The betting test: it errs as rarely as it says, and finds more than the bound of Hoeffding and Bentkus."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from labelmill.learning.bets import documents_needed, play

DOCUMENTS, TRIALS, DELTA = 136, 2000, 0.1


def gains(more, documents=DOCUMENTS, trials=TRIALS):
    """Right labels less 0.8 per label, of none to five labels; a document is easy or hard. Shape (D, trials)."""
    generator = np.random.default_rng(0)
    given = generator.integers(0, 6, (documents, trials))
    right = generator.binomial(given, generator.choice([0.6 + more, 1.0], given.shape))
    return right - 0.8 * given


def hoeffding_bentkus(values, low, high):
    """The p-value of Angelopoulos et al. (2021, arXiv 2110.01052, section 1.3) for a mean of 0 at most."""
    losses, level = ((high - values) / (high - low)).mean(axis=0), high / (high - low)
    n = len(values)
    odds = np.clip(losses, 1e-12, level)
    hoeffding = np.exp(-n * (odds * np.log(odds / level) + (1 - odds) * np.log((1 - odds) / (1 - level))))
    return np.minimum(hoeffding, np.e * binom.cdf(np.ceil(n * losses), n, level))


def test_a_true_hypothesis_is_rejected_as_rarely_as_promised():
    """With a mean gain of exactly 0, in a tenth of the trials at most, and not hardly ever."""
    rejected = (play(gains(0.0), 4.0, DELTA) >= 1 / DELTA).mean()
    assert 0.02 < rejected < DELTA


def test_more_is_found_than_by_hoeffding_and_bentkus():
    """Of decisions that keep a promise by ten points, most are found; the bound for any bounded gain finds far fewer."""
    better = gains(0.2)
    bets = (play(better, 4.0, DELTA) >= 1 / DELTA).mean()
    bound = (hoeffding_bentkus(better, -4.0, 1.0) <= DELTA).mean()
    assert bets > 0.7
    assert bound < bets / 2


def test_wealth_never_starts_below_one_and_never_overflows():
    """No documents prove nothing, and a thousand perfect ones prove without infinity."""
    assert play(np.zeros((0, 3)), 1.0, DELTA).tolist() == [1.0] * 3
    assert play(np.full((3, 2), -1.0), 1.0, DELTA).tolist() == [1.0] * 2
    assert np.isfinite(play(np.ones((5000, 1)), 0.5, DELTA)).all()


def test_the_documents_needed_are_about_enough():
    """With twice as many documents as estimated, most trials succeed; gains below 0 never do."""
    needed = documents_needed(gains(0.1).ravel(), 4.0, DELTA)
    assert 50 < needed < 500
    assert (play(gains(0.1, int(2 * needed), 300), 4.0, DELTA) >= 1 / DELTA).mean() > 0.7
    assert documents_needed(np.array([-1.0, 0.5]), 1.0, DELTA) == pytest.approx(np.inf)


def test_a_stake_knows_earlier_gains_alone():
    """The first document's stake is of the number of documents; the second's also of the first gain."""
    values = np.zeros((100, 1))
    values[:2, 0] = 0.5, 0.25
    first = np.sqrt(2 * np.log(10) / 100)
    second = np.sqrt(2 * np.log(10) / (100 * (1 + 0.5**2) / 2))
    assert play(values, 1.0, DELTA) == pytest.approx([(1 + first * 0.5) * (1 + second * 0.25)])
