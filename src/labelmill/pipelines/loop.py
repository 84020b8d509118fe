"""A coroutine run to its end from ordinary code, wherever that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

_T = TypeVar("_T")


def run_to_end(make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a coroutine to its end, also from within a notebook, whose own loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
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
