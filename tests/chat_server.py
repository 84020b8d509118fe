"""A small OpenAI-compatible server on this machine, with scripted answers; it keeps the bytes of every request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}}


def completion(content: str | None, *, finish: str = "stop", usage: Any = USAGE) -> dict[str, Any]:
    """Make the body of a chat completion."""
    message = {"role": "assistant", "content": content}
    answer = {"id": "c1", "object": "chat.completion", "created": 0, "model": "toy"}
    answer["choices"] = [{"index": 0, "message": message, "finish_reason": finish}]
    return answer if usage is None else answer | {"usage": usage}


@dataclass(frozen=True, slots=True)
class Request:
    """What came in.

    Attributes:
        path: With its leading slash.
        body: The bytes, as they were sent; empty for GET.
        key: The value of the header ``Authorization``.
    """

    path: str
    body: bytes
    key: str

    @property
    def json(self) -> dict[str, Any]:
        """The body, parsed."""
        content: dict[str, Any] = json.loads(self.body)
        return content


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out.

    Attributes:
        status: Of HTTP.
        body: JSON values, or bytes to send as they are; None for an error that names the status and the key.
        kind: The content type.
        wait: The header ``Retry-After``.
        hold: Whether to wait until the server's `release` is set.
        drop: Whether to close the connection after half of the body.
    """

    status: int = 200
    body: Any = None
    kind: str = "application/json"
    wait: str | None = None
    hold: bool = False
    drop: bool = False


class ChatServer(ThreadingHTTPServer):
    """Answers ``/v1/models`` and ``/v1/chat/completions``.

    Attributes:
        models: Names of the models it claims to have.
        script: Replies to give first, one a request, to completions only.
        reply: Makes the content of an answer from the request's body, once the script is at its end.
        requests: What came in, in order.
        keep_alive: Whether connections stay open between requests.
        most_busy: How many completions were under way at once at most.
        release: What held replies wait for.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Exchange)
        self.keep_alive = True
        self.models = ["toy"]
        self.script: list[Reply] = []
        self.reply: Callable[[dict[str, Any]], str] = lambda body: '{"phrases": []}'
        self.requests: list[Request] = []
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()
        self.release = threading.Event()

    @property
    def url(self) -> str:
        """The base URL that clients are given."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def bodies(self) -> list[bytes]:
        """The bytes of every completion that was asked for."""
        return [request.body for request in self.requests if request.path == "/v1/chat/completions"]

    def handle_error(self, *_: Any) -> None:
        """Stay silent where a client has gone away: tests do that on purpose."""


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_GET(self) -> None:
        self._record(b"")
        if self.path != "/v1/models":
            self._send(Reply(404))
            return
        self._send(Reply(body={"object": "list", "data": [{"id": name} for name in self.server.models]}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            scripted = self.server.script.pop(0) if self.server.script else None
            self.server.busy += 1
            self.server.most_busy = max(self.server.most_busy, self.server.busy)
        self._record(body)
        try:
            self._send(scripted or self._answer(json.loads(body)))
        finally:
            with self.server.lock:
                self.server.busy -= 1

    def _answer(self, body: dict[str, Any]) -> Reply:
        if self.path != "/v1/chat/completions" or body["model"] not in self.server.models:
            return Reply(404)
        return Reply(body=completion(self.server.reply(body)))

    def _record(self, body: bytes) -> None:
        with self.server.lock:
            self.server.requests.append(Request(self.path, body, self.headers.get("Authorization", "")))

    def _send(self, reply: Reply) -> None:
        if reply.hold:
            self.server.release.wait(30)
        content = reply.body
        if content is None:
            content = {"error": {"message": f"scripted\n{reply.status} for {self.headers.get('Authorization')}"}}
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(payload)))
        if reply.wait is not None:
            self.send_header("Retry-After", reply.wait)
        self.end_headers()
        self.wfile.write(payload[: len(payload) // 2] if reply.drop else payload)
        self.close_connection = reply.drop or not self.server.keep_alive

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def running(port: int = 0) -> Iterator[ChatServer]:
    """Serve until the end of the block, on a free port unless one is named."""
    with ChatServer(port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()
