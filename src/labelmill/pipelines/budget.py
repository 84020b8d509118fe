"""What a run may cost at most, and whether another batch still fits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may cost, over all its sittings.

    Attributes:
        tokens: Read and written; None for no cap.
        hours: At work; None for no cap.
    """

    tokens: int | None = None
    hours: float | None = None


@dataclass(slots=True)
class Account:
    """Keeps a run within its budget: an expected cost is set aside for every document that is under way.

    Attributes:
        budget: The caps.
        tokens: Spent, earlier sittings included.
        seconds: At work in earlier sittings.
        settled: Documents whose cost is in `tokens` for good, of this sitting.
        settled_tokens: What they cost.
        open: Documents under way.
    """

    budget: Budget
    tokens: int = 0
    seconds: float = 0.0
    settled: int = 0
    settled_tokens: int = 0
    open: int = 0

    def settle(self, documents: int, tokens: int) -> None:
        """Take note that documents are done, and of what was spent since the last time."""
        self.open -= documents
        self.settled += documents
        self.settled_tokens += tokens
        self.tokens += tokens

    def room_for(self, documents: int, seconds: float) -> bool | None:
        """Tell whether as many documents still fit; None for: not known before some that are under way are done.

        Args:
            documents: That would be taken next.
            seconds: Of this sitting, so far.
        """
        if self.budget.hours is not None and self.seconds + seconds >= 3600 * self.budget.hours:
            return False
        if self.budget.tokens is None:
            return True
        if self.tokens >= self.budget.tokens:
            return False
        if not self.settled:
            return None if self.open else True
        each = self.settled_tokens / self.settled
        if self.tokens + each * (self.open + documents) <= self.budget.tokens:
            return True
        return None if self.open else False
