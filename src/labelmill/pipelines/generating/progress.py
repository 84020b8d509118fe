"""How far the making of a taxonomy is, for whoever watches it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class StepProgress:
    """How far one kind of step is.

    Attributes:
        what: In words: ``documents embedded``, ``documents summarised``, ``updates``.
        total: How many there are, at most.
        done: How many are done.
        reused: Of those, answered before.
        started: By `time.monotonic`.
    """

    what: str
    total: int
    done: int = 0
    reused: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Done a second; what was answered before took no time."""
        return max(self.done - self.reused, 0) / max(time.monotonic() - self.started, 1e-9)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go at this rate; None where nothing is done yet."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


OnStep = Callable[[StepProgress], None]
