"""Reading a corpus beside the event loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from labelmill.errors import CorpusError
from labelmill.pipelines.feeding import batched, next_of
from labelmill.records import Document, Failure


def test_batches_end_at_their_number_or_their_length():
    """32 documents, or fewer long ones; nothing is lost or reordered."""
    short = [Document(str(number), "x") for number in range(70)]
    assert [len(batch) for batch in batched(short)] == [32, 32, 6]
    long = [Document(str(number), "x" * 150_000) for number in range(5)]
    assert [len(batch) for batch in batched(long)] == [2, 2, 1]
    mixed = [*short[:3], Failure("f", "read", "no-text", "none"), *short[3:]]
    assert [item for batch in batched(mixed) for item in batch] == mixed


def test_a_slow_source_leaves_the_loop_free():
    """While the next item is waited for, other tasks go on; the end is None."""
    released = threading.Event()

    def source():
        released.wait(30)
        yield [1]

    async def session():
        items = source()
        coming = asyncio.create_task(next_of(items))
        await asyncio.sleep(0.01)
        assert not coming.done()
        released.set()
        return await coming, await next_of(items)

    assert asyncio.run(session()) == ([1], None)


def test_what_reading_raises_is_raised_where_it_is_waited_for():
    """An error of the corpus ends the run with its own message."""

    def source():
        raise CorpusError("damaged")
        yield

    with pytest.raises(CorpusError, match="damaged"):
        asyncio.run(next_of(source()))


def test_a_run_that_is_stopped_does_not_wait_for_its_source():
    """A pipe that gives nothing more holds up neither the cancelling nor the end of the loop."""
    released = threading.Event()

    def source():
        released.wait(30)
        yield [1]

    async def session():
        coming = asyncio.create_task(next_of(source()))
        await asyncio.sleep(0.01)
        coming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await coming

    asyncio.run(session())
    assert not released.is_set()
    released.set()
    readers = [thread for thread in threading.enumerate() if thread.name == "labelmill-reader"]
    for thread in readers:
        thread.join(5)
    time.sleep(0)
    assert not any(thread.is_alive() for thread in readers)
