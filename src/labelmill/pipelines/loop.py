"""Coroutines: one run to its end from ordinary code, wherever that runs, and several side by side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

_T = TypeVar("_T")


def run_to_end(make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a coroutine to its end, also from within a notebook, whose own loop is running already."""
    if not _within_a_loop():
        return asyncio.run(make())
    tasks: list[asyncio.Task[_T]] = []
    outcome: Future[_T] = Future()

    async def main() -> _T:
        tasks.append(asyncio.ensure_future(make()))
        return await tasks[0]

    def target() -> None:
        try:
            outcome.set_result(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            outcome.set_exception(error)

    thread = Thread(target=target, name="labelmill")
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        for task in tasks:
            task.get_loop().call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    return outcome.result()


def _within_a_loop() -> bool:
    """Tell whether a loop runs in this thread: to ask for it raises, which no error of the coroutine should follow."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def settle(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until some tasks end, raise what they raised, and return those still running."""
    ended, rest = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    await raise_from(ended, rest)
    return rest


async def raise_from(ended: Iterable[asyncio.Task[None]], running: Iterable[asyncio.Task[None]]) -> None:
    """Raise what tasks raised that have ended.

    A batch that waits for another's question is cancelled with it: the reason is with the other, which may be still
    ending. So after a cancelled one, those that run are waited for.
    """
    done, rest = set(ended), set(running)
    cancelled = None
    while done:
        cancelled = next((task for task in done if task.cancelled()), cancelled)
        # All are asked for their errors: one is raised, and none is to be told as never retrieved.
        errors = [error for task in done if not task.cancelled() and (error := task.exception())]
        if errors:
            raise errors[0]
        done = set()
        if cancelled is not None and rest:
            done, rest = await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
    if cancelled is not None:
        cancelled.result()


async def give_up(begun: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel what was begun, and wait for its end; of what it raises nothing is said, for there is a reason already."""
    tasks = list(begun)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):  # who stops twice does not wait
        await asyncio.gather(*tasks, return_exceptions=True)
