"""How many requests a server is given at once, against simulated servers and a clock that the tests turn."""

from __future__ import annotations

import heapq
import random
from collections import deque

import pytest

from labelmill.models.limit import START, AdaptiveLimit


class SlotServer:
    """Computes `slots` requests at once, lets the others wait in line, and complains where it may hold no more.

    The work of a request is long or short at random, and its time only roughly follows from it. `thrash` is what each
    request beyond the slots costs all others, as a share.
    """

    def __init__(self, slots, *, work_a_second, seed=0, maximum=256, thrash=0.0, holds=10**9):
        self.random = random.Random(seed)
        self.now = 0.0
        self.limit = AdaptiveLimit(maximum, clock=lambda: self.now)
        self.slots, self.thrash, self.holds = slots, thrash, holds
        self.slot_speed = work_a_second / slots
        self.running, self.line = [], deque()
        self.done = self.answers = self.complaints = 0

    @property
    def load(self):
        return len(self.running) + len(self.line)

    def send(self, waiting):
        """Fill it up to the limit, or up to `waiting` requests."""
        while self.load < min(self.limit.limit, waiting):
            if self.load >= self.holds:
                self.complaints += 1
                self.limit.overloaded(self.limit.epoch)
                continue
            work = (2000 if self.random.random() < 0.2 else 40) * self.random.lognormvariate(0, 0.5)
            self.line.append(work)
            self.start()

    def start(self):
        if self.line and len(self.running) < self.slots:
            work = self.line.popleft()
            slower = 1 + self.thrash * max(0, self.load - self.slots) / self.slots
            time = work * self.random.lognormvariate(-0.125, 0.5) * slower / self.slot_speed
            heapq.heappush(self.running, (self.now + time, self.random.random(), work))

    def serve(self, answers, *, waiting=10**9):
        """Answer so many requests; return the work that was done a second."""
        began, before = self.now, self.done
        for _ in range(answers):
            self.send(waiting)
            self.now, _, work = heapq.heappop(self.running)
            self.start()
            self.done += work
            self.answers += 1
            self.limit.answered(work, waiting=waiting > self.limit.limit)
        return (self.done - before) / (self.now - began)


@pytest.mark.parametrize("slots", [8, 64, 200])
@pytest.mark.parametrize("seed", range(3))
def test_a_fast_server_is_used_to_the_full(slots, seed):
    """At 500 requests a second, long and short ones mixed: 95% of its speed, wherever it saturates."""
    server = SlotServer(slots, work_a_second=250_000, seed=seed)
    server.serve(15_000)
    assert server.serve(15_000) >= 0.95 * 250_000


@pytest.mark.parametrize("seed", range(3))
def test_a_slow_server_is_used_to_the_full(seed):
    """At 2 requests a second there is little to learn from, and what there is to begin with does."""
    server = SlotServer(16, work_a_second=1000, seed=seed)
    server.serve(100)
    assert server.serve(2000) >= 0.95 * 1000
    assert server.limit.limit >= 8


def test_a_server_that_takes_all_is_given_all_soon():
    """The way from the start to the maximum takes some ten thousand answers at most."""
    server = SlotServer(1000, work_a_second=500_000)
    server.serve(12_000)
    assert server.limit.limit == 256


def test_a_server_that_more_makes_slower_is_spared():
    """Where requests beyond the slots cost the others, they are not sent, also once by chance they seemed to pay."""
    server = SlotServer(40, work_a_second=250_000, thrash=1.0)
    server.serve(15_000)
    learned = server.serve(15_000)
    careless = SlotServer(40, work_a_second=250_000, thrash=1.0)
    careless.limit._rest = 10**9
    careless.limit.limit = 256
    assert learned > 3 * careless.serve(5000)


