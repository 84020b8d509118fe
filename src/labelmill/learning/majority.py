"""Majority votes: plain, by shares, and weighted by how good voters are; and when the plain one cannot be beaten.

The weighted one is Dawid-Skene with one number for each voter (Karger, Oh and Shah 2014 call it the one-coin model): a
vote weighs the log-odds of its voter's being right, which EM finds without gold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from labelmill.learning.pairs import Pairs
from labelmill.learning.votes import KnownLabels, SoftLabels, Votes

_ROUNDS = 100
_STILL = 1e-4
_HOLD, _GOOD = 50.0, 0.7
"""A voter is thought right in 7 of 10 votes before any is seen, as by 50 votes."""

_BEST = 0.98
_BETTER_THAN_CHANCE = 0.05
"""No voter is taken for worse: where few vote, those who know one label can all be turned round as well as not."""
_WORTH = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """What was found of voters.

    Attributes:
        accuracy: Share of each voter's votes that are right, shape (voters,).
        rounds: Of EM, until nothing moved.
    """

    accuracy: NDArray[np.float64]
    rounds: int


def majority(votes: Votes, known: KnownLabels | None = None, *, exclusive: bool) -> SoftLabels:
    """Score labels by their share of the votes.

    Of labels that exclude each other it is the share of a document's votes for any; else that of the votes on the pair,
    where voters that speak by silence vote against what they do not name.
    """
    pairs = Pairs.of(votes, known or KnownLabels.none())
    ones = np.ones(len(votes.voters))
    agree, against = pairs.tally(votes, ones)
    if exclusive:
        net = np.maximum(agree - against, 0)
        cast = np.bincount(pairs.document, net, votes.documents)[pairs.document]
        return pairs.soft(pairs.clamp(net / np.maximum(cast, 1)), _WORTH)
    total = agree + against + pairs.quiet(votes, ones)
    return pairs.soft(pairs.clamp(agree / np.maximum(total, 1)), _WORTH)


def weighted_majority(
    votes: Votes, known: KnownLabels | None = None, *, exclusive: bool
) -> tuple[SoftLabels, Weighing]:
    """Find the probability of each pair with a vote, by one accuracy for each voter.

    A voter is judged where others vote, too: what nobody else speaks of says nothing of it.
    """
    pairs = Pairs.of(votes, known or KnownLabels.none())
    scale = _Exclusive(votes, pairs) if exclusive else _Several(votes, pairs)
    judged = scale.has_others | (pairs.truth[pairs.of_vote] >= 0)
    said = np.bincount(votes.voter, judged, len(votes.voters))
    least = (1 / max(votes.labels, 2) if exclusive else 0.5) + _BETTER_THAN_CHANCE
    accuracy = np.full(len(votes.voters), _GOOD)
    for done in range(1, _ROUNDS + 1):  # noqa: B007 - told below
        scale.weigh(accuracy)
        agree = pairs.clamp(scale.posterior())[pairs.of_vote]
        right = np.bincount(votes.voter, np.where(votes.sign > 0, agree, 1 - agree) * judged, len(votes.voters))
        before, accuracy = accuracy, np.clip((right + _HOLD * _GOOD) / (said + _HOLD), least, _BEST)
        if np.abs(accuracy - before).max(initial=0.0) <= _STILL:
            break
    return pairs.soft(pairs.clamp(scale.posterior()), _WORTH), Weighing(accuracy, done)


def majority_suffices(accuracy: NDArray[np.float64], most: int) -> bool:
    """Tell whether no weights can do better than one vote a voter, whoever of them votes.

    Voters that err independently, and as often on one label as on another, are combined best by weights of
    log(p / (1 - p)). They decide as the majority does exactly where no minority of voters outweighs a majority (Nitzan
    and Paroush 1982, International Economic Review 23; Shapley and Grofman 1984, Public Choice 43): the a lightest of
    them weigh at least what the a - 1 heaviest do.

    >>> majority_suffices(np.array([0.8, 0.8, 0.75]), most=3)
    True
    >>> majority_suffices(np.array([0.95, 0.6, 0.6]), most=3)
    False

    Args:
        accuracy: Of each voter.
        most: Votes on one document, or on one pair of a document and a label, at most.
    """
    weights = np.sort(np.log(accuracy) - np.log1p(-accuracy))
    if not len(weights) or weights[0] < 0:
        return False
    light, heavy = np.cumsum(weights), np.append(0, np.cumsum(weights[::-1]))
    sizes = range(1, (min(most, len(weights)) + 1) // 2 + 1)
    return all(light[size - 1] >= heavy[size - 1] - 1e-12 for size in sizes)


class _Several:
    """Votes on labels of which a document may have several: each pair for itself."""

    def __init__(self, votes: Votes, pairs: Pairs) -> None:
        self._votes, self._pairs = votes, pairs
        self.has_others = np.bincount(pairs.of_vote, minlength=len(pairs))[pairs.of_vote] > 1
        self._worth = np.zeros(len(pairs))

    def weigh(self, accuracy: NDArray[np.float64]) -> None:
        votes, pairs = self._votes, self._pairs
        weights = np.log(accuracy) - np.log1p(-accuracy)
        agree, against = pairs.tally(votes, weights)
        self._worth = agree - against - pairs.quiet(votes, weights)

    def posterior(self) -> NDArray[np.float64]:
        """Compute the probability of each pair."""
        return np.asarray(expit(self._worth))


class _Exclusive:
    """Votes on labels that exclude each other: a document's labels with votes against all others, which have none."""

    def __init__(self, votes: Votes, pairs: Pairs) -> None:
        self._votes, self._pairs = votes, pairs
        self.has_others = np.bincount(votes.document, minlength=votes.documents)[votes.document] > 1
        self._others = votes.labels - np.bincount(pairs.document, minlength=votes.documents)
        self._share: NDArray[np.float64] = np.zeros(len(pairs))
        self._total: NDArray[np.float64] = np.ones(votes.documents)

    def weigh(self, accuracy: NDArray[np.float64]) -> None:
        votes, pairs = self._votes, self._pairs
        odds = np.log(accuracy) - np.log1p(-accuracy)
        # With K labels, a wrong vote for one is for one of K - 1; a vote against one leaves its voter's odds to it.
        agree = pairs.tally(votes, odds + np.log(max(votes.labels - 1, 1)))[0]
        against = pairs.tally(votes, np.maximum(odds, 0))[1]
        highest = np.zeros(votes.documents)
        np.maximum.at(highest, pairs.document, agree - against)
        self._share = np.exp(agree - against - highest[pairs.document])
        unnamed = self._others * np.exp(-highest)
        self._total = np.asarray(np.bincount(pairs.document, self._share, votes.documents) + unnamed, dtype=np.float64)

    def posterior(self) -> NDArray[np.float64]:
        """Compute the probability of each pair."""
        return np.asarray(self._share / self._total[self._pairs.document])
