"""Which of several servers takes a request, and when: by load, in turn, with its like, and not while it is down.

Every server has its own `AdaptiveLimit`. Requests that must wait do so in two kinds of queue: those of a group in the
queue of the server that the group was given to, since that has the group's prefix in its cache; all others in one
common queue. A free place goes to the smallest turn of both.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from labelmill.errors import ModelGone
from labelmill.models.limit import AdaptiveLimit
from labelmill.models.server import Server

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0

_Waiter: TypeAlias = "tuple[int, int, asyncio.Future[Place]]"
"""The turn, a number that keeps equal turns in order, and who is told."""


@dataclass(eq=False, slots=True)
class Place:
    """A server, what it is busy with, and who waits for it."""

    server: Server
    limit: AdaptiveLimit
    in_flight: int = 0
    down_since: float | None = None
    queue: list[_Waiter] = field(default_factory=list)
    checking: asyncio.Task[bool] | None = None
    watching: asyncio.Task[None] | None = None

    @property
    def free(self) -> bool:
        """Whether it takes a request now."""
        return self.down_since is None and self.in_flight < self.limit.limit

    @property
    def load(self) -> float:
        """What it has and what waits for it, as a share of what it takes."""
        return (self.in_flight + len(self.queue)) / self.limit.limit


@dataclass(slots=True)
class _Group:
    """Requests that share a prefix: where they go, and how many of them are about."""

    place: Place
    members: int = 0


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server is doing.

    Attributes:
        url: Its base URL.
        state: ``up`` or ``down``.
        in_flight: Requests that it has.
        limit: How many it is given at most.
        down_seconds: For how long it has not answered; 0 while it is up.
    """

    url: str
    state: str
    in_flight: int
    limit: int
    down_seconds: float = 0.0


class Balance:
    """Admits requests to servers.

    Args:
        servers: All serve the same model.
        limits: One for each server.
        patience: Seconds to wait while no server at all is up.
    """

    def __init__(self, servers: Iterable[Server], limits: Iterable[AdaptiveLimit], *, patience: float) -> None:
        """Take all servers to be up."""
        self._places = [Place(server, limit) for server, limit in zip(servers, limits, strict=True)]
        self._patience = patience
        self._queue: list[_Waiter] = []
        self._numbers = itertools.count()
        self._groups: dict[str, _Group] = {}

    @property
    def waiting(self) -> bool:
        """Whether requests wait for a place."""
        return bool(self._queue) or any(place.queue for place in self._places)

    def states(self) -> list[ServerState]:
        """Say what every server is doing."""
        now = time.monotonic()
        return [
            ServerState(
                place.server.url,
                "up" if place.down_since is None else "down",
                place.in_flight,
                place.limit.limit,
                0.0 if place.down_since is None else now - place.down_since,
            )
            for place in self._places
        ]

    @asynccontextmanager
    async def place(self, turn: int, group: str) -> AsyncIterator[Place]:
        """Wait for a free place at a server, and give it back at the end of the block.

        Raises:
            ModelGone: All servers are down, and were for longer than the patience.
        """
        member = self._join(group)
        try:
            place = await self._admitted(turn, member)
            try:
                yield place
            finally:
                place.in_flight -= 1
                self._fill(place)
        finally:
            self._leave(group, member)

    async def still_up(self, place: Place) -> bool:
        """Ask a server that gave no answer whether it lives; where it does not, it gets no requests until it does."""
        if place.down_since is not None:
            return False
        if place.checking is None:
            place.checking = asyncio.create_task(place.server.alive())
            place.checking.add_done_callback(lambda _: setattr(place, "checking", None))
        alive = await asyncio.shield(place.checking)
        if not alive:
            self.down(place)
        return alive

    def down(self, place: Place) -> None:
        """Send a server nothing more until it answers again; its queue goes to the others, or waits."""
        if place.down_since is None:
            place.down_since = time.monotonic()
            place.watching = asyncio.create_task(self._watch(place))
            for waiter in place.queue:
                heapq.heappush(self._queue, waiter)
            place.queue.clear()
            for name in [name for name, group in self._groups.items() if group.place is place]:
                del self._groups[name]
            for other in self._places:
                self._fill(other)

    def find(self, server: Server) -> Place:
        """Return the place of a server."""
        return next(place for place in self._places if place.server is server)

    async def close(self) -> None:
        """End the watches over servers that are down."""
        tasks = [task for place in self._places for task in (place.watching, place.checking) if task]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _admitted(self, turn: int, group: _Group | None) -> Place:
        place = group.place if group else min(self._places, key=lambda each: (not each.free, each.load))
        queue = place.queue if group else self._queue
        if place.free and not queue:
            place.in_flight += 1
            return place
        told: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        heapq.heappush(queue, (turn, next(self._numbers), told))
        try:
            return await told
        except asyncio.CancelledError:
            if told.done() and not told.cancelled() and not told.exception():
                told.result().in_flight -= 1  # given a place and cancelled in the same moment
                self._fill(told.result())
            raise

    def _fill(self, place: Place) -> None:
        """Give a server's free places to those that wait, the smallest turn first."""
        while place.free:
            for queue in (place.queue, self._queue):
                while queue and queue[0][2].done():  # cancelled
                    heapq.heappop(queue)
            queues = [queue for queue in (place.queue, self._queue) if queue]
            if not queues:
                return
            waiter = heapq.heappop(min(queues, key=lambda queue: queue[0][:2]))
            place.in_flight += 1
            waiter[2].set_result(place)

    def _join(self, name: str) -> _Group | None:
        if not name or len(self._places) == 1:
            return None
        group = self._groups.get(name)
        if group is None:
            up = [place for place in self._places if place.down_since is None]
            if not up:
                return None
            group = self._groups[name] = _Group(min(up, key=lambda place: place.load))
        group.members += 1
        return group

    def _leave(self, name: str, group: _Group | None) -> None:
        if group is not None:
            group.members -= 1
            if not group.members and self._groups.get(name) is group:
                del self._groups[name]

    async def _watch(self, place: Place) -> None:
        """Wait until a server answers again; when the last one has been down for too long, let all who wait fail."""
        pause = _FIRST_WAIT
        while True:
            await asyncio.sleep(pause)
            if await place.server.alive():
                break
            pause = min(pause * 2, _LONGEST_WAIT)
            self._give_up_on_the_dead()
        place.down_since = None
        place.watching = None
        self._fill(place)

    def _give_up_on_the_dead(self) -> None:
        since = [place.down_since for place in self._places]
        down = [moment for moment in since if moment is not None]
        if len(down) < len(self._places) or time.monotonic() - max(down) < self._patience:
            return
        urls = ", ".join(place.server.url for place in self._places)
        for _, _, told in self._queue:
            if not told.done():
                told.set_exception(
                    ModelGone(
                        f"No answer from {urls} for {self._patience:.0f} s. Start the server again, then run the "
                        "same command: it goes on where it stopped."
                    )
                )
        self._queue.clear()
