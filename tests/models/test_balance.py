"""Which server takes a request, and when: turns, groups, loads, and places that always come back."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server import running
from labelmill.errors import ModelGone
from labelmill.models.balance import Balance
from labelmill.models.limit import AdaptiveLimit
from labelmill.models.server import Server

NOBODY = "http://127.0.0.1:9/v1"


def server(url=NOBODY):
    """Make a server that nothing is sent to, unless its life is asked about."""
    return Server(url, key="", timeout=5)


def balance(*limits, patience=60.0):
    """Balance over servers that take so many requests."""
    return Balance([server() for _ in limits], [AdaptiveLimit(limit) for limit in limits], patience=patience)


async def soon(condition=lambda: True):
    """Let the others run, until something holds."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    while not condition():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.005)


class Visitor:
    """A request that stays in its place until it is told to go."""

    def __init__(self, balanced, turn=0, group="", weight=1):
        self.place = None
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit(balanced, turn, group, weight))

    async def _visit(self, balanced, turn, group, weight):
        async with balanced.place(turn, group, weight) as self.place:
            await self.leave.wait()


def in_flight(balanced):
    """Count the requests at each server."""
    return [state.in_flight for state in balanced.states()]


def test_the_smaller_turn_goes_first_and_equal_ones_in_order():
    """However they came."""

    async def session():
        balanced, order = balance(1), []

        async def visit(number, turn):
            async with balanced.place(turn, ""):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(visit(number, turn) for number, turn in enumerate([9, 3, 1, 3, 1, 2])))
        return order

    assert asyncio.run(session()) == [0, 2, 4, 5, 1, 3]


def test_a_request_that_stands_for_many_takes_as_many_places():
    """It goes where one place is free, even if it is more than all; nobody follows before it has left; all come back."""

    async def session():
        balanced = balance(8)
        heavy = [Visitor(balanced, weight=5), Visitor(balanced, weight=20)]
        await soon(lambda: all(visitor.place for visitor in heavy))
        light = Visitor(balanced)
        await soon()
        assert (in_flight(balanced), light.place) == ([25], None)
        heavy[1].leave.set()
        await soon(lambda: light.place)
        assert in_flight(balanced) == [6]
        for visitor in (heavy[0], light):
            visitor.leave.set()
        await asyncio.gather(*(visitor.task for visitor in [*heavy, light]))
        return in_flight(balanced)

    assert asyncio.run(session()) == [0]


def test_the_smaller_turn_goes_first_between_a_group_and_all_others():
    """The queue of a server and the common one are as one."""

    async def session():
        balanced = balance(1, 1)
        first = Visitor(balanced, group="a")
        await soon()
        other = Visitor(balanced)
        await soon()
        late, common, early = Visitor(balanced, 5, "a"), Visitor(balanced, 3), Visitor(balanced, 1, "a")
        await soon()
        order = []
        for leaving in (first, early, common):
            leaving.leave.set()
            await soon()
            order += [visitor for visitor in (early, common, late) if visitor.place and visitor not in order]
        other.leave.set()
        late.leave.set()
        await soon()
        assert [early, common, late] == order
        assert {first.place, early.place, late.place} == {first.place}

    asyncio.run(session())


def test_a_group_stays_together_and_others_go_elsewhere():
    """Members go to one server, also while it is full; requests without a group go to the freer one."""

    async def session():
        balanced = balance(2, 2)
        members = [Visitor(balanced, group="a") for _ in range(4)]
        await soon()
        singles = [Visitor(balanced) for _ in range(2)]
        await soon()
        assert [member.place is not None for member in members] == [True, True, False, False]
        assert {single.place for single in singles}.isdisjoint({members[0].place})
        for visitor in members + singles:
            visitor.leave.set()
        await asyncio.gather(*(visitor.task for visitor in members + singles))
        assert len({member.place for member in members}) == 1
        assert not balanced._groups

    asyncio.run(session())


