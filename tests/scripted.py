"""The one seam at which tests replace a language model: a scripted one, in process or behind a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from labelmill.errors import LabelmillError, ModelRefused, ModelRejected, ModelUnavailable
from labelmill.models.client import Completion
from labelmill.prompts.signatures import WHOLE_LIST

Answer = str | Completion | LabelmillError


@dataclass(frozen=True, slots=True)
class Request:
    """What a request asks: its stage, the text, the candidates or all labels by number; and whether it asks once more.

    `whole` says that the candidates are all labels.
    """

    stage: str
    text: str
    candidates: tuple[str, ...] = ()
    again: bool = False
    whole: bool = False

    @classmethod
    def read(cls, body: bytes | Mapping[str, Any]) -> Request:
        """Read the last question, as a model would."""
        messages = (json.loads(body) if isinstance(body, bytes) else body)["messages"]
        # A request to mend an answer stands behind that answer, and is no question of a stage.
        again = not messages[-1]["content"].startswith(_BEGIN)
        content = messages[-3 if again else -1]["content"].removeprefix(_BEGIN)
        content = content[: content.rindex("\n\nRespond with a JSON object")]
        text, asks_rank, listed = content.rpartition("\n\n[[ ## candidates ## ]]\n")
        _, shows_all, all_labels = messages[0]["content"].partition(f"{WHOLE_LIST}\n")
        if shows_all:
            numbered = all_labels[: all_labels.index("\nAll interactions will be structured")]
            names = tuple(line.split(". ", 1)[1] for line in numbered.split("\n"))
            return cls("rank", content, names, again, whole=True)
        if not asks_rank:
            return cls("infer", content, again=again)
        return cls("rank", text, tuple(line.split(". ", 1)[1] for line in listed.split("\n")), again)


_BEGIN = "[[ ## text ## ]]\n"


def long_words(request: Request) -> list[str]:
    """Propose every word of more than three letters, at most ten."""
    return re.findall(r"\w{4,}", request.text)[:10]


def mentioned(request: Request) -> list[int]:
    """Choose the candidates one of whose words the text has, by number."""
    words = {word[:5] for word in re.findall(r"\w{4,}", request.text.lower())}
    named = [{word[:5] for word in re.findall(r"\w{4,}", name.lower())} for name in request.candidates]
    return [number for number, name in enumerate(named, start=1) if name & words]


@dataclass
class ScriptedModel:
    """A `ChatModel` that answers by rule, and misbehaves where it is told to.

    Attributes:
        phrases: The rule for Infer.
        choose: The rule for Rank.
        troubles: Answers in place of the rule's: a request whose text holds the key gets an error raised, or this content.
        mends: Whether it follows the rule where it is asked once more; else the trouble is the same again.
        pause: Seconds that every answer takes.
        requests: What was asked, in order; a cancelled request stays in, but not in `answered`.
    """

    model: str = "scripted"
    phrases: Callable[[Request], Any] = long_words
    choose: Callable[[Request], Any] = mentioned
    troubles: dict[str, Answer] = field(default_factory=dict)
    mends: bool = False
    pause: float = 0.0
    requests: list[Request] = field(default_factory=list)
    answered: int = 0

    @property
    def identity(self) -> str:
        """Its name: no more is known."""
        return self.model

    async def complete(self, body: bytes | Mapping[str, Any], *, turn: int = 0, group: str = "") -> Completion:
        """Answer one request by the rules."""
        request = Request.read(body)
        self.requests.append(request)
        await asyncio.sleep(self.pause)
        answer = self.answer(request)
        if isinstance(answer, LabelmillError):
            raise answer
        self.answered += 1
        return answer if isinstance(answer, Completion) else Completion(answer, 10, 4, 2)

    def answer(self, request: Request) -> Answer:
        """Give the trouble that the text calls for, or follow the rule."""
        for word, trouble in self.troubles.items():
            if word in request.text and not (request.again and self.mends):
                return trouble
        if request.stage == "infer":
            return json.dumps({"phrases": self.phrases(request)})
        return json.dumps({"chosen": self.choose(request)})

    def asked(self, stage: str) -> list[Request]:
        """List the requests of one stage."""
        return [request for request in self.requests if request.stage == stage]


_STATUS = {ModelRejected: 400, ModelUnavailable: 503, ModelRefused: 401}


@contextmanager
def served(model: ScriptedModel) -> Iterator[str]:
    """Put a scripted model behind an OpenAI-compatible server on loopback; give its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._put(200, {"data": [{"id": model.model}]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                answer = asyncio.run(model.complete(body))
            except LabelmillError as error:
                self._put(_STATUS[type(error)], {"error": {"message": str(error)}})
                return
            usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
            finish = "length" if answer.truncated else "stop"
            choices = [
                {"index": 0, "message": {"role": "assistant", "content": answer.content}, "finish_reason": finish}
            ]
            self._put(200, {"id": "1", "object": "chat.completion", "choices": choices, "usage": usage})

        def _put(self, status: int, value: dict[str, Any]) -> None:
            content = json.dumps(value).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def log_message(self, *_args: object) -> None:
            """Be quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        # A run connects 32 times at once. Where a short queue is full, Linux drops what comes, and the client's next
        # attempts come after 1, 3, 7, ... and up to 63 seconds.
        request_queue_size = 128

        def handle_error(self, *_args: object) -> None:
            """Be quiet: a client that is killed is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
