"""How many requests a server is given at once: as many as make it faster, fewer when it complains.

From the start by doubling, as in TCP's slow start, for as long as a doubling costs no speed; then by trying the double
and the half ever more seldom. Complaints lower it, once for all that was sent together (Jacobson 1988, Congestion
Avoidance and Control). Nothing here waits or sends; `balance` does.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

START = 32
"""Requests at once to begin with: every server that batches at all takes these."""

_GAIN = math.log(0.98)
"""What a doubling must bring, in work a second: no loss. Too many requests cost latency alone, too few cost speed."""

_FIRST_REST, _LONGEST_REST = 4, 32
"""Rounds without a trial after one that brought nothing; twice as many after each further one."""

_ANSWERS_OF_ROUND = 16
_SECONDS_OF_ROUND = 2.0
_LOWERED = 0.7

_MANY = 0.3
"""Complaints, of all that came back lately, that say that it was too much. Fewer are a server's own bad luck: a hang
here, an error there, which no lower limit would spare it."""


class AdaptiveLimit:
    """The number of requests that one server is given at once.

    It is judged by rounds. After each change, as many answers as may be in flight pass unmeasured, since those requests
    began under other conditions; then a round is two answers for each request that may be in flight, and two seconds
    at least. Only rounds count in which requests waited: where there is no more to send, nothing can be learned.

    What a doubling brings is averaged over its trials, each against the round just before it: one alone is blurred by
    long requests that follow short ones, and speeds of other times belong to other requests.

    Args:
        maximum: It never rises above.
        clock: Gives seconds.

    Attributes:
        limit: How many.
        epoch: How often it has been lowered for a complaint; see `overloaded`.
    """

    def __init__(self, maximum: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin at `START`, or at the maximum where that is less."""
        self.maximum = max(1, maximum)
        self.limit = min(START, self.maximum)
        self.epoch = 0
        self._clock = clock
        self._gains: dict[int, float] = {}  # by the lower limit: the logarithm of what its double brings
        self._before: tuple[int, float] | None = None  # during a trial: the limit before it, and its speed
        self._up = True
        self._lately: deque[bool] = deque()  # what came back: whether it was a complaint
        self._rest, self._rests = 0, _FIRST_REST
        self._unmeasured = 0
        self._change(self.limit)

    def answered(self, work: float, *, waiting: bool, weight: int = 1) -> None:
        """Take note of an answer.

        Args:
            work: What it was worth, in tokens.
            waiting: Whether further requests wait for this server.
            weight: How many requests it stands for.
        """
        self._came_back(complaint=False)
        if self._unmeasured:
            self._unmeasured = max(self._unmeasured - weight, 0)
            if not self._unmeasured:
                self._begin_round()
            return
        self._answers += weight
        self._work += work
        self._waits += weight * waiting
        seconds = self._clock() - self._began
        if self._answers >= max(2 * self.limit, _ANSWERS_OF_ROUND) and seconds >= _SECONDS_OF_ROUND:
            speed = self._work / seconds
            learned = 4 * self._waits >= 3 * self._answers and speed > 0
            self._begin_round()
            if learned:
                self._judge(speed)
            elif self._before:  # later rounds are no match for the one before
                self._end_trial(max(self.limit, self._before[0]))

    def overloaded(self, epoch: int) -> None:
        """Take note of a complaint (too many requests, or no answer in time), which counts where it is one of many.

        Args:
            epoch: What `epoch` was when the request was sent. A complaint about what was sent before the last lowering
                says nothing new.
        """
        if epoch != self.epoch:
            return
        self._came_back(complaint=True)
        if sum(self._lately) < _MANY * max(START, self.limit):
            return
        self.epoch += 1
        self._lately.clear()
        if self._before and self._before[0] < self.limit:
            lowered = self._before[0]
        else:
            lowered = max(1, int(self.limit * _LOWERED))
        if not self._rest:  # of a row of complaints, the first alone makes the next rest longer
            self._lengthen_rest()
        self._rest = max(self._rest, self._rests)
        self._up = True
        self._end_trial(lowered)

    def _came_back(self, *, complaint: bool) -> None:
        self._lately.append(complaint)
        while len(self._lately) > max(START, self.limit):
            self._lately.popleft()

    def _judge(self, speed: float) -> None:
        """Learn from a round: end the trial that it was, and begin the next one unless it is time to rest."""
        if self._before:
            before, speed_before = self._before
            low, high = sorted((before, self.limit))
            gain = math.log(speed / speed_before) * (1 if self.limit == high else -1)
            gain = self._gains[low] = (gain + self._gains.get(low, gain)) / 2
            best = high if gain >= _GAIN else low
            if best == before:
                self._up = not self._up
                self._rest = self._rests
                self._lengthen_rest()
            else:
                self._rests = max(self._rests // 2, _FIRST_REST)
            self._end_trial(best)
        if self._rest:
            self._rest -= 1
        elif self._before is None:
            self._begin_trial(speed)

    def _begin_trial(self, speed: float) -> None:
        self._up = self.limit == 1 or (self._up and self.limit < self.maximum)
        other = min(self.limit * 2, self.maximum) if self._up else self.limit // 2
        if other:
            self._before = self.limit, speed
            self._change(other)

    def _end_trial(self, limit: int) -> None:
        self._before = None
        if limit != self.limit:
            self._change(limit)

    def _lengthen_rest(self) -> None:
        self._rests = min(self._rests * 2, _LONGEST_REST)

    def _change(self, limit: int) -> None:
        self._unmeasured = max(self.limit, limit)
        self.limit = limit
        self._begin_round()

    def _begin_round(self) -> None:
        self._began = self._clock()
        self._answers = self._waits = 0
        self._work = 0.0