def test_a_group_moves_as_one_when_its_server_dies():
    """Those that waited there wait together at another one, in their order."""

    async def session():
        balanced = balance(1, 1, 1)
        members = [Visitor(balanced, turn, "a") for turn in range(4)]
        await soon()
        first = members[0].place
        balanced.down(first)
        await soon()
        assert members[1].place not in {None, first}
        for member in members:
            member.leave.set()
            await soon()
        assert {member.place for member in members[1:]} == {members[1].place}
        assert in_flight(balanced) == [0, 0, 0]
        assert not balanced._groups
        await balanced.close()

    asyncio.run(session())


def test_work_is_shared_by_speed():
    """A server that is four times as fast does four times as much."""

    async def session():
        balanced, done = balance(4, 4), Counter()
        fast, slow = balanced._places

        async def visit(number):
            async with balanced.place(number, "") as place:
                for _ in range(10 if place is fast else 40):
                    await asyncio.sleep(0)
                done[place] += 1

        await asyncio.gather(*(visit(number) for number in range(500)))
        return done[fast] / done[slow]

    assert 3.2 <= asyncio.run(session()) <= 4.8


def test_where_there_is_little_to_do_the_freer_server_gets_it():
    """By the share of what each takes, not by the number."""

    async def session():
        balanced = balance(2, 8)
        visitors = []
        for _ in range(5):
            visitors.append(Visitor(balanced))
            await soon()
        assert in_flight(balanced) == [1, 4]
        for visitor in visitors:
            visitor.leave.set()
        await asyncio.gather(*(visitor.task for visitor in visitors))

    asyncio.run(session())


def test_a_server_waits_for_nobody_elses_requests():
    """Requests that wait for one server say nothing of how many another could take."""

    async def session():
        balanced = balance(1, 1)
        visitors = [Visitor(balanced, group="a") for _ in range(2)]
        await soon()
        place = visitors[0].place
        other = next(each for each in balanced._places if each is not place)
        assert balanced.waiting(place)
        assert not balanced.waiting(other)
        for visitor in visitors:
            visitor.leave.set()
        await asyncio.gather(*(visitor.task for visitor in visitors))

    asyncio.run(session())


@pytest.mark.parametrize("when", ["before", "at the same moment", "after"])
def test_a_cancelled_waiter_leaks_no_place(when):
    """Before it is given one, in the moment in which it is, and while it has one."""

    async def session():
        balanced = balance(1)
        first, second, third = Visitor(balanced), Visitor(balanced), Visitor(balanced)
        await soon()
        if when != "before":
            first.leave.set()
            await asyncio.sleep(0)  # the first gives its place to the second, which does not run yet
            assert in_flight(balanced) == [1]
            assert second.place is None
        if when == "after":
            await soon()
            assert second.place
        second.task.cancel()
        first.leave.set()
        await asyncio.wait_for(soon(lambda: third.place), 5)
        third.leave.set()
        await asyncio.gather(first.task, third.task)
        assert second.task.cancelled()
        assert in_flight(balanced) == [0]

    asyncio.run(session())


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 4))
def test_every_place_comes_back(seed, servers, limit):
    """After any mix of success, failure, cancellation, complaint and loss of servers; and whoever is not cancelled goes."""
    chance = random.Random(seed)

    async def session():
        balanced = balance(*[limit] * servers)
        most, ended = Counter(), Counter()

        async def visit():
            await asyncio.sleep(0)
            async with balanced.place(chance.randrange(5), chance.choice(["", "", "a", "b"])) as place:
                most[place] = max(most[place], place.in_flight)
                assert place.in_flight <= limit
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                if chance.random() < 0.3:
                    raise ValueError
                if chance.random() < 0.1:
                    place.limit.overloaded(place.limit.epoch)
                if chance.random() < 0.05 and place is not balanced._places[0]:
                    balanced.down(place)

        tasks = [asyncio.create_task(visit()) for _ in range(60)]
        cancelled = chance.sample(tasks, 15)
        for task in cancelled:
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            task.cancel()
        for answer in await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10):
            ended[type(answer)] += 1
        assert set(ended) <= {type(None), ValueError, asyncio.CancelledError}
        assert ended[asyncio.CancelledError] <= len(cancelled)
        assert in_flight(balanced) == [0] * servers
        assert not balanced._groups
        assert not any(not told.done() for place in balanced._places for _, _, told in [*place.queue, *balanced._queue])
        await balanced.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(session())


