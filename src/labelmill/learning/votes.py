"""Votes of many voters on many documents, as flat arrays: what every way of combining them takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError

LETTERS = 8
"""What a voter can say of a label: for or against, at one of four levels of rank or confidence."""

_RANKS = np.array([1, 3, 10])
"""Last ranks of the first three levels; they double or triple, as what a rank is worth falls."""

_SHARES = (1 / 3, 2 / 3)
_FEWEST_FOR_LEVELS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Voter:
    """Who votes.

    Attributes:
        name: Unique among the voters.
        speaks_by_silence: Whether saying nothing of a label, in a document that it was shown, is a no of some worth:
            true of a run, an annotator or a rule that can only say yes. False where saying nothing is abstaining.
    """

    name: str
    speaks_by_silence: bool = False


@dataclass(frozen=True, eq=False)
class Votes:
    """n votes; a voter votes once at most on a label of a document.

    Attributes:
        voters: Who votes, by number.
        documents: How many documents there are, voted on or not.
        labels: How many labels there are.
        voter: Shape (n,).
        document: Shape (n,).
        label: Shape (n,).
        sign: 1 for, -1 against, shape (n,).
        confidence: In 0..1, 1 where a voter does not say, shape (n,).
        rank: From 1 within the voter's ranking of the document, 0 where it does not rank, shape (n,).
        group: The group of each document; those of one were shown to the same voters. Shape (documents,).
        shown: Whether documents of a group were shown to a voter, shape (groups, voters). By default, all to all.
    """

    voters: Sequence[Voter]
    documents: int
    labels: int
    voter: NDArray[np.int32]
    document: NDArray[np.int32]
    label: NDArray[np.int32]
    sign: NDArray[np.int8]
    confidence: NDArray[np.float32]
    rank: NDArray[np.int32]
    group: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    shown: NDArray[np.bool_] = field(default_factory=lambda: np.empty((0, 0), np.bool_))

    def __post_init__(self) -> None:
        """Fill in who was shown what, where nothing is said of it, and see that numbers are in range.

        Raises:
            InputError: Arrays differ in length, or a number is out of range.
        """
        if not len(self.shown):
            object.__setattr__(self, "group", np.zeros(self.documents, np.int32))
            object.__setattr__(self, "shown", np.ones((1, len(self.voters)), np.bool_))
        limits = {"voter": len(self.voters), "document": self.documents, "label": self.labels}
        for name, limit in limits.items():
            numbers = getattr(self, name)
            if len(numbers) != len(self.sign):
                raise InputError(f"{len(numbers)} numbers of {name}s for {len(self.sign)} votes")
            if len(numbers) and not (numbers.min() >= 0 and numbers.max() < limit):
                raise InputError(f"the number of a {name} is not from 0 to {limit - 1}")

    def __len__(self) -> int:
        """Count the votes."""
        return len(self.sign)

    def where(self, kept: NDArray[np.bool_]) -> Votes:
        """Keep some votes."""
        return replace(
            self,
            voter=self.voter[kept],
            document=self.document[kept],
            label=self.label[kept],
            sign=self.sign[kept],
            confidence=self.confidence[kept],
            rank=self.rank[kept],
        )

    @property
    def silence(self) -> NDArray[np.bool_]:
        """Which voters speak by silence, shape (voters,)."""
        return np.array([voter.speaks_by_silence for voter in self.voters], dtype=np.bool_)

    @cached_property
    def letters(self) -> NDArray[np.int64]:
        """What each vote says: 4 and up for, 0 to 3 against, by the level of its rank, else of its confidence."""
        level = np.searchsorted(_RANKS, self.rank).astype(np.int64)
        if len(self) and self.confidence.min() < self.confidence.max():
            unranked = np.flatnonzero(self.rank == 0)
            level[unranked] = self._confidence_levels(unranked)
        return level + 4 * (self.sign > 0)

    def _confidence_levels(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cut each voter's confidence into thirds, for and against apart.

        Ties are in one level, that of their middle, and so apart from what is surer and less sure.
        """
        levels = np.zeros(len(places), np.int64)
        of = 2 * self.voter[places].astype(np.int64) + (self.sign[places] > 0)
        order = np.argsort(of, kind="stable")
        ends = np.cumsum(np.bincount(of, minlength=2 * len(self.voters)))
        for start, end in zip(np.append(0, ends[:-1]), ends, strict=True):
            part = order[start:end]
            if len(part) >= _FEWEST_FOR_LEVELS:
                _, value, count = np.unique(-self.confidence[places[part]], return_inverse=True, return_counts=True)
                middle = (np.cumsum(count) - count / 2) / len(part)
                levels[part] = np.searchsorted(_SHARES, middle)[value]
        return levels


@dataclass(frozen=True, slots=True, eq=False)
class SoftLabels:
    """Labels of documents with what is thought of each; a pair that is absent is worth nothing.

    Attributes:
        document: Shape (m,), ascending.
        label: Shape (m,).
        score: Shape (m,); a probability, but of rank aggregation.
    """

    document: NDArray[np.int64]
    label: NDArray[np.int64]
    score: NDArray[np.float64]

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.score)


@dataclass(frozen=True, slots=True, eq=False)
class KnownLabels:
    """Gold: documents of which all labels are known.

    Attributes:
        documents: Their numbers, shape (g,); those without a label are there too.
        document: Of each gold label, shape (h,).
        label: Of each gold label, shape (h,).
    """

    documents: NDArray[np.int64]
    document: NDArray[np.int64]
    label: NDArray[np.int64]

    @classmethod
    def none(cls) -> KnownLabels:
        """Know nothing."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, nothing)

    def only(self, kept: NDArray[np.int64]) -> KnownLabels:
        """Keep some documents, by their numbers."""
        here = np.isin(self.document, kept)
        return KnownLabels(self.documents[np.isin(self.documents, kept)], self.document[here], self.label[here])
