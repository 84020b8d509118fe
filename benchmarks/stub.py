"""A model server that answers at once, in a process of its own, so that what a run costs is the run's own work.

It speaks just enough HTTP for clients that keep their connections and send a length: ``/v1/models``, and chat
completions. Infer is answered with two phrases, Rank with three numbers, a question of one token with ``yes``. Run it
with ``python benchmarks/stub.py`` to try something by hand; it prints its URL, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MODEL = "stub"
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


def _response(value: Any) -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + _END_OF_HEAD + body


def _completion(content: str, logprobs: Any = None) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 300, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 256}}
    answer = {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "usage": usage}
    return _response(answer | {"choices": [choice | {"logprobs": logprobs}]})


_ENTRIES = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in (("yes", -0.7), ("no", -0.8))]
MODELS = _response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})
PHRASES = _completion('{"phrases":["cook Italian dishes","serve guests"]}')
CHOSEN = _completion('{"chosen":[2,1,5]}')
YES = _completion("yes", {"content": [_ENTRIES[0] | {"top_logprobs": _ENTRIES}]})


class Exchange(asyncio.Protocol):
    """One connection: whole requests in, ready-made responses out, in order."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._read += data
        while (head := self._read.find(_END_OF_HEAD)) >= 0:
            end = head + len(_END_OF_HEAD) + _length(self._read[:head])
            if len(self._read) < end:
                return
            self._transport.write(_answer(self._read[:end]))
            self._read = self._read[end:]


def _length(head: bytes) -> int:
    _, found, after = head.lower().partition(_LENGTH)
    return int(after.split(b"\r\n", 1)[0]) if found else 0


def _answer(request: bytes) -> bytes:
    if request.startswith(b"GET"):
        return MODELS
    if b'"top_logprobs":' in request:
        return YES
    return CHOSEN if b'"chosen"' in request else PHRASES


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Exchange, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def running_stub() -> Iterator[str]:
    """Serve from another process until the end of the block; give the base URL."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(_serve())
