"""Dawid-Skene for labels of which a document has exactly one: a confusion matrix per voter, found by EM.

Dawid and Skene 1979 (Applied Statistics 28), with two changes. What a voter says with which probability counts its
silence as a way to speak, so that a rule that knows one label tells something; whether silence itself moves the result
is a choice. And every row of votes is drawn, as by `strength` votes more, towards the accuracy of all voters together:
a rule with five votes is not believed to be perfect.

Documents with the same votes are one row with a weight. An iteration takes time in proportion to votes times labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from labelmill.errors import InputError
from labelmill.learning.votes import LETTERS, KnownLabels, SoftLabels, Votes

STRENGTH = 500.0
ROUNDS = 200
MOST_CELLS = 40_000_000
"""Of the table of all that voters say against all labels, and of documents at once: 320 MB."""

_STILL = 1e-4
_SMALLEST = 1e-9
_ACCURACY = (0.5, 0.95)


@dataclass(frozen=True, slots=True, eq=False)
class Confusions:
    """What was found of voters.

    Attributes:
        prior: Share of each label, shape (labels,).
        accuracy: Of each voter, over what it said, shape (voters,).
        rounds: Of EM, until nothing moved.
    """

    prior: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    rounds: int


def dawid_skene(
    votes: Votes,
    known: KnownLabels | None = None,
    *,
    strength: float = STRENGTH,
    silence: bool = False,
    rounds: int = ROUNDS,
) -> tuple[SoftLabels, Confusions]:
    """Find the probability of each label of each document, and how good voters are.

    Args:
        votes: On labels that exclude each other.
        known: Documents whose label is known; they teach, and keep their label.
        strength: Votes that speak for the mean accuracy beside what a voter said of a label.
        silence: Whether that a voter says nothing moves the result.
        rounds: Of EM at most.

    Raises:
        InputError: The tables would not fit in memory.
    """
    table = _Table.of(votes, known or KnownLabels.none())
    posterior = table.clamp(table.majority())
    model = _Model(votes, table, strength, silence=silence)
    for done in range(1, rounds + 1):  # noqa: B007 - told below
        weights, base = model.learn(posterior)
        before, posterior = posterior, table.clamp(_softmax(table.said @ weights + base[table.group]))
        if np.abs(posterior - before).max(initial=0.0) < _STILL:
            break
    weights, base = model.learn(posterior)
    return table.spread(posterior), Confusions(model.prior, model.accuracy(posterior), done)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Distinct rows of votes.

    `said` counts for each row the symbols (voter, label, letter) in it, shape (rows, symbols).
    """

    said: sparse.csr_matrix
    weight: NDArray[np.float64]
    group: NDArray[np.int64]
    truth: NDArray[np.int64]
    row_of: NDArray[np.int64]
    voter: NDArray[np.int64]
    label: NDArray[np.int64]
    letter: NDArray[np.int64]
    labels: int

    @classmethod
    def of(cls, votes: Votes, known: KnownLabels) -> _Table:
        keys = (votes.voter.astype(np.int64) * votes.labels + votes.label) * LETTERS + votes.letters
        symbols, column = np.unique(keys, return_inverse=True)
        truth = np.full(votes.documents, -1, np.int64)
        truth[known.document] = known.label
        # Documents of equal votes are found by a sum of random numbers, one a symbol.
        marks = np.random.default_rng(0).integers(1, 2**62, len(symbols), dtype=np.int64)
        hashed = np.zeros(votes.documents, np.int64)
        np.add.at(hashed, votes.document, marks[column])
        mixed = hashed * 1_000_003 + (truth + 1) * len(votes.shown) + votes.group
        _, first, row_of, count = np.unique(mixed, return_index=True, return_inverse=True, return_counts=True)
        if max(len(symbols), len(first)) * votes.labels > MOST_CELLS:
            raise InputError(
                f"{votes.labels:,} labels that exclude each other are too many for {len(symbols):,} kinds of votes on "
                f"{len(first):,} distinct documents",
                remedy="Combine them as labels of which a document may have several.",
            )
        chosen = first[row_of[votes.document]] == votes.document
        ones = np.ones(int(chosen.sum()))
        shape = len(first), len(symbols)
        said = sparse.csr_matrix((ones, (row_of[votes.document[chosen]], column[chosen])), shape=shape)
        rest, letter = np.divmod(symbols, LETTERS)
        voter, label = np.divmod(rest, votes.labels)
        group = votes.group[first].astype(np.int64)
        return cls(said, count.astype(float), group, truth[first], row_of, voter, label, letter, votes.labels)

    @property
    def voted(self) -> NDArray[np.bool_]:
        """Which rows have a vote or a known label."""
        return np.asarray((np.diff(self.said.indptr) > 0) | (self.truth >= 0))

    def majority(self) -> NDArray[np.float64]:
        """Give each label its share of the votes, and every label a little."""
        signs = np.where(self.letter >= LETTERS // 2, 1.0, -1.0)
        heads = sparse.csr_matrix((signs, (np.arange(len(signs)), self.label)), shape=(len(signs), self.labels))
        counts = np.maximum((self.said @ heads).toarray(), 0) + 0.1
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))

    def clamp(self, posterior: NDArray[np.float64]) -> NDArray[np.float64]:
        """Set the rows whose label is known."""
        known = self.truth >= 0
        posterior[known] = 0
        posterior[known, self.truth[known]] = 1
        return posterior

    def spread(self, posterior: NDArray[np.float64]) -> SoftLabels:
        """Give each document the labels of its row that are worth a mention; none where nobody voted."""
        kept = (posterior >= 1e-3) & self.voted[:, None]
        rows, labels = np.nonzero(kept)
        sizes = np.bincount(rows, minlength=len(posterior))
        starts = np.append(0, np.cumsum(sizes)[:-1])
        mine = sizes[self.row_of]
        document = np.repeat(np.arange(len(self.row_of)), mine)
        within = np.arange(len(document)) - np.repeat(np.cumsum(mine) - mine, mine)
        places = starts[self.row_of][document] + within
        return SoftLabels(document, labels[places], posterior[rows[places], labels[places]])


