"""What a run may cost at most, and whether another batch still fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labelmill.pipelines.feeding import BATCH_DOCUMENTS
from labelmill.records import Document, Failure


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may cost, over all its sittings.

    Attributes:
        tokens: Read and written; None for no cap.
        hours: At work; None for no cap.
    """

    tokens: int | None = None
    hours: float | None = None


def size_of(batch: Iterable[Document | Failure], piece: int) -> float:
    """Say how large a batch is: about as many as the questions of one stage, as one is asked for each piece.

    Args:
        batch: Its documents; rows that cannot be read cost nothing.
        piece: Characters of a piece at most.
    """
    return sum(1 + len(item.text) / piece for item in batch if isinstance(item, Document))


_FIRST_OF_A_BUDGET = 2


@dataclass(slots=True)
class Account:
    """Keeps a run within its budget: what a batch may cost is set aside while it is under way.

    That is what the dearest batch so far has cost for its size. Batches whose answers were all there already say
    nothing of that; and no more is under way at once than has been seen, lest many turn out dearer together.

    Attributes:
        budget: The caps.
        tokens: Spent, earlier sittings included.
        seconds: At work in earlier sittings.
        open: Size of what is under way.
        seen: Size of the batches, of this sitting, that are done and asked the model.
        dearest: Tokens that the dearest of them took, for each unit of its size.
    """

    budget: Budget
    tokens: int = 0
    seconds: float = 0.0
    open: float = 0.0
    seen: float = 0.0
    dearest: float = 0.0

    @property
    def first_batch(self) -> int:
        """Documents to begin with: few, where a cap on tokens holds and nobody knows yet what one takes."""
        return BATCH_DOCUMENTS if self.budget.tokens is None else _FIRST_OF_A_BUDGET

    def settle(self, size: float, tokens: int, spent: int) -> None:
        """Take note that a batch is done.

        Args:
            size: As it was opened with.
            tokens: That it took itself.
            spent: By it and all others, since the last time.
        """
        self.open -= size
        self.tokens += spent
        if tokens and size:
            self.seen += size
            self.dearest = max(self.dearest, tokens / size)

    def room_for(self, size: float, seconds: float) -> bool | None:
        """Tell whether a batch still fits; None for: not known before some that are under way are done.

        Args:
            size: Of the batch that would be taken next.
            seconds: Of this sitting, so far.
        """
        if self.budget.hours is not None and self.seconds + seconds >= 3600 * self.budget.hours:
            return False
        if self.budget.tokens is None:
            return True
        if self.tokens >= self.budget.tokens:
            return False
        alone = self.open < _NOTHING
        if not alone and self.open + size > self.seen:
            return None
        if self.tokens + self.dearest * (self.open + size) <= self.budget.tokens:
            return True
        return False if alone else None


_NOTHING = 1e-6
"""Sizes add up to 0 but for rounding."""
