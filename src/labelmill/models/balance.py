"""Which of several servers takes a request, and when: by load, in turn, with its like, and not while it is down.

Every server has its own `AdaptiveLimit`. Requests that must wait do so in two kinds of queue: those of a group in the
queue of the server that the group was given to, since that has the group's prefix in its cache; all others in one
common queue. A free place goes to the smallest turn of both, as soon as it is free: where a place is free, none waits.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from labelmill.errors import ModelGone
from labelmill.models.limit import AdaptiveLimit
from labelmill.models.server import Server

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 15.0

_Waiter: TypeAlias = "tuple[int, int, asyncio.Future[Place | None], int]"
"""The turn, a number that keeps equal turns in order, who is told (a place, or None to look elsewhere), the weight."""


@dataclass(eq=False, slots=True)
class Place:
    """A server, what it is busy with, and who waits for it.

    Attributes:
        server: Where to send.
        limit: How many it is given at once.
        in_flight: Requests that it has, by their weight.
        down_since: Since when it does not answer; None while it does.
        refusing_since: Since when all it says is that it is too busy; None from its next answer on.
    """

    server: Server
    limit: AdaptiveLimit
    in_flight: int = 0
    down_since: float | None = None
    refusing_since: float | None = None
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

    name: str
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
        self._closed = False
        self._end: str | None = None  # why nobody is admitted any more, or until a server is back
        self._ending: asyncio.TimerHandle | None = None

    def waiting(self, place: Place) -> bool:
        """Tell whether requests wait that this server could take."""
        return bool(self._queue or place.queue)

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
    async def place(self, turn: int, group: str, weight: int = 1) -> AsyncIterator[Place]:
        """Wait for a free place at a server, and give it back at the end of the block.

        Args:
            turn: The smaller goes first.
            group: Goes to one server.
            weight: How many requests it stands for. One place is enough for it to go: it may be more than all.

        Raises:
            ModelGone: All servers are down, and were for longer than the patience; or this was closed.
        """
        joined = self._join(group)
        try:
            while (place := await self._admitted(turn, joined, weight)) is None:  # the group's server went down
                self._leave(joined)
                joined = self._join(group)
            try:
                yield place
            finally:
                self._give_back(place, weight)
        finally:
            self._leave(joined)

    async def still_up(self, place: Place) -> bool:
        """Ask a server that gave no answer whether it lives; where it does not, it gets no requests until it does."""
        if place.down_since is not None or self._closed:
            return False
        if place.checking is None:
            place.checking = asyncio.create_task(place.server.alive())
            place.checking.add_done_callback(lambda _: setattr(place, "checking", None))
        checking = place.checking
        await asyncio.wait([checking])  # and not the task itself: it is shared, and outlives who is cancelled here
        alive = not checking.cancelled() and checking.result()
        if not alive:
            self.down(place)
        return alive

    def down(self, place: Place) -> None:
        """Send a server nothing more until it answers again; its queue goes to the others, or waits."""
        if place.down_since is not None or self._closed:
            return
        place.down_since = time.monotonic()
        place.watching = asyncio.create_task(self._watch(place))
        self._groups = {name: group for name, group in self._groups.items() if group.place is not place}
        waiters, place.queue = sorted(place.queue), []
        for _, _, told, _ in waiters:
            if not told.done():
                told.set_result(None)
        if all(each.down_since is not None for each in self._places):
            self._ending = asyncio.get_running_loop().call_later(self._patience, self._give_up)

    def find(self, server: Server) -> Place:
        """Return the place of a server."""
        return next(place for place in self._places if place.server is server)

    async def close(self) -> None:
        """Admit nobody any more: end the watches over servers that are down, and fail whoever waits."""
        self._closed = True
        if self._ending is not None:
            self._ending.cancel()
        self._refuse(f"The connection to {self._urls} was closed.")
        tasks = [task for place in self._places for task in (place.watching, place.checking) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _admitted(self, turn: int, group: _Group | None, weight: int) -> Place | None:
        if self._end is not None:
            raise ModelGone(self._end)
        place = group.place if group else min(self._places, key=lambda each: (not each.free, each.load))
        if place.free:
            place.in_flight += weight
            return place
        told: asyncio.Future[Place | None] = asyncio.get_running_loop().create_future()
        heapq.heappush(place.queue if group else self._queue, (turn, next(self._numbers), told, weight))
        try:
            return await told
        except asyncio.CancelledError:
            if told.done() and not told.cancelled() and not told.exception() and (given := told.result()):
                self._give_back(given, weight)  # given a place and cancelled in the same moment
            raise

    def _give_back(self, place: Place, weight: int) -> None:
        place.in_flight -= weight
        self._fill(place)

    def _fill(self, place: Place) -> None:
        """Give a server's free places to those that wait, the smallest turn first."""
        while place.free:
            for queue in (place.queue, self._queue):
                while queue and queue[0][2].done():  # cancelled
                    heapq.heappop(queue)
            queues = [queue for queue in (place.queue, self._queue) if queue]
            if not queues:
                return
            _, _, told, weight = heapq.heappop(min(queues, key=lambda queue: queue[0][:2]))
            place.in_flight += weight
            told.set_result(place)

    def _join(self, name: str) -> _Group | None:
        if not name or len(self._places) == 1:
            return None
        group = self._groups.get(name)
        if group is None:
            up = [place for place in self._places if place.down_since is None]
            if not up:
                return None
            group = self._groups[name] = _Group(name, min(up, key=lambda place: place.load))
        group.members += 1
        return group

    def _leave(self, group: _Group | None) -> None:
        if group is not None:
            group.members -= 1
            if not group.members and self._groups.get(group.name) is group:
                del self._groups[group.name]

    async def _watch(self, place: Place) -> None:
        """Wait until a server answers again, then let it have requests."""
        pause = _FIRST_WAIT
        while True:
            await asyncio.sleep(pause)
            if await place.server.alive():
                break
            pause = min(pause * 2, _LONGEST_WAIT)
        place.down_since = place.watching = None
        self._end = None
        if self._ending is not None:
            self._ending.cancel()
        self._fill(place)

    def _give_up(self) -> None:
        self._refuse(
            f"No answer from {self._urls} for {self._patience:.0f} s. Start the server again, then run the same "
            "command: it goes on where it stopped."
        )

    def _refuse(self, end: str) -> None:
        """Fail whoever waits, and whoever comes before a server is back."""
        self._end = end
        for queue in (self._queue, *(place.queue for place in self._places)):
            for _, _, told, _ in queue:
                if not told.done():
                    told.set_exception(ModelGone(end))
            queue.clear()

    @property
    def _urls(self) -> str:
        return ", ".join(place.server.url for place in self._places)
