"""Combining rankings: reciprocal rank fusion, which asks nothing of the voters' scores and learns nothing."""

from __future__ import annotations

import numpy as np

from labelmill.learning.pairs import Pairs
from labelmill.learning.votes import KnownLabels, SoftLabels, Votes

DAMPING = 60
"""Ranks near to the first are worth about the same (Cormack, Clarke and Buettcher 2009, SIGIR)."""


def fuse_ranks(votes: Votes) -> SoftLabels:
    """Score a pair by the sum over voters of 1 / (60 + rank), as a share of what it were if all ranked it first.

    Votes against without a rank are left out. Votes for without one share the first places of their voter's document:
    each has the mean rank of them.
    """
    ranked = votes.where((votes.rank > 0) | (votes.sign > 0))
    rank = ranked.rank.astype(float)
    tied = rank == 0
    of = ranked.voter.astype(np.int64) * votes.documents + ranked.document
    _, place = np.unique(of, return_inverse=True)
    many = np.bincount(place, tied)
    rank[tied] = (many[place][tied] + 1) / 2
    pairs = Pairs.of(ranked, KnownLabels.none())
    score = np.bincount(pairs.of_vote, (DAMPING + 1) / (DAMPING + rank), len(pairs)) / max(len(votes.voters), 1)
    return SoftLabels(pairs.document, pairs.label, score)
