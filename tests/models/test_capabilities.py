"""What is found out about a server: about one made of parts that can be left out, and about the embedded one."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from labelmill.errors import InputError, ModelRefused, ModelUnavailable
from labelmill.models.capabilities import Capabilities, describe, examine

KEY = "sk-secret-of-mine"
WORD = '{"word":"quokkazig"}'


class Parts(ThreadingHTTPServer):
    """Answers as vLLM does, or less well.

    Attributes:
        served: What it says of its models.
        schema: Whether a JSON schema holds.
        whitespace: ``none`` as with disable_any_whitespace, ``free``, ``seen`` where it is used unasked, or ``bias``
            where a logit bias overrules the grammar.
        alternatives: With how many it gives log-probabilities, at most.
        cached: What it says of cached tokens; None for nothing.
        hits: What its metrics say; None where there are none.
        missing: Paths that it does not have.
        status: What it answers everything with, if not 200.
        key: The key that it wants.
        asked: Paths and bodies that came in.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.served = [{"id": "m", "owned_by": "vllm", "max_model_len": 4096}]
        self.schema = True
        self.whitespace = "none"
        self.alternatives = 20
        self.cached: int | None = 128
        self.hits: float | None = 128.0
        self.missing: set[str] = {"/v1/embeddings"}
        self.status = 200
        self.key = ""
        self.asked: list[tuple[str, dict]] = []

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def examine(self, url: str = "", model: str = "", key: str = "") -> Capabilities:
        """Examine it."""
        return asyncio.run(examine(url or self.url, model, key))


class Exchange(BaseHTTPRequestHandler):
    server: Parts

    def do_GET(self) -> None:
        self.answer({})

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, body: dict) -> None:
        server = self.server
        server.asked.append((self.path, body))
        status, value = 200, None
        if server.key and self.headers["Authorization"] != f"Bearer {server.key}":
            status, value = 401, {"error": f"{self.headers['Authorization']}\x1b[2J is wrong"}
        elif server.status != 200 and body:
            status, value = server.status, {"error": {"message": f"no: {self.headers['Authorization']}"}}
        elif self.path in server.missing or not hasattr(self, name := self.path.strip("/").replace("/", "_")):
            status, value = 404, {"detail": "Not Found"}
        else:
            value = getattr(self, name)(body)
        status, value = value if isinstance(value, tuple) else (status, value)
        payload = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def v1_models(self, _: dict) -> object:
        return {"data": self.server.served}

    def version(self, _: dict) -> object:
        return {"version": "0.32.0"}

    def metrics(self, _: dict) -> object:
        hits = self.server.hits
        return "# TYPE x\n" if hits is None else f'vllm:prefix_cache_hits_total{{engine="0"}} {hits}\n'

    def tokenize(self, body: dict) -> object:
        return {"tokens": [198] if body.get("prompt") == "\n" else [1, 2, 3]}

    def generative_scoring(self, body: dict) -> object:
        return {"data": [{"index": 0, "score": 0.25}]}

    def v1_embeddings(self, body: dict) -> object:
        return {"data": [{"index": 0, "embedding": [0.5, 0.5, 0.5]}]}

    def v1_chat_completions(self, body: dict) -> object:
        server = self.server
        if body.get("top_logprobs", 0) > server.alternatives > 0:
            return 400, {"error": {"message": "Requested sample logprobs of 20, which is greater than max allowed"}}
        choice: dict = {"message": {"content": self.content(body)}}
        if body.get("logprobs") and server.alternatives:
            tokens = [{"token": str(place), "logprob": -place} for place in range(body["top_logprobs"])]
            choice["logprobs"] = {"content": [{"top_logprobs": tokens}]}
        usage = {"prompt_tokens": 200}
        if server.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": server.cached}
        return {"choices": [choice], "usage": usage}

    def content(self, body: dict) -> str:
        if "response_format" not in body or not self.server.schema:
            return "An owl."
        if "logit_bias" in body:
            return {"none": '{"wo', "free": "{\n\n\n", "seen": "{\n\n\n", "bias": "\n\n\n\n"}[self.server.whitespace]
        return WORD.replace("{", "{\n  ") if self.server.whitespace == "seen" else WORD

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running() -> Iterator[Parts]:
    """Serve until the end of the block."""
    with Parts() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Parts]:
    with running() as parts:
        yield parts


WHOLE = Capabilities(
    url="",
    model="m",
    models=("m",),
    server="vllm",
    version="0.32.0",
    context_tokens=4096,
    chat=True,
    json_schema=True,
    free_whitespace=False,
    logprobs=20,
    scoring=True,
    tokenize=True,
    prefix_metrics=True,
    prefix_caching=True,
    cached_tokens=True,
)


def test_a_server_that_can_do_everything_lacks_nothing(server):
    """Pointwise Rank scores, and every answer tells the hit rate."""
    found = server.examine()
    assert found == replace(WHOLE, url=server.url)
    assert (found.pointwise, found.hit_rate, found.shortcomings) == ("scoring", "answers", ())


@pytest.mark.parametrize(
    ("part", "value", "changes", "shortcoming"),
    [
        ("schema", False, {"json_schema": False, "free_whitespace": None}, "JSON schemas do not hold"),
        ("whitespace", "free", {"free_whitespace": True}, "padded with whitespace"),
        ("whitespace", "seen", {"free_whitespace": True}, "padded with whitespace"),
        ("whitespace", "bias", {"free_whitespace": None}, ""),
        ("alternatives", 0, {"logprobs": 0}, "Pointwise Rank does not work"),
        ("cached", None, {"cached_tokens": False}, "Answers do not say"),
        ("hits", 0.0, {"prefix_caching": False}, "prefix cache is off"),
        ("hits", None, {"prefix_metrics": False}, ""),
        ("served", [{"id": "m", "owned_by": "vllm"}], {"context_tokens": 0}, "how long a prompt may be"),
    ],
)
def test_what_is_missing_is_seen_and_nothing_else_changes(server, part, value, changes, shortcoming):
    """Each part by itself."""
    setattr(server, part, value)
    found = server.examine()
    assert found == replace(WHOLE, url=server.url, **changes)
    assert len(found.shortcomings) == bool(shortcoming)
    assert shortcoming in " ".join(found.shortcomings)


