"""Pairs of a document and a label that have a vote, or that gold tells of: what votes on labels are counted over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.votes import KnownLabels, SoftLabels, Votes


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """P pairs, by document and label.

    Attributes:
        document: Shape (P,).
        label: Shape (P,).
        truth: 1 true, 0 false, -1 unknown, shape (P,).
        of_vote: The pair of each vote, shape (n,).
        group: The group of each pair's document; documents with gold are in groups of their own. Shape (P,).
        sizes: Documents of each group, shape (groups,).
        shown: Whether a group was shown to a voter, shape (groups, voters).
        known: Whether a group is one of documents with gold, shape (groups,).
    """

    document: NDArray[np.int64]
    label: NDArray[np.int64]
    truth: NDArray[np.int8]
    of_vote: NDArray[np.int64]
    group: NDArray[np.int64]
    sizes: NDArray[np.float64]
    shown: NDArray[np.bool_]
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, votes: Votes, known: KnownLabels) -> Pairs:
        """Number the pairs of votes and of gold."""
        keys = votes.document.astype(np.int64) * votes.labels + votes.label
        golden = known.document * votes.labels + known.label
        found, of_vote = number(np.concatenate([keys, golden]) if len(golden) else keys)
        document, label = np.divmod(found, votes.labels)
        has_gold = np.zeros(votes.documents, np.bool_)
        has_gold[known.documents] = True
        truth = np.where(has_gold[document], 0, -1).astype(np.int8)
        truth[of_vote[len(keys) :]] = 1
        group = votes.group + has_gold.astype(np.int64) * len(votes.shown)
        sizes = np.bincount(group, minlength=2 * len(votes.shown)).astype(float)
        golden_groups = np.arange(2 * len(votes.shown)) >= len(votes.shown)
        shown = np.concatenate([votes.shown, votes.shown])
        return cls(document, label, truth, of_vote[: len(keys)], group[document], sizes, shown, golden_groups)

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.label)

    def clamp(self, posterior: NDArray[np.float64]) -> NDArray[np.float64]:
        """Set the pairs that are known."""
        here = self.truth >= 0
        posterior[here] = self.truth[here]
        return posterior

    def soft(self, posterior: NDArray[np.float64], least: float) -> SoftLabels:
        """Keep the pairs that are worth a mention."""
        kept = (posterior >= least) & (posterior > 0)
        return SoftLabels(self.document[kept], self.label[kept], posterior[kept])

    def tally(self, votes: Votes, weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Add up the voters' weights for and against each pair, a vote of little confidence less."""
        each = weight[votes.voter] * votes.confidence
        agree = _add_up(self.of_vote, np.where(votes.sign > 0, each, 0), len(self))
        return agree, _add_up(self.of_vote, np.where(votes.sign > 0, 0, each), len(self))

    def quiet(self, votes: Votes, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up the weights of the voters that spoke by silence against each pair."""
        if not votes.silence.any():
            return np.zeros(len(self))
        able = self._able(votes, np.where(votes.silence, weight, 0))
        loud = np.bincount(self.of_vote, (weight * votes.silence)[votes.voter], len(self))
        return np.asarray(able[self.label, self.group] - loud)

    def _able(self, votes: Votes, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up, by label and group, the weights of voters that could have voted: that ever do on this label."""
        voter, label = self._blocks(votes)
        able = np.zeros((votes.labels, len(self.sizes)))
        for group, shown in enumerate(self.shown):
            able[:, group] = np.bincount(label, weight[voter] * shown[voter], votes.labels)
        return able

    def _blocks(self, votes: Votes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """List the voters and labels that meet."""
        keys = np.unique(votes.voter.astype(np.int64) * votes.labels + votes.label)
        voter, label = np.divmod(keys, votes.labels)
        return voter, label


def _add_up(places: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    return np.asarray(np.bincount(places, values, size), dtype=np.float64)


def number(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number distinct keys in ascending order: the keys, and the number of each that was given."""
    if len(keys) < 2 or bool((keys[1:] >= keys[:-1]).all()):  # as the store gives them: no need to sort
        new = np.ones(len(keys), np.bool_)
        new[1:] = keys[1:] != keys[:-1]
        return keys[new], np.cumsum(new) - 1
    found, numbers = np.unique(keys, return_inverse=True)
    return found, numbers
