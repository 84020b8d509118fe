"""A proxy that does to a model server's answers what networks, gateways and dying servers do; seeded.

What befalls a request depends on the seed, on the request and on how often it came, not on the order of arrival: two
runs of the same requests meet the same faults, whatever is in flight.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from random import Random

import aiohttp
from aiohttp import web

from loopback import LoopbackServer
from scripted_server import Tokens, completion

RATES = {"error": 0.10, "busy": 0.05, "hang": 0.05, "cut": 0.03, "nonsense": 0.02}
"""Shares of requests; half of what is cut is cut within HTTP, half is a whole answer of half a JSON text."""

_USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}}
NONSENSE = [
    web.Response,
    lambda: web.Response(text="<html><body><h1>Welcome to nginx!</h1></body></html>", content_type="text/html"),
    lambda: web.json_response([]),
    lambda: web.json_response({"choices": []}),
    lambda: web.json_response({"choices": [{"message": {"content": ["no", "text"]}}]}),
    lambda: web.json_response({"object": "error", "message": "something went wrong"}),
    lambda: web.json_response(completion("I'm sorry, but I cannot help with that.", _USAGE)),
    lambda: web.json_response(completion('{"phrases": {"a": [1]}, "chosen": ["one", 999]}', _USAGE)),
]
"""Answers with status 200 that are none."""


class FaultProxy(LoopbackServer):
    """Stands between a client and a server, and breaks what passes at given rates.

    Args:
        upstream: The server's base URL.
        seed: Of all faults.
        rates: Shares of completions, by kind of fault; the rest passes unchanged, and so does everything else.

    Attributes:
        injected: How many requests met each fault; ``none`` for those that passed.
        delivered: The tokens of completions that reached the client whole.
    """

    def __init__(self, upstream: str, seed: int, rates: dict[str, float] | None = None) -> None:
        super().__init__()
        self._upstream = upstream.removesuffix("/v1")
        self._seed = seed
        self._rates = RATES if rates is None else rates
        self._came: Counter[bytes] = Counter()
        self.injected: Counter[str] = Counter()
        self.delivered = Tokens()

    async def started(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))

    async def ended(self) -> None:
        await self._session.close()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.method == "GET":
            return await self._forward(request, body)
        chance = self._chance(body)
        fault = self._draw(chance.random())
        self.injected[fault] += 1
        if fault == "error":
            return web.Response(status=chance.choice([500, 502, 503]), text="upstream connect error")
        if fault == "busy":
            wait = {"Retry-After": chance.choice(["0", "0.1", "1"])}
            return web.json_response({"error": {"message": "too many requests"}}, status=429, headers=wait)
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "nonsense":
            return self._deliver(chance.choice(NONSENSE)())
        answer = await self._forward(request, body)
        if fault == "cut":
            return await self._cut(request, answer, within=chance.random() < 0.5)
        return self._deliver(answer)

    def _chance(self, body: bytes) -> Random:
        self._came[body] += 1
        seed = hashlib.sha256(b"%d %d %s" % (self._seed, self._came[body], body)).digest()
        return Random(seed)

    def _draw(self, share: float) -> str:
        for fault, rate in self._rates.items():
            share -= rate
            if share < 0:
                return fault
        return "none"

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        try:
            url = f"{self._upstream}{request.path}"
            async with self._session.request(request.method, url, data=body) as answer:
                return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)
        except aiohttp.ClientError:
            return web.Response(status=502, text="no upstream")

    async def _cut(self, request: web.BaseRequest, answer: web.Response, *, within: bool) -> web.StreamResponse:
        content = answer.body
        assert isinstance(content, bytes)
        half = content[: len(content) // 2]
        if not within:
            return web.Response(body=half, content_type="application/json")
        cut = web.StreamResponse(headers={"Content-Length": str(len(content)), "Content-Type": "application/json"})
        await cut.prepare(request)
        await cut.write(half)
        if request.transport is not None:
            request.transport.close()
        return cut

    def _deliver(self, answer: web.Response) -> web.Response:
        content = answer.body if isinstance(answer.body, bytes) else b""
        if b'"usage"' in content:
            self.delivered.add(json.loads(content)["usage"])
        return answer