def test_a_server_that_becomes_slower_with_more_is_spared_from_then_on():
    """What paid once is tried again: long prompts may not fit where short ones did."""
    server = SlotServer(300, work_a_second=250_000)
    server.serve(15_000)
    server.slots, server.thrash, server.slot_speed = 40, 1.0, 250_000 / 40
    at_first = server.serve(2000)
    server.serve(55_000)
    assert server.serve(5000) > 2 * at_first


def test_many_complaints_about_what_was_sent_together_lower_once():
    """Fifty at one moment say no more than one; those about what was sent since then do."""
    limit = AdaptiveLimit(256)
    sent = limit.epoch
    for _ in range(50):
        limit.overloaded(sent)
    once = limit.limit
    assert START // 2 < once < START
    for _ in range(20):
        limit.overloaded(limit.epoch)
    assert limit.limit < once


def test_never_below_one():
    """However much a server complains, it is given something."""
    limit = AdaptiveLimit(256)
    for _ in range(1000):
        limit.overloaded(limit.epoch)
    assert limit.limit == 1
    assert AdaptiveLimit(0).limit == 1


def test_recovers_from_complaints():
    """A server that complained for a while is given more again, until it is used to the full."""
    server = SlotServer(64, work_a_second=250_000)
    server.serve(5000)
    for _ in range(100):
        server.limit.overloaded(server.limit.epoch)
    server.serve(30_000)
    assert server.serve(15_000) >= 0.95 * 250_000


def test_a_server_that_holds_only_so_many_complains_ever_more_seldom():
    """The limit stays near what is held; trials of more fall back to what was there before them."""
    server = SlotServer(40, work_a_second=250_000, holds=40)
    server.serve(15_000)
    early = server.complaints
    assert server.serve(15_000) >= 0.9 * 250_000 * 0.7
    assert server.complaints - early <= max(early, 3)
    assert 20 <= server.limit.limit <= 80


@pytest.mark.parametrize("waiting", [1, 20, 32])
def test_nothing_is_learned_where_nobody_waits(waiting):
    """With fewer requests about than there may be, the limit stays what it was."""
    server = SlotServer(200, work_a_second=250_000)
    server.serve(5000, waiting=waiting)
    assert server.limit.limit == START


def test_a_trial_without_waiters_leaves_the_higher_limit():
    """When the crowd is gone before a trial is judged, the trial is over, and speeds of other times are not compared."""
    server = SlotServer(200, work_a_second=250_000)
    while server.limit.limit == START:
        server.serve(1)
    server.serve(5000, waiting=2)
    assert server.limit.limit == 2 * START
    assert server.limit._before is None


@pytest.mark.parametrize("maximum", [1, 3, 32, 50, 256])
def test_stays_within_its_bounds(maximum):
    """Whatever is answered and complained of, in whatever order."""
    server = SlotServer(500, work_a_second=250_000, maximum=maximum)
    assert server.limit.limit == min(START, maximum)
    for _ in range(3000):
        server.serve(5)
        if server.random.random() < 0.003:
            server.limit.overloaded(server.limit.epoch)
        assert 1 <= server.limit.limit <= maximum


def test_answers_without_work_teach_nothing():
    """A speed of zero has no logarithm."""
    limit = AdaptiveLimit(256, clock=iter(range(10**6)).__next__)
    for _ in range(1000):
        limit.answered(0.0, waiting=True)
    assert limit.limit == START


@pytest.mark.parametrize(("share", "lowers"), [(0.05, False), (0.1, False), (0.5, True), (1.0, True)])
def test_complaints_now_and_then_lower_nothing(share, lowers):
    """One in ten is a server's bad luck, such as a hang, and no lower limit would spare it; one in two is too much."""
    limit = AdaptiveLimit(32, clock=lambda: 0.0)
    chance = random.Random(0)
    for _ in range(40):
        limit.answered(1.0, waiting=True)
    for _ in range(400):
        if chance.random() < share:
            limit.overloaded(limit.epoch)
        else:
            limit.answered(1.0, waiting=True)
    assert (limit.limit < 32) == lowers
