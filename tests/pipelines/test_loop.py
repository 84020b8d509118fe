"""One run to its end from ordinary code, and what a caller sees of its error."""

from __future__ import annotations

import asyncio

import pytest

from labelmill.errors import InputError
from labelmill.pipelines.loop import run_to_end


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
