"""What optimising may cost and what it has cost: calls and tokens of student and teacher, each answer counted once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Self

from labelmill.errors import LabelmillError
from labelmill.pipelines.optimise.journal import Entry


@dataclass(frozen=True, slots=True)
class Allowance:
    """The most that optimising may cost, earlier sittings with the same journal included.

    Attributes:
        calls: Requests to student and teacher together; None for no cap.
        tokens: Read and written; None for no cap.
    """

    calls: int | None = None
    tokens: int | None = None

    def share(self, spent: Usage, share: float, held_back: Usage) -> Allowance:
        """Give a share of what is left, on top of what is spent, less what is held back for later.

        Args:
            spent: So far, by all.
            share: Of what is left, from 0 to 1.
            held_back: What has to remain for what comes after.
        """
        return Allowance(
            _share(self.calls, spent.calls, share, held_back.calls),
            _share(self.tokens, spent.tokens, share, held_back.tokens),
        )

    def left(self, spent: Usage) -> Allowance:
        """Give what is left of it."""
        return Allowance(
            None if self.calls is None else max(0, self.calls - spent.calls),
            None if self.tokens is None else max(0, self.tokens - spent.tokens),
        )

    def is_spent(self, spent: Usage) -> bool:
        """Tell whether nothing is left."""
        return (self.calls is not None and spent.calls >= self.calls) or (
            self.tokens is not None and spent.tokens >= self.tokens
        )


def _share(cap: int | None, spent: int, share: float, held_back: int) -> int | None:
    return None if cap is None else spent + max(0, int((cap - spent) * share) - held_back)


@dataclass(frozen=True, slots=True)
class Usage:
    """What answers have cost; an answer that is used often counts once.

    Attributes:
        calls: Requests, repeated ones included.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        reused: Answers that an earlier sitting had paid for; their cost is in the other figures.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reused: int = 0

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt_tokens + self.completion_tokens

    def times(self, factor: int) -> Usage:
        """Multiply the tokens; the calls stay."""
        return Usage(self.calls, factor * self.prompt_tokens, factor * self.completion_tokens)

    def plus(self, other: Usage, sign: int = 1) -> Usage:
        """Add another; subtract it, with the sign -1."""
        return Usage(
            self.calls + sign * other.calls,
            self.prompt_tokens + sign * other.prompt_tokens,
            self.completion_tokens + sign * other.completion_tokens,
            self.reused + sign * other.reused,
        )


class Stopped(BaseException):
    """Optimising has to end: nothing is left to spend, or no answer can be had.

    Not an `Exception`, since DSPy goes on after any of those.

    Attributes:
        error: Why no answer can be had; None where nothing is left to spend.
    """

    def __init__(self, error: LabelmillError | None = None) -> None:
        """Keep the reason."""
        super().__init__()
        self.error = error


class Purse:
    """Counts what is spent, by role; any thread may use it.

    Args:
        allowance: The most that all may cost together.
    """

    def __init__(self, allowance: Allowance) -> None:
        """Begin with nothing spent."""
        self.allowance = allowance
        self._spent = {"student": Usage(), "teacher": Usage()}
        self._met: set[str] = set()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        """Tell whether an answer was counted."""
        return key in self._met

    def spent(self, role: str) -> Usage:
        """Say what a role has cost."""
        return self._spent[role]

    @property
    def total(self) -> Usage:
        """What all have cost."""
        return self._spent["student"].plus(self._spent["teacher"])

    def charge(self, role: str, entry: Entry, *, reused: bool) -> None:
        """Count an answer, unless it was counted before."""
        with self._lock:
            if entry.key not in self._met:
                self._met.add(entry.key)
                cost = Usage(entry.requests, entry.prompt_tokens, entry.completion_tokens, int(reused))
                self._spent[role] = self._spent[role].plus(cost)


class Lease:
    """Leave to spend, for one phase of the work and up to a limit; use it as a context manager.

    DSPy leaves threads behind when it is stopped. With the lease at its end, they stop too.

    Args:
        purse: Counts what is spent.
        limit: Up to what the sum of all phases may grow.
    """

    def __init__(self, purse: Purse, limit: Allowance) -> None:
        """Begin the phase."""
        self._purse = purse
        self._limit = limit
        self._over = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the phase."""
        self._over = True

    def check(self, key: str) -> None:
        """Stop where another answer would be one too many; what was counted already is free.

        Whether the journal has the answer makes no difference: a run that was killed then takes the same way again.

        Raises:
            Stopped: Nothing is left, or the phase is over.
        """
        if self._over or (key not in self._purse and self._limit.is_spent(self._purse.total)):
            raise Stopped
