"""Majority votes: plain, by shares, and weighted by how good voters are; and when the plain one cannot be beaten.

The weighted one is Dawid-Skene with one number for each voter (Karger, Oh and Shah 2014 call it the one-coin model): a
vote weighs the log-odds of its voter's being right, which EM finds without gold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from labelmill.learning.pairs import Pairs
from labelmill.learning.votes import KnownLabels, SoftLabels, Votes

_ROUNDS = 100
_STILL = 1e-4
_HOLD, _GOOD = 20.0, 0.7
"""A voter is thought right in 7 of 10 votes before any is seen, as by 20 votes."""

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
        total = np.bincount(pairs.document, net, votes.documents)[pairs.document]
        return pairs.soft(pairs.clamp(net / np.maximum(total, 1)), _WORTH)
    agree, against = agree, against + pairs.quiet(votes, ones)
    return pairs.soft(pairs.clamp(agree / np.maximum(agree + against, 1)), _WORTH)


def weighted_majority(
    votes: Votes, known: KnownLabels | None = None, *, exclusive: bool
) -> tuple[SoftLabels, Weighing]:
    """Find the probability of each pair with a vote, by one accuracy for each voter."""
    pairs = Pairs.of(votes, known or KnownLabels.none())
    infer = _exclusive(votes, pairs) if exclusive else _several(votes, pairs)
    accuracy = np.full(len(votes.voters), _GOOD)
    said = pairs.said_by(votes, with_silence=not exclusive)
    posterior = pairs.clamp(infer(accuracy))
    done = 0
    for done in range(1, _ROUNDS + 1):
        right = pairs.right_by(votes, posterior, with_silence=not exclusive)
        accuracy = np.clip((right + _HOLD * _GOOD) / (said + _HOLD), 0.02, 0.98)
        before, posterior = posterior, pairs.clamp(infer(accuracy))
        if np.abs(posterior - before).sum() <= _STILL * posterior.sum():
            break
    return pairs.soft(posterior, _WORTH), Weighing(accuracy, done)


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


_Infer = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _several(votes: Votes, pairs: Pairs) -> _Infer:
    def infer(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
        weights = np.log(accuracy) - np.log1p(-accuracy)
        agree, against = pairs.tally(votes, weights)
        return np.asarray(expit(agree - against - pairs.quiet(votes, weights)))

    return infer


def _exclusive(votes: Votes, pairs: Pairs) -> _Infer:
    """Compare a document's labels that have votes with each other, and with all others, which have none."""
    others = votes.labels - np.bincount(pairs.document, minlength=votes.documents)
    wrong = np.log(max(votes.labels - 1, 1))

    def infer(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
        agree, against = pairs.tally(votes, np.log(accuracy) - np.log1p(-accuracy) + wrong)
        worth = agree - against
        highest = np.zeros(votes.documents)
        np.maximum.at(highest, pairs.document, worth)
        share = np.exp(worth - highest[pairs.document])
        total = np.bincount(pairs.document, share, votes.documents) + others * np.exp(-highest)
        return np.asarray(share / total[pairs.document])

    return infer
