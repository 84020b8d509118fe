"""A stream of documents into batches, read in a thread beside the event loop, so that a slow pipe holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from threading import Thread
from typing import TypeVar

from labelmill.records import Document, Failure

BATCH_DOCUMENTS = 32
"""Documents of a batch: seconds of work, so that little is lost by a kill and commits cost little."""

QUICK_BATCH_DOCUMENTS = 256
"""The same of a student, which does a thousand a second: a commit of 32 would take longer than they."""

_BATCH_CHARACTERS = 200_000
"""Of 32 documents, so that its windows fit into memory: about as many, with a vector of 1.5 KB each."""

READER = "labelmill-reader"
"""Name of the threads that read."""

_Item = TypeVar("_Item", Document, Document | Failure)
_T = TypeVar("_T")


def batched(items: Iterable[_Item], first: int = BATCH_DOCUMENTS, then: int = BATCH_DOCUMENTS) -> Iterator[list[_Item]]:
    """Cut a stream into batches of as many documents, or fewer where they are long.

    Args:
        items: The stream.
        first: Documents of the first batch.
        then: Of the others.
    """
    most = _BATCH_CHARACTERS * max(then // BATCH_DOCUMENTS, 1)
    batch: list[_Item] = []
    characters, size = 0, first
    for item in items:
        batch.append(item)
        characters += len(item.text) if isinstance(item, Document) else 0
        if len(batch) == size or characters >= most:
            yield batch
            batch, characters, size = [], 0, then
    if batch:
        yield batch


async def next_of(items: Iterator[_T]) -> _T | None:
    """Wait for the next item of an iterator that may block, or None at its end.

    The thread is a daemon: a run that is stopped does not wait for a pipe that gives nothing. Its iterator is then
    not to be used again.
    """
    loop = asyncio.get_running_loop()
    coming: asyncio.Future[_T | None] = loop.create_future()

    def settle(item: _T | None, error: BaseException | None) -> None:
        if not coming.done():  # cancelled
            if error is None:
                coming.set_result(item)
            else:
                coming.set_exception(error)

    def read() -> None:
        item, error = None, None
        try:
            item = next(items, None)
        except BaseException as raised:  # noqa: BLE001 - raised again below, in the task that waits
            error = raised
        try:
            loop.call_soon_threadsafe(settle, item, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    Thread(target=read, name=READER, daemon=True).start()
    return await coming
