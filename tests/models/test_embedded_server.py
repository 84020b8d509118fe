"""The embedded language model answers as any OpenAI-compatible server does. Nothing here judges what it says."""

from __future__ import annotations

import json
import socket
import urllib.request
from urllib.error import URLError
from urllib.parse import urlsplit

import pytest

from labelmill.models.embedded import embedded_server

pytestmark = pytest.mark.models

NUMBERS = {
    "type": "object",
    "properties": {
        "numbers": {"type": "array", "items": {"type": "integer", "enum": [1, 2, 3]}, "minItems": 1, "maxItems": 2}
    },
    "required": ["numbers"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("xllamacpp")
    with embedded_server() as running:
        yield running


def post(url, body):
    """Send JSON without any client library, and without any proxy of this machine."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=300) as answer:
        return json.load(answer)


def chat(server, text, **more):
    body = {"model": server.model, "temperature": 0, "messages": [{"role": "user", "content": text}]}
    return post(f"{server.base_url}/chat/completions", body | more)


def test_listens_on_this_machine_alone(server):
    """The server is bound to 127.0.0.1, not to every address of the machine."""
    address = urlsplit(server.base_url)
    assert address.hostname == "127.0.0.1"
    with socket.socket() as other:
        other.bind(("127.0.0.2", address.port))  # fails where somebody listens on all addresses


def test_names_its_model(server):
    """The model list has the name that the context gives."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{server.base_url}/models", timeout=60) as answer:
        assert [model["id"] for model in json.load(answer)["data"]] == [server.model]


def test_answers_by_a_json_schema(server):
    """An answer under a schema with an enumeration of integers and a bound on the items keeps both."""
    schema = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": NUMBERS, "strict": True}}
    answer = chat(server, "Which of 1, 2 and 3 are even?", max_tokens=200, response_format=schema)
    numbers = json.loads(answer["choices"][0]["message"]["content"])["numbers"]
    assert 1 <= len(numbers) <= 2
    assert set(numbers) <= {1, 2, 3}
    assert answer["usage"]["completion_tokens"] > 0


def test_gives_log_probabilities(server):
    """Every generated token comes with its log-probability and its best rivals."""
    answer = chat(server, "Say yes.", max_tokens=2, logprobs=True, top_logprobs=3)
    tokens = answer["choices"][0]["logprobs"]["content"]
    assert tokens
    assert all(token["logprob"] <= 0 and len(token["top_logprobs"]) == 3 for token in tokens)


def test_takes_prompts_of_two_thousand_tokens(server):
    """A long document fits into the context of a slot."""
    answer = chat(server, "The ferry left the quay at noon. " * 240, max_tokens=1)
    assert answer["usage"]["prompt_tokens"] >= 1900


def test_an_answer_does_not_depend_on_what_was_asked_before(server):
    """The same request gets the same numbers to the last bit after another request with a common beginning."""
    fixed = "Name what this note is about. Note: the mill grinds rye in autumn. About: milling. " * 4
    body = {"max_tokens": 8, "logprobs": True, "top_logprobs": 1}
    first = chat(server, f"{fixed} Note: boats in the harbour. About:", **body)
    chat(server, f"{fixed} Note: a lamp in the tower. About:", **body)
    again = chat(server, f"{fixed} Note: boats in the harbour. About:", **body)
    assert first["choices"][0]["logprobs"] == again["choices"][0]["logprobs"]


def test_ends_with_its_context():
    """After the context nobody answers at the address, even when its body raised."""
    pytest.importorskip("xllamacpp")
    with pytest.raises(RuntimeError, match="on purpose"), embedded_server(context_tokens=512) as running:  # noqa: PT012
        url = running.base_url
        raise RuntimeError("on purpose")
    with pytest.raises(URLError):
        post(f"{url}/chat/completions", {})
