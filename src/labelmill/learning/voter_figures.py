"""What can be said of voters: how much they cover, overlap, contradict, are right, and say the same as another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from labelmill.learning.pairs import number
from labelmill.learning.votes import KnownLabels, Votes

_FEWEST_COMMON = 20
_SURPRISING = 4.0
"""Standard errors by which two voters agree more than independent ones of their accuracy would."""

_NOTABLE = 0.05
_ECHO = 0.95
"""Share of its votes that an echo has in common with another voter, and of these that are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class VoterFigures:
    """Figures of each voter, shape (voters,) each; those of documents are shares of the documents that it was shown.

    Attributes:
        votes: How many it cast.
        against: Those of them that are against a label.
        labels: Distinct labels that it voted on.
        shown: Documents that it was shown.
        coverage: Documents with a vote of it.
        overlap: Documents where another voter votes on the same: on one of its labels, or, where labels exclude each
            other, on any.
        conflict: Documents where another voter contradicts it.
        judged: Votes of it on documents with gold.
        right: Those of them that gold bears out.
    """

    votes: NDArray[np.int64]
    against: NDArray[np.int64]
    labels: NDArray[np.int64]
    shown: NDArray[np.int64]
    coverage: NDArray[np.float64]
    overlap: NDArray[np.float64]
    conflict: NDArray[np.float64]
    judged: NDArray[np.int64]
    right: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Echo:
    """Two voters that agree more than they should, were they independent.

    Attributes:
        first: Number of one.
        second: Number of the other.
        common: What both voted on.
        agreement: The share of it on which they say the same.
        expected: That share, of independent voters of their accuracy.
    """

    first: int
    second: int
    common: int
    agreement: float
    expected: float


def figures_of(votes: Votes, known: KnownLabels, *, exclusive: bool) -> VoterFigures:
    """Count what voters did, and what of it was right."""
    n = len(votes.voters)
    item = (
        votes.document.astype(np.int64) if exclusive else votes.document.astype(np.int64) * votes.labels + votes.label
    )
    _, place = number(item)
    here = np.bincount(place)
    distinct = np.unique(votes.voter.astype(np.int64) * votes.labels + votes.label) // votes.labels
    sizes = np.bincount(votes.group, minlength=len(votes.shown))
    shown = sizes @ votes.shown
    met = _documents(votes, np.ones(len(votes), np.bool_))
    if exclusive:  # a voter that says two things of a document does not overlap with itself
        own = np.unique(votes.voter.astype(np.int64) * votes.documents + votes.document, return_inverse=True)[1]
        alone = here[place] == np.bincount(own)[own]
    else:
        alone = here[place] == 1
    judged, right = _against_gold(votes, known)
    return VoterFigures(
        votes=np.bincount(votes.voter, minlength=n),
        against=np.bincount(votes.voter[votes.sign < 0], minlength=n),
        labels=np.bincount(distinct, minlength=n),
        shown=shown,
        coverage=met / np.maximum(shown, 1),
        overlap=_documents(votes, ~alone) / np.maximum(shown, 1),
        conflict=_documents(votes, _contradicted(votes, place, exclusive=exclusive)) / np.maximum(shown, 1),
        judged=np.bincount(votes.voter[judged], minlength=n),
        right=np.bincount(votes.voter[judged & right], minlength=n),
    )


def echoes_of(votes: Votes, accuracy: NDArray[np.float64], *, exclusive: bool, most: int = 50) -> list[Echo]:
    """Find voters that say the same too often: their votes count for less than they seem to.

    Two that both only ever say yes, or no, agree on whatever both say, unless labels exclude each other. Of them one is
    an echo that hardly says anything that the other does not.

    Args:
        votes: All of them.
        accuracy: Share of each voter's votes that are right, as far as is known.
        exclusive: Whether labels exclude each other.
        most: How many to list, those with most in common first.
    """
    keys = votes.document.astype(np.int64) * votes.labels + votes.label
    common, agree = _common(votes, keys, exclusive=exclusive)
    own = common.diagonal()
    agree_only, deny_only = (np.bincount(votes.voter, votes.sign == sign, len(own)) == 0 for sign in (-1, 1))
    found = []
    for i, j in zip(*np.nonzero(np.triu(common >= _FEWEST_COMMON, k=1)), strict=True):
        count, share = common[i, j], agree[i, j] / common[i, j]
        chance = accuracy[[i, j]]
        wrong = float(np.prod(1 - chance)) / (max(votes.labels - 1, 1) if exclusive else 1)
        expected = min(float(np.prod(chance)) + wrong, 1.0)
        spread = np.sqrt(max(expected * (1 - expected), 1e-4) / count)
        could = exclusive or not (agree_only[[i, j]].all() or deny_only[[i, j]].all())
        more = could and share - expected > max(_NOTABLE, _SURPRISING * spread)
        if more or (share >= _ECHO and count >= _ECHO * min(own[i], own[j])):
            found.append(Echo(int(i), int(j), int(count), float(share), expected))
    return sorted(found, key=lambda echo: -echo.common)[:most]


def _common(
    votes: Votes, keys: NDArray[np.int64], *, exclusive: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count for each two voters what both voted on, and what they said the same of, shape (voters, voters)."""
    _, place = number(keys)
    n = len(votes.voters)
    shape = int(place.max(initial=-1)) + 1, n
    signs = sparse.csr_matrix((votes.sign.astype(float), (place, votes.voter)), shape=shape)
    both = (abs(signs).T @ abs(signs)).toarray()
    same = (both + (signs.T @ signs).toarray()) / 2
    if not exclusive:
        return both, same
    met = sparse.csr_matrix((np.ones(len(votes)), (votes.document, votes.voter)), shape=(votes.documents, n))
    met.data[:] = 1
    return (met.T @ met).toarray(), same


def _contradicted(votes: Votes, place: NDArray[np.int64], *, exclusive: bool) -> NDArray[np.bool_]:
    """Tell of each vote whether another on the same says otherwise."""
    agree = np.bincount(place, votes.sign > 0)[place]
    against = np.bincount(place, votes.sign < 0)[place]
    if not exclusive:
        return np.asarray((agree > 0) & (against > 0))
    keys = votes.document.astype(np.int64) * votes.labels + votes.label
    _, pair = number(keys)
    same = np.bincount(pair, votes.sign > 0)[pair]
    denied = np.bincount(pair, votes.sign < 0)[pair]
    return np.asarray(np.where(votes.sign > 0, (agree > same) | (denied > 0), same > 0))


def _documents(votes: Votes, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count for each voter the documents of some votes."""
    keys = np.unique(votes.voter[kept].astype(np.int64) * max(votes.documents, 1) + votes.document[kept])
    return np.bincount(keys // max(votes.documents, 1), minlength=len(votes.voters))


def _against_gold(votes: Votes, known: KnownLabels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell of each vote whether its document has gold, and whether that bears it out."""
    keys = votes.document.astype(np.int64) * votes.labels + votes.label
    true = np.isin(keys, known.document * votes.labels + known.label)
    return np.isin(votes.document, known.documents), true == (votes.sign > 0)