@pytest.mark.parametrize("path", ["/generative_scoring", "/tokenize"])
def test_without_scoring_or_its_tokens_pointwise_goes_by_logprobs(server, path):
    """One request a candidate; what the server said is noted."""
    server.missing.add(path)
    found = server.examine()
    assert found.pointwise == "logprobs"
    assert found.notes == (f"{path}: 404 Not Found",)
    assert "one request a candidate" in " ".join(found.shortcomings)


def test_fewer_alternatives_are_asked_for_where_twenty_are_too_many(server):
    """Five are enough."""
    server.alternatives = 5
    found = server.examine()
    assert (found.logprobs, found.pointwise) == (5, "scoring")


def test_the_hit_rate_comes_from_metrics_where_answers_are_silent(server):
    """And from nowhere, where there are none either."""
    server.cached = None
    assert server.examine().hit_rate == "metrics"
    server.hits = None
    found = server.examine()
    assert (found.hit_rate, found.prefix_caching) == ("none", None)


def test_an_embedder_is_told_from_a_language_model(server):
    """By trying."""
    server.missing = {"/v1/chat/completions"}
    found = server.examine()
    assert (found.chat, found.embedding_size) == (False, 3)
    assert found.shortcomings == (f"It answers no chat completions. Use it with --embedder m@{server.url}.",)
    server.missing.add("/v1/embeddings")
    assert server.examine().embedding_size == 0


def test_the_probes_are_few_and_short(server):
    """A server on a CPU answers them in seconds."""
    server.examine()
    chats = [body for path, body in server.asked if path == "/v1/chat/completions"]
    assert len(chats) <= 4
    assert sum(body["max_tokens"] for body in chats) < 60
    assert max(len(body["messages"][0]["content"]) for body in chats) < 300
    assert not [body for body in chats if "quokkazig" in json.dumps(body["messages"])]


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_the_url_may_lack_its_end(server, end):
    """It is found."""
    assert server.examine(server.url.removesuffix("/v1") + end).url == server.url


def test_of_several_models_one_must_be_named(server):
    """The message lists them."""
    server.served = [{"id": "m"}, {"id": "n"}]
    assert server.examine(model="n").model == "n"
    for model, words in (("", "serves several models"), ("o", "does not serve 'o'")):
        with pytest.raises(ModelRefused, match=f"{words}; it has: m, n"):
            server.examine(model=model)


def test_a_key_is_sent_and_never_shown(server):
    """Nor are control characters of a server's words."""
    server.key = "another"
    with pytest.raises(ModelRefused, match="OPENAI_API_KEY") as raised:
        server.examine(key=KEY)
    assert KEY not in str(raised.value)
    assert "\x1b" not in str(raised.value)
    server.key, server.status = KEY, 400
    found = server.examine(key=KEY)
    assert KEY not in repr(found)
    assert "/v1/chat/completions: 400 no: Bearer ***" in found.notes


def test_a_key_of_the_environment_is_used(server, monkeypatch):
    """As by every client here."""
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY} ")
    server.key = KEY
    assert asyncio.run(examine(server.url)).chat


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_not_taken_for_a_poor_one(server, status):
    """It is to be asked again."""
    server.status = status
    with pytest.raises(ModelUnavailable, match=str(status)):
        server.examine()


def test_no_proxy_is_asked_for_this_machine(server, monkeypatch):
    """None could reach it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert server.examine().chat


@pytest.mark.parametrize("url", ["http://u:p@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?key=p", "http://[::1/v1"])
def test_a_url_with_a_secret_is_refused(url):
    """Before anything is sent, and without repeating the secret."""
    with pytest.raises(InputError) as raised:
        asyncio.run(examine(url))
    assert "p@" not in str(raised.value)


def test_a_server_that_is_none_is_told_from_one_that_is_away(server):
    """By another error."""
    server.missing.add("/v1/models")
    with pytest.raises(ModelRefused, match="no list of models"):
        server.examine()
    with pytest.raises(ModelUnavailable, match="No answer"):
        server.examine("http://127.0.0.1:9/v1")


def test_every_finding_has_words(server):
    """Of a good server and of one that was never tried."""
    words = dict(describe(server.examine()))
    assert words["labelmill: pointwise Rank"] == "yes, all candidates of a document in one request"
    assert words["whitespace in structured answers"] == "none"
    assert dict(describe(Capabilities("u", "m")))["chat completions"] == "no"
    assert ("said", "x") in describe(Capabilities("u", "m", notes=("x",)))


@pytest.mark.models
def test_the_embedded_model_ranks_by_logprobs():
    """llama.cpp: schemas hold, with whitespace in them; no scoring; every answer counts what was cached."""
    pytest.importorskip("xllamacpp")
    from labelmill.models.embedded import embedded_server

    with embedded_server() as embedded:
        found = asyncio.run(examine(embedded.base_url))
    assert (found.model, found.server) == (embedded.model, "llamacpp")
    assert found.context_tokens == embedded.context_tokens
    assert (found.chat, found.json_schema, found.free_whitespace) == (True, True, True)
    assert (found.scoring, found.pointwise, found.hit_rate) == (False, "logprobs", "answers")
