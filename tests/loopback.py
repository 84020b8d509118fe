"""An HTTP server in a thread of this process, that can be closed for good or for a moment, and opened at the same port."""

from __future__ import annotations

import asyncio
import socket
import time
from threading import Thread
from typing import Self

from aiohttp import web


class LoopbackServer:
    """Serves on 127.0.0.1 within its context; what it answers is for its subclasses to say.

    Attributes:
        port: The same for as long as the object lives, whether it is open or closed.
    """

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=type(self).__name__)
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The base URL that clients are given."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; cancelled where the client goes away."""
        raise NotImplementedError

    async def started(self) -> None:
        """Make what lives in the loop."""

    async def ended(self) -> None:
        """Close it."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self.started())
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._run(self.ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self) -> None:
        """Listen."""
        self._run(self._open())

    def close(self) -> None:
        """Cut every connection and refuse new ones."""
        self._run(self._close())

    def restart(self, seconds: float) -> None:
        """Close, and open again after a while."""
        self.close()
        time.sleep(seconds)
        self.open()

    async def _open(self) -> None:
        server = web.Server(self.answer, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, backlog=512).start()

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _run(self, coroutine) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)
