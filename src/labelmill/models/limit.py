"""How many requests a server is given at once: as many as make it faster, fewer when it complains.

Raising is by doubling, as in TCP's slow start, for as long as a doubling brings more work a second; lowering is
multiplicative, once for all the complaints of one round (Jacobson 1988, Congestion Avoidance and Control). Nothing
here waits or sends; `balance` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable

START = 32
"""Requests at once to begin with: every server that batches at all takes these."""

_GAIN = 1.02
"""More work a second that a doubling must bring. Small: too many requests cost latency alone, too few cost speed."""

_ROUNDS_OF_REST = 8
"""Rounds without another try after a doubling that brought nothing; twice as many each time."""

_SECONDS_OF_ROUND = 1.0
_LOWERED = 0.7


class AdaptiveLimit:
    """The number of requests that one server is given at once.

    A round is two answers for each request that may be in flight, and a second at least. Only rounds count in which
    requests waited: where there is no more to send, nothing can be learned.

    Args:
        maximum: It never rises above.
        clock: Gives seconds.
    """

    def __init__(self, maximum: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin at `START`, or at the maximum where that is less."""
        self.maximum = max(1, maximum)
        self.limit = min(START, self.maximum)
        self._clock = clock
        self._rest = 0
        self._rests = _ROUNDS_OF_REST
        self._before: tuple[int, float] | None = None  # the limit before the doubling that is on trial, and its speed
        self._lowered = 0  # answers that belong to requests sent before the last lowering
        self._begin_round()

    def answered(self, work: float, *, waiting: bool) -> None:
        """Take note of an answer.

        Args:
            work: What it was worth, in tokens.
            waiting: Whether further requests wait for their turn.
        """
        self._answers += 1
        self._work += work
        self._short = self._short or waiting
        self._lowered = max(self._lowered - 1, 0)
        seconds = self._clock() - self._began
        if self._answers >= 2 * self.limit and seconds >= _SECONDS_OF_ROUND:
            if self._short:
                self._judge(self._work / seconds)
            self._begin_round()

    def overloaded(self) -> None:
        """Take note of a complaint: too many requests, or no answer in time."""
        if not self._lowered:
            self._lowered = self.limit
            self.limit = max(1, int(self.limit * _LOWERED))
            self._settle()
            self._begin_round()

    def _judge(self, speed: float) -> None:
        if self._before is not None:
            limit, slower = self._before
            self._before = None
            if speed < slower * _GAIN:
                self.limit = limit
                self._settle()
                return
            self._rests = _ROUNDS_OF_REST
        if self._rest:
            self._rest -= 1
        elif self.limit < self.maximum:
            self._before = self.limit, speed
            self.limit = min(self.limit * 2, self.maximum)

    def _settle(self) -> None:
        self._before = None
        self._rest, self._rests = self._rests, min(self._rests * 2, 16 * _ROUNDS_OF_REST)

    def _begin_round(self) -> None:
        self._began = self._clock()
        self._answers = 0
        self._work = 0.0
        self._short = False
