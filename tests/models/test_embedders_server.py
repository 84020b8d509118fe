"""The embedder behind a server, against a real HTTP server on this machine."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from labelmill.errors import ModelRefused, ModelRejected, ModelUnavailable
from labelmill.models.embedders.server import ServerEmbedder

LIMIT = 1000
"""Characters that the server's model takes."""


def vector(text):
    """Stand in for a model: letter counts, of some length other than 1."""
    counts = Counter(text)
    return [1.0 + counts[letter] for letter in "abcde"]


class EmbeddingServer(ThreadingHTTPServer):
    """Answers /v1/embeddings for the model 'toy'; `script` holds statuses to answer first."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.script: list[int] = []
        self.requests: list[dict] = []
        self.keys: list[str] = []
        self.spoil = lambda data: data
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(body)
            self.server.keys.append(self.headers.get("Authorization", ""))
            status = self.server.script.pop(0) if self.server.script else 200
            self.server.busy += 1
            self.server.most_busy = max(self.server.most_busy, self.server.busy)
        try:
            self._answer(*self._choose(status, body))
        finally:
            with self.server.lock:
                self.server.busy -= 1

    def _choose(self, status, body):
        if status != 200:
            return status, {"error": {"message": f"scripted {status}, key {self.headers.get('Authorization')}"}}
        if self.path != "/v1/embeddings" or body["model"] != "toy":
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        if any(len(text) > LIMIT for text in body["input"]):
            return 400, {"error": {"message": "maximum context length"}}
        rows = [{"index": place, "embedding": vector(text)} for place, text in enumerate(body["input"])]
        return 200, {"data": self.server.spoil(rows[::-1])}  # the order is told by the index alone

    def _answer(self, status, content):
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with EmbeddingServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def make(server, monkeypatch):
    """Make embedders of the server that wait next to nothing between attempts; close their connections."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    made = []

    def make_embedder(model="toy", url=None, **more):
        made.append(ServerEmbedder(model, url or server.url, first_wait=0.01, **more))
        return made[-1]

    yield make_embedder
    for embedder in made:
        embedder.close()


def unit(text):
    return np.array(vector(text)) / np.linalg.norm(vector(text))


def test_gives_unit_rows_in_the_order_of_the_texts(make, server):
    """Rows follow the texts over several requests, whatever the order within an answer."""
    texts = [f"{'abcde'[n % 5] * (n % 7)} {n}" for n in range(150)]
    vectors = make(batch_size=16).embed(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [unit(text) for text in texts], atol=1e-6)
    assert sorted(len(request["input"]) for request in server.requests) == [6] + [16] * 9


def test_bounds_the_requests_at_a_time(make, server):
    """No more requests are under way than asked for."""
    make(batch_size=1, concurrency=2).embed([f"a{n}" for n in range(40)])
    assert server.most_busy <= 2


def test_no_text_gives_no_row(make):
    """An empty call has the model's width."""
    assert make().embed([]).shape == (0, 5)


def test_tries_again_after_an_error_of_the_server(make, server):
    """500 and 503, then 200: the vectors come, after three requests."""
    server.script = [500, 503]
    np.testing.assert_allclose(make().embed(["abc"]), [unit("abc")], atol=1e-6)
    assert len(server.requests) == 3


def test_gives_up_after_some_attempts(make, server):
    """A server that stays broken is unavailable; the message names it."""
    server.script = [500] * 9
    with pytest.raises(ModelUnavailable, match=f"{server.url} answered 500"):
        make(attempts=3).embed(["abc"])
    assert len(server.requests) == 3


def test_an_unknown_model_is_refused_at_once(make, server):
    """404 names model and URL, and is not tried again."""
    with pytest.raises(ModelRefused, match=rf"{server.url} answered 404 for the embedder 'other'.*does not exist"):
        make("other").embed(["abc"])
    assert len(server.requests) == 1


def test_a_refused_connection_is_unavailable(make):
    """Where nobody listens, the message names the URL and the remedy on one line."""
    with pytest.raises(ModelUnavailable, match=r"No answer from http://127\.0\.0\.1:9/v1 .*Check that") as caught:
        make(url="http://127.0.0.1:9/v1", attempts=2).embed(["abc"])
    assert "\n" not in str(caught.value)


def test_cuts_what_is_too_long(make, server):
    """A text beyond the model's limit is halved until it fits; its neighbours are left whole."""
    texts = ["abc", "a" * 3000 + "b" * 3000, "cde"]
    np.testing.assert_allclose(make().embed(texts), [unit("abc"), unit("a" * 750), unit("cde")], atol=1e-6)


def test_a_short_text_is_rejected_for_good(make, server):
    """A rejection that is not about length ends after one request for the text."""
    server.script = [400] * 9
    with pytest.raises(ModelRejected, match="answered 400"):
        make().embed(["abc"])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows[:-1], "1 rows that are not 2 numbered vectors"),
        (lambda rows: [*rows, rows[0]], "3 vectors for 2 texts"),
        (lambda rows: [row | {"embedding": [0.0] * 5} for row in rows], "zero or not finite"),
        (lambda rows: [row | {"embedding": "AAAA"} for row in rows], "not 2 numbered vectors"),
        (lambda rows: [row | {"embedding": [1.0] * (2 + row["index"])} for row in rows], "of one length"),
        (lambda rows: None, "without 'data'"),
    ],
    ids=["one-missing", "one-more", "zeros", "base64", "ragged", "no-data"],
)
def test_refuses_what_is_no_vector(make, server, spoil, message):
    """An answer of the wrong count or shape is an error, never a row of something else."""
    server.spoil = spoil
    with pytest.raises(ModelRefused, match=message):
        make().embed(["abc", "cde"])


def test_the_key_comes_from_the_environment_and_stays_out_of_messages(make, server, monkeypatch):
    """The key is sent, and a server that repeats it does not bring it into the message."""
    make().embed(["a"])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden")
    embedder = make()
    embedder.embed(["a"])
    assert server.keys == ["Bearer EMPTY", "Bearer sk-hidden"]
    server.script = [401]
    with pytest.raises(ModelRefused, match="Set OPENAI_API_KEY") as caught:
        embedder.embed(["a"])
    assert "sk-hidden" not in str(caught.value) + embedder.name + embedder.fingerprint


def test_no_proxy_stands_before_this_machine(make, server, monkeypatch):
    """A proxy in the environment, here a dead one, is not asked for a server on this machine."""
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    assert make(attempts=1).embed(["a"]).shape == (1, 5)
    assert len(server.requests) == 1
