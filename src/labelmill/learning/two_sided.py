"""Votes on labels of which a document may have several: two-sided Dawid-Skene, in time proportional to the votes.

For each voter and label, EM finds how often the voter says yes where the label is right, and where it is wrong.

A voter's two rates for a label are drawn towards its rates over all labels, as by `strength` votes, so that a label
that was voted on five times borrows from the others. What a voter says has levels (`Votes.letters`), each with rates of
its own: what a rank or a confidence is worth is learned, not believed.

Silence of two kinds. A voter that judges what it is shown (for and against) abstains by saying nothing: its rates are
of what it said, and pairs of document and label on which nobody voted are left out of account. A voter that speaks by
silence says no to all labels that it ever votes on, in every document that it was shown: then every pair of a document
and a label counts, those on which nobody voted label by label together, so that the cost is that of the votes still.
No label is then taken to be true more often than some voter votes for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit, logit

from labelmill.learning.pairs import Pairs, number
from labelmill.learning.votes import LETTERS, KnownLabels, SoftLabels, Votes

STRENGTH = 20.0
ROUNDS = 150

_STILL = 1e-4
_LEAST = 1e-7
_BALANCE_STRENGTH = 10.0
"""Pairs that speak for the usual share of true ones, beside those of a label."""

_GOOD, _WRONG, _HOLD = 0.7, 0.3, 10.0
"""Before anything is learned, voters are thought right in 7 of 10 votes, as by ten votes: what tells yes from no."""

_WORTH = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """What was found of voters, over all labels.

    Attributes:
        true_yes: How often a voter votes for a label that is right, among its votes on such labels; where it speaks by
            silence, among all of them that it was shown. Shape (voters,).
        false_yes: The same of labels that are wrong.
        precision: Share of its votes for labels that are right.
        prior: Share of true pairs of each label, among those that count, shape (labels,).
        rounds: Of EM, until nothing moved.
    """

    true_yes: NDArray[np.float64]
    false_yes: NDArray[np.float64]
    precision: NDArray[np.float64]
    prior: NDArray[np.float64]
    rounds: int


def two_sided(
    votes: Votes, known: KnownLabels | None = None, *, strength: float = STRENGTH, rounds: int = ROUNDS
) -> tuple[SoftLabels, Rates]:
    """Find the probability of each pair of a document and a label that has a vote, and how good voters are.

    Args:
        votes: Of voters on any labels.
        known: Documents of which all labels are known; they teach, and keep their labels.
        strength: Votes that speak for a voter's rates over all labels, beside what it said of one.
        rounds: Of EM at most.
    """
    pairs = Pairs.of(votes, known or KnownLabels.none())
    model = _Model(votes, pairs, strength)
    posterior = pairs.clamp(model.first())
    for done in range(1, rounds + 1):  # noqa: B007 - told below
        model.learn(posterior)
        before, posterior = posterior, pairs.clamp(model.infer())
        if np.abs(posterior - before).sum() <= _STILL * posterior.sum():
            break
    model.learn(posterior)
    return pairs.soft(posterior, _WORTH), model.rates(posterior, done)


class _Model:
    """The state of EM: `learn` is the M step, `infer` the E step.

    Rates are kept by block, a voter and a label that it votes on; B of them, with as many cells as there are letters.
    """

    def __init__(self, votes: Votes, pairs: Pairs, strength: float) -> None:
        self._pairs, self._strength, self._votes = pairs, strength, votes
        blocks, block = number(votes.voter.astype(np.int64) * votes.labels + votes.label)
        self._voter, self._label = np.divmod(blocks, votes.labels)
        cell = block * LETTERS + votes.letters
        shape = len(pairs.label), len(blocks) * LETTERS
        # Which cells each pair has votes in, shape (P, 8 B): both steps are one product with it.
        self._said = sparse.csr_matrix((np.ones(len(votes)), (pairs.of_vote, cell)), shape=shape)
        self._all = self._count(np.ones(len(pairs.label)))
        self._used = self._by_voter(self._all) > 0
        self._silent = votes.silence[self._voter]
        self._whole = bool(votes.silence.any())  # whether pairs without a vote count
        groups = len(pairs.sizes)
        place = pairs.label * groups + pairs.group
        self._place = place
        touched = np.bincount(place, minlength=votes.labels * groups).reshape(-1, groups)
        self._untouched = (pairs.sizes - touched) if self._whole else np.zeros(touched.shape)
        self._pairs_of = self._untouched.sum(axis=1) + touched.sum(axis=1)
        named = pairs.truth == 1
        named[pairs.of_vote[votes.sign > 0]] = True
        self._named = np.bincount(pairs.label[named], minlength=votes.labels)
        self.prior = np.full(votes.labels, 0.5)
        self._base = np.zeros((votes.labels, groups))
        self._weights = np.zeros(self._all.size)

    def first(self) -> NDArray[np.float64]:
        """Begin with the share of votes for, of those on a pair, and half a vote each way beside them."""
        votes, pairs = self._votes, self._pairs
        total = np.bincount(pairs.of_vote, votes.confidence, len(pairs.label))
        agree = np.bincount(pairs.of_vote, votes.confidence * (votes.sign > 0), len(pairs.label))
        quiet = 0.5 * pairs.quiet(votes, np.ones(len(votes.voters)))  # half of it is believed, to begin with
        return np.asarray((agree + 0.5) / (total + 1 + quiet))

    def infer(self) -> NDArray[np.float64]:
        """Compute the probability of each pair."""
        said = self._said @ self._weights
        return np.asarray(expit(said + (logit(self.prior)[:, None] + self._base).ravel()[self._place]))

    def learn(self, posterior: NDArray[np.float64]) -> None:
        """Set prior, weights and what silence is worth by what is believed of the pairs."""
        yes = self._count(posterior)
        no = np.maximum(self._all - yes, 0)
        mass = self._mass(posterior)
        self._set_prior(mass.sum(axis=1))
        true, false = self._spoken(yes, no)
        if self._whole:
            here = self._silent
            true[here], false[here] = self._covering(yes, no, mass, here)
        quiet = np.zeros(len(self._voter))
        if self._whole:
            left = [np.log(np.clip(1 - each[here].sum(axis=1), _LEAST, 1)) for each in (true, false)]
            quiet[here] = left[0] - left[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = np.log(np.maximum(true, _LEAST)) - np.log(np.maximum(false, _LEAST)) - quiet[:, None]
        self._weights = np.where(self._all > 0, worth, 0.0).ravel()
        for group, shown in enumerate(self._pairs.shown):
            self._base[:, group] = np.bincount(self._label, quiet * shown[self._voter], len(self._base))

    def _mass(self, posterior: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up what is believed true, by label and group, pairs without a vote included."""
        counted = np.bincount(self._place, posterior, self._base.size)
        touched = np.asarray(counted.reshape(self._base.shape), dtype=np.float64)
        if not self._whole:
            return touched
        untold = expit(logit(self.prior)[:, None] + self._base)
        untold[:, self._pairs.known] = 0  # what is true there is a pair of gold
        return np.asarray(touched + self._untouched * untold)

    def _set_prior(self, true: NDArray[np.float64]) -> None:
        usual = true.sum() / max(self._pairs_of.sum(), 1)
        hold = 1.0 if self._whole else _BALANCE_STRENGTH
        prior = (true + hold * usual) / (self._pairs_of + hold)
        if self._whole:
            # Else all voters could as well be those that name what is wrong, and miss what is right.
            prior = np.minimum(prior, self._named / np.maximum(self._pairs_of, 1))
        self.prior = np.clip(prior, _LEAST, 1 - 1e-4)

    def _spoken(
        self, yes: NDArray[np.float64], no: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find the rates of letters among what was said."""
        found = []
        for counts, good in ((yes, _GOOD), (no, _WRONG)):
            usual = self._by_voter(counts) + _HOLD * self._guess(good)
            usual /= np.maximum(usual.sum(axis=1, keepdims=True), _LEAST)
            held = counts + self._strength * usual[self._voter]
            found.append(held / held.sum(axis=1, keepdims=True))
        return found[0], found[1]

    def _covering(
        self,
        yes: NDArray[np.float64],
        no: NDArray[np.float64],
        mass: NDArray[np.float64],
        here: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find the rates of letters over all that was shown, silence included, of the voters that speak by it.

        What is shared among labels of the wrong votes is their share of the votes, for a label that is often given is
        often given wrongly; of the right ones it is their share of what is there to find.
        """
        voter = self._voter[here]
        seen = self._seen(mass, here), self._seen(np.maximum(self._untouched_and_touched() - mass, 0), here)
        right, wrong, said = yes[here], no[here], self._all[here]
        there = np.bincount(voter, seen[0], len(self._used))
        guess = self._guess(_GOOD)
        usual = (self._sum(right, voter) + _HOLD * 0.5 * guess) / (there[:, None] + _HOLD)
        true = (right + self._strength * usual[voter]) / (seen[0] + self._strength)[:, None]
        amiss = self._sum(wrong, voter) + _HOLD * self._guess(_WRONG)
        share = amiss / (self._sum(said, voter) + _HOLD * (guess + self._guess(_WRONG)) + _LEAST)
        held = (wrong + self._strength * share[voter]) * said / (said + self._strength)
        false = held / np.maximum(seen[1], 1)[:, None]
        return np.clip(true, 0, 1), np.clip(false, 0, 1)

    def _untouched_and_touched(self) -> NDArray[np.float64]:
        return np.broadcast_to(self._pairs.sizes, self._base.shape)

    def _seen(self, by_group: NDArray[np.float64], here: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Add up, for blocks, the mass of their label in the documents that their voter was shown."""
        found = np.zeros(int(here.sum()))
        for group, shown in enumerate(self._pairs.shown):
            found += by_group[self._label[here], group] * shown[self._voter[here]]
        return found

    def _guess(self, good: float) -> NDArray[np.float64]:
        """Spread one vote over the letters that each voter uses: `good` for, the rest against; shape (voters, 8)."""
        against, agree = self._used[:, : LETTERS // 2], self._used[:, LETTERS // 2 :]
        parts = [
            used * share / np.maximum(used.sum(axis=1, keepdims=True), 1)
            for used, share in ((against, 1 - good), (agree, good))
        ]
        return np.concatenate(parts, axis=1)

    def _count(self, mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up over the votes of each cell a number of each pair, shape (B, 8)."""
        return np.asarray(self._said.T @ mass).reshape(-1, LETTERS)

    def _by_voter(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._sum(counts, self._voter)

    def _sum(self, counts: NDArray[np.float64], voter: NDArray[np.int64]) -> NDArray[np.float64]:
        found = np.zeros((len(self._votes.voters), LETTERS))
        np.add.at(found, voter, counts)
        return found

    def rates(self, posterior: NDArray[np.float64], rounds: int) -> Rates:
        """Sum up what was found of each voter."""
        yes = self._count(posterior)
        right, said = self._by_voter(yes), self._by_voter(self._all)
        mass = self._mass(posterior)
        everything = np.ones(len(self._voter), np.bool_)
        there = np.bincount(self._voter, self._seen(mass, everything), len(right))
        rest = self._seen(self._untouched_and_touched() - mass, everything)
        absent = np.bincount(self._voter, rest, len(right))
        half = LETTERS // 2
        silent = self._votes.silence
        of_true = np.where(silent, there, right.sum(axis=1))
        of_false = np.where(silent, absent, (said - right).sum(axis=1))
        agree, wrong = right[:, half:].sum(axis=1), (said - right)[:, half:].sum(axis=1)
        return Rates(
            agree / np.maximum(of_true, _LEAST),
            wrong / np.maximum(of_false, _LEAST),
            agree / np.maximum(agree + wrong, _LEAST),
            self.prior,
            rounds,
        )