async def opened(*urls, patience):
    """Balance over servers whose life can be asked about."""
    servers = [server(url) for url in urls]
    for each in servers:
        await each.open()
    return servers, Balance(servers, [AdaptiveLimit(1) for _ in servers], patience=patience)


async def closed(servers, balanced):
    """Close both; nothing is left."""
    await balanced.close()
    for each in servers:
        await each.close()
    assert len(asyncio.all_tasks()) == 1


def test_patience_ends_for_all_at_once():
    """Those that wait when it does, of a group or not, and those that come later."""

    async def session():
        servers, balanced = await opened(NOBODY, "http://127.0.0.1:1/v1", patience=0.05)
        holders = [Visitor(balanced), Visitor(balanced)]
        await soon()
        waiters = [Visitor(balanced, turn, group) for turn in range(5) for group in ("", "a")]
        await soon()
        for place in balanced._places:
            assert not await balanced.still_up(place)
        ended = await asyncio.wait_for(asyncio.gather(*(each.task for each in waiters), return_exceptions=True), 5)
        assert {type(error) for error in ended} == {ModelGone}
        assert len(set(map(id, ended))) == len(ended)
        with pytest.raises(ModelGone, match=r"^No answer from http://127\.0\.0\.1:9/v1, .* Start the server again"):
            await asyncio.wait_for(Visitor(balanced).task, 5)
        for holder in holders:
            holder.leave.set()
        await asyncio.gather(*(holder.task for holder in holders))
        assert in_flight(balanced) == [0, 0]
        await closed(servers, balanced)

    asyncio.run(session())


def test_a_server_that_comes_back_after_the_patience_is_used():
    """Whoever comes then is admitted."""

    async def session():
        with running() as alive:
            pass
        servers, balanced = await opened(alive.url, patience=0.0)
        balanced.down(balanced._places[0])
        await soon(lambda: balanced._end)
        with running(alive.server_address[1]):
            await asyncio.wait_for(soon(lambda: balanced.states()[0].state == "up"), 5)
            visitor = Visitor(balanced)
            await soon(lambda: visitor.place)
            visitor.leave.set()
            await visitor.task
        await closed(servers, balanced)

    asyncio.run(session())


def test_while_one_server_is_up_nobody_loses_patience():
    """The others go there, however long one is down."""

    async def session():
        servers, balanced = await opened(NOBODY, NOBODY, patience=0.0)
        balanced.down(balanced._places[0])
        visitors = [Visitor(balanced, group="a") for _ in range(3)]
        await asyncio.sleep(0.05)
        for visitor in visitors:
            visitor.leave.set()
        await asyncio.wait_for(asyncio.gather(*(visitor.task for visitor in visitors)), 5)
        assert {visitor.place for visitor in visitors} == {balanced._places[1]}
        await closed(servers, balanced)

    asyncio.run(session())


def test_closing_ends_every_wait():
    """Nobody hangs, nothing is left running, and who comes later is told."""

    async def session():
        servers, balanced = await opened(NOBODY, NOBODY, patience=60)
        holder = Visitor(balanced)
        await soon()
        for place in balanced._places:
            balanced.down(place)
        waiters = [Visitor(balanced) for _ in range(3)]
        await soon()
        await balanced.close()
        ended = await asyncio.gather(*(each.task for each in waiters), Visitor(balanced).task, return_exceptions=True)
        assert {type(error) for error in ended} == {ModelGone}
        holder.leave.set()
        await holder.task
        await closed(servers, balanced)

    asyncio.run(session())


def test_one_question_serves_all_who_ask_whether_a_server_lives():
    """Also when the one who asked first is cancelled."""

    async def session():
        with running() as alive:
            servers, balanced = await opened(alive.url, patience=60)
            place = balanced._places[0]
            asking = [asyncio.create_task(balanced.still_up(place)) for _ in range(5)]
            await asyncio.sleep(0)
            asking[0].cancel()
            assert await asyncio.gather(*asking[1:]) == [True] * 4
            assert [request.path for request in alive.requests] == ["/health", "/v1/models"]
            await closed(servers, balanced)

    asyncio.run(session())
