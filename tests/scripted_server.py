"""The scripted model behind a fast server that counts: what it answers depends on the request alone."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from aiohttp import web

from loopback import LoopbackServer
from scripted import Request, ScriptedModel

TOKEN = 4
"""Bytes of a request or an answer that are counted as one token."""


class Tokens(Counter[str]):
    """Counts of ``prompt``, ``cached`` and ``completion`` tokens, and of ``requests``."""

    def add(self, usage: dict) -> None:
        """Count one answer."""
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        self.update(requests=1, prompt=usage["prompt_tokens"], cached=cached, completion=usage["completion_tokens"])


class ScriptedServer(LoopbackServer):
    """Answers as `ScriptedModel` does, and keeps count outside of any run.

    Attributes:
        pause: Seconds that an answer takes.
        asked: How often each request came in, by its bytes.
        spent: What was answered.
    """

    def __init__(self, pause: float = 0.0) -> None:
        super().__init__()
        self.pause = pause
        self.asked: Counter[bytes] = Counter()
        self.spent = Tokens()
        self._model = ScriptedModel()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/v1/chat/completions":
            return web.json_response(
                {"data": [{"id": self._model.model}]}, status=200 if request.path in _KNOWN else 404
            )
        body = await request.read()
        self.asked[body] += 1
        await asyncio.sleep(self.pause)
        content = self._model.answer(Request.read(json.loads(body)))
        usage = {
            "prompt_tokens": len(body) // TOKEN,
            "completion_tokens": len(str(content)) // TOKEN,
            "prompt_tokens_details": {"cached_tokens": len(body) // TOKEN // 2},
        }
        self.spent.add(usage)
        return web.json_response(completion(str(content), usage))


_KNOWN = {"/v1/models", "/health"}


def completion(content: str, usage: dict) -> dict:
    """Make the body of a chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}