class _Model:
    """The M step: from what is believed of documents to what each symbol is worth."""

    def __init__(self, votes: Votes, table: _Table, strength: float, *, silence: bool) -> None:
        self._table, self._strength, self._silence = table, strength, silence
        self._shown = votes.shown
        self._voters = len(votes.voters)
        self._count = np.asarray(table.said.T @ table.weight)  # of each symbol
        self._for = table.letter >= LETTERS // 2
        self.prior = np.full(table.labels, 1 / table.labels)

    def learn(self, posterior: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weight of each symbol for each label, and what rows of each group start from."""
        table = self._table
        mass = posterior * table.weight[:, None]
        voted = table.voted
        self.prior = (mass[voted].sum(axis=0) + 1) / (table.weight[voted].sum() + table.labels)
        counts = np.asarray(table.said.T @ mass)
        by_group = np.zeros((len(self._shown), table.labels))
        np.add.at(by_group, table.group, mass)
        seen = self._shown.T.astype(float) @ by_group  # mass of each label that each voter was shown
        drawn = self._strength / np.maximum(self._count, 1)[:, None]
        expected = seen.sum(axis=1)[table.voter][:, None] * self.prior
        rates = (counts + self._strength * self._centre(counts)) / (seen[table.voter] + drawn * expected)
        rates = np.clip(rates, _SMALLEST, 1 - 1e-6)
        weights = np.log(rates)
        base = np.tile(np.log(self.prior), (len(self._shown), 1))
        if self._silence:
            spoken = np.zeros((self._voters, table.labels))
            np.add.at(spoken, table.voter, rates)
            quiet = np.log(np.clip(1 - spoken, 1e-6, 1))
            weights -= quiet[table.voter]
            base += self._shown.astype(float) @ quiet
        return weights, base

    def accuracy(self, posterior: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of each voter's votes that are right."""
        right = self._right(np.asarray(self._table.said.T @ (posterior * self._table.weight[:, None])))
        of = np.bincount(self._table.voter, self._count, self._voters)
        return np.asarray(np.bincount(self._table.voter, right, self._voters) / np.maximum(of, 1))

    def _right(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Count how often each symbol was right."""
        own = counts[np.arange(len(counts)), self._table.label]
        return np.where(self._for, own, self._count - own)

    def _centre(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Say how one vote of each symbol is spread over labels by the mean accuracy of all."""
        mean = float(np.clip(self._right(counts).sum() / max(self._count.sum(), 1), *_ACCURACY))
        rows, label = np.arange(len(counts)), self._table.label
        others = np.tile(self.prior, (len(counts), 1))
        others[rows, label] = 0
        others /= np.maximum(others.sum(axis=1, keepdims=True), _SMALLEST)
        # A vote against a label leaves it (1 - mean) / mean of its odds, whatever its share; for two labels as frequent
        # that is 1 - mean of the votes.
        usual = self.prior[label]
        denied = usual * (1 - mean) / (usual * (1 - mean) + (1 - usual) * mean)
        own = np.where(self._for, mean, denied)
        centre = others * (1 - own)[:, None]
        centre[rows, label] = own
        return np.asarray(centre)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
