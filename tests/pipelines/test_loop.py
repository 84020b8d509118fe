"""One run to its end from ordinary code, and what a caller sees of its error."""

from __future__ import annotations

import asyncio

import pytest

from labelmill.errors import InputError
from labelmill.pipelines.loop import run_to_end, settle


async def _fail() -> None:
    raise InputError("no bread")


def test_an_error_follows_from_nothing_else():
    """From ordinary code its traceback does not begin with a loop that was looked for."""
    with pytest.raises(InputError, match="no bread") as caught:
        run_to_end(_fail)
    assert caught.value.__context__ is None


def test_within_a_loop_it_runs_as_well():
    """As in a notebook; its error is the coroutine's own."""

    async def cell() -> None:
        run_to_end(_fail)

    with pytest.raises(InputError, match="no bread"):
        asyncio.run(cell())


@pytest.mark.parametrize("delay", [0, 3])
def test_the_reason_goes_before_the_cancelling_that_it_caused(delay):
    """Also where who was cancelled ends first."""

    async def session():
        async def cancelled():
            raise asyncio.CancelledError

        async def failed():
            for _ in range(delay):
                await asyncio.sleep(0)
            raise ValueError("the reason")

        running = {asyncio.create_task(cancelled()), asyncio.create_task(failed())}
        while running:
            running = await settle(running)

    with pytest.raises(ValueError, match="the reason"):
        asyncio.run(session())


def test_a_cancelling_without_a_reason_is_raised_in_the_end():
    """Nobody else has one; what still ran is over."""
    ended = []

    async def session():
        async def cancelled():
            raise asyncio.CancelledError

        async def whole():
            await asyncio.sleep(0.01)
            ended.append(True)

        running = {asyncio.create_task(cancelled()), asyncio.create_task(whole())}
        while running:
            running = await settle(running)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(session())
    assert ended == [True]
