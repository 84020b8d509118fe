"""The client of a language model, against a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
import stamina

from chat_server import Reply, completion, running
from labelmill.errors import ModelRefused, ModelRejected, ModelUnavailable
from labelmill.models.served import ServedModel

BODY = {"model": "toy", "messages": [{"role": "user", "content": "Brot, „Käse“ & 🥖"}], "max_tokens": 9}
BYTES = json.dumps(BODY, ensure_ascii=False, separators=(",", ":")).encode()
NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def _no_key_no_waiting(monkeypatch):
    """No key of the environment, and as many attempts as were asked for, without the waits between them."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with stamina.set_testing(True, attempts=10**6, cap=True):
        yield


def ask(server, body=BYTES, **more):
    """Open a client, ask once, close it."""

    async def session():
        async with ServedModel(server.url, **more) as model:
            return await model.complete(body)

    return asyncio.run(session())


async def until(condition):
    """Wait for what happens in the server's threads."""
    while not condition():  # noqa: ASYNC110 - no event of theirs reaches this loop
        await asyncio.sleep(0.01)


@contextmanager
def raises(kind, match):
    """Expect an error of one line."""
    with pytest.raises(kind, match=match) as caught:
        yield
    assert "\n" not in str(caught.value)


def test_an_answer_comes_with_its_cost(chat_server):
    """Content, tokens, attempts and the end of the answer are taken over."""
    chat_server.script = [Reply(body=completion("salt", finish="length"))]
    answer = ask(chat_server)
    assert (answer.content, answer.truncated, answer.attempts) == ("salt", True, 1)
    assert (answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens) == (11, 8, 3)
    assert answer.seconds > 0


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503])
def test_tries_again_while_the_server_is_unwell(chat_server, status):
    """The states that pass are tried again, and every attempt is counted."""
    chat_server.script = [Reply(status)] * 3
    assert ask(chat_server).attempts == 4
    assert len(chat_server.bodies) == 4
    assert len(set(chat_server.bodies)) == 1


def test_gives_up_after_the_attempts(chat_server):
    """A server that stays unwell is unavailable, told on one line with its URL."""
    chat_server.script = [Reply(500)] * 9
    with raises(ModelUnavailable, rf"^{chat_server.url} answered 500: .*scripted.*500"):
        ask(chat_server, attempts=3)
    assert len(chat_server.bodies) == 3


def test_a_dropped_connection_is_tried_again(chat_server):
    """An answer that breaks off in the middle is no answer."""
    chat_server.script = [Reply(body=completion("half of it"), drop=True)] * 2
    answer = ask(chat_server)
    assert (answer.content, answer.attempts) == ('{"phrases": []}', 3)


def test_a_server_that_goes_and_comes_back():
    """Refused connections in the middle of a session cost the request no attempt: it waits until somebody listens."""

    async def session():
        with running() as first:
            first.keep_alive = False
            model = await ServedModel(first.url, attempts=1).__aenter__()
        waiting = asyncio.create_task(model.complete(BYTES))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        assert [state.state for state in model.states()] == ["down"]
        with running(first.server_address[1]):
            answer = await waiting
            assert [state.state for state in model.states()] == ["up"]
        await model.__aexit__()
        return answer

    answer = asyncio.run(session())
    assert (answer.content, answer.attempts) == ('{"phrases": []}', 1)


def test_a_busy_server_is_waited_for(chat_server):
    """429 costs no attempt and is repeated when the server says."""
    chat_server.script = [Reply(429, wait="0")] * 3
    assert ask(chat_server, attempts=1).attempts == 1
    assert len(chat_server.bodies) == 4


def test_where_nobody_listens():
    """A refused connection names the URL and the remedy."""
    with raises(ModelUnavailable, rf"^No answer from {NOBODY} .*Check that the server runs"):
        asyncio.run(ServedModel(NOBODY).__aenter__())


def test_retries_write_nothing_to_the_console(chat_server):
    """Waiting for a server is told by the progress of the run, not by a logger that nobody has configured."""
    chat_server.script = [Reply(503)]
    code = (
        "import asyncio, stamina, sys\n"
        "from labelmill.models.served import ServedModel\n"
        "async def main():\n"
        "    async with ServedModel(sys.argv[1]) as model:\n"
        '        print((await model.complete(b\'{"model": "toy"}\')).attempts)\n'
        "stamina.set_testing(True, attempts=2)\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, chat_server.url], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("2\n", "")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_malformed_request_is_rejected_at_once(chat_server, status):
    """What is wrong with this request alone is not tried again."""
    chat_server.script = [Reply(status)] * 9
    with raises(ModelRejected, f"answered {status}: "):
        ask(chat_server)
    assert len(chat_server.bodies) == 1


def test_a_rejection_is_told_in_the_servers_own_words(chat_server):
    """Not wrapped in the JSON that they came in."""
    body = b'{"error": {"message": "This model has 4096 tokens of context.", "type": "BadRequestError", "code": 400}}'
    chat_server.script = [Reply(400, body)]
    with raises(ModelRejected, r"answered 400: This model has 4096 tokens of context\.$"):
        ask(chat_server)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, r"model's name\. Check that the URL")],
)
def test_what_no_request_can_mend_is_refused_at_once(chat_server, status, remedy):
    """A wrong key or a wrong address ends it, with the remedy."""
    chat_server.script = [Reply(status)] * 9
    with raises(ModelRefused, f"answered {status}: .*{remedy}"):
        ask(chat_server)
    assert len(chat_server.bodies) == 1


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE HTML>\n<html>lost</html>", b"\n<html><h1>lost</h1>", b"<?xml version='1'?>"]
)
def test_a_page_is_told_by_its_status_alone(chat_server, page):
    """A web server at the wrong address answers with markup, which belongs into no line."""
    chat_server.script = [Reply(404, page, kind="text/html")]
    with raises(ModelRefused, rf"^{chat_server.url} answered 404: Not Found\. Check that the URL ends in /v1\.$"):
        ask(chat_server)


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 4096 tokens.",
        "the request exceeds the available context size",
        "Prompt is too long",
        "longer than the maximum model length of 512",
    ],
)
def test_a_rejection_for_length_has_the_remedy(chat_server, said):
    """Pieces of documents can be made shorter."""
    chat_server.script = [Reply(400, {"error": {"message": said}})]
    with raises(ModelRejected, rf"answered 400: {said.rstrip('.')}\. Lower --chunk-characters\.$"):
        ask(chat_server)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b'{"choices": [', kind="application/json"),
        Reply(body=b"\xff\xfe\x00", kind="application/json"),
        Reply(body=b"<html>welcome</html>", kind="text/html"),
        Reply(body=[1, 2]),
        Reply(body="toast"),
        Reply(body={"choices": "toast"}),
        Reply(body={"choices": [None]}),
        Reply(body={"choices": [{"message": "toast"}]}),
        Reply(body=completion({"not": "text"})),
        Reply(body={}),
        Reply(body={"choices": []}),
    ],
    ids=lambda reply: str(reply.body)[:24],
)
def test_garbage_is_asked_for_again(chat_server, reply):
    """An answer that is no chat completion is none; where there is never another, the server is named."""
    chat_server.script = [reply]
    assert ask(chat_server).attempts == 2
    chat_server.script = [reply] * 9
    with raises(ModelUnavailable, rf"^{chat_server.url}.* did not answer "):
        ask(chat_server, attempts=2)


def test_an_answer_without_text_is_an_empty_text(chat_server):
    """Null content, as of a model that only called tools, is left to the parser."""
    chat_server.script = [Reply(body=completion(None))]
    assert ask(chat_server).content == ""


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens_details": None}, "toast", [1]])
def test_a_server_that_does_not_count_costs_nothing(chat_server, usage):
    """Without usage, or with one that makes no sense, the tokens are 0 and the answer stands."""
    chat_server.script = [Reply(body=completion("salt") | {"usage": usage})]
    answer = ask(chat_server)
    assert answer.content == "salt"
    assert (answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens) == (0, 0, 0)


def test_the_only_model_is_found(chat_server):
    """Without a name the server is asked, and its one model is used."""

    async def session():
        async with ServedModel(chat_server.url + "/") as model:
            return model.model

    chat_server.models = ["org/toy:1, the second"]
    assert asyncio.run(session()) == "org/toy:1, the second"


@pytest.mark.parametrize(
    ("models", "asked", "message"),
    [
        ([], "", "serves no model"),
        (["a", "b"], "", r"serves several models; it has: a, b\. Use --lm MODEL@http://127"),
        (["a"], "b", r"does not serve 'b'; it has: a\."),
        ([], "b", r"does not serve 'b'; it has: none\."),
    ],
)
def test_a_model_that_cannot_be_chosen(chat_server, models, asked, message):
    """No model, several, or another than asked for: refused, with what there is."""
    chat_server.models = models
    with raises(ModelRefused, message):
        ask(chat_server, model=asked)
    assert chat_server.bodies == []


def test_the_key_is_sent_and_never_shown(chat_server, monkeypatch):
    """The key comes from the environment; messages and reprs are without it, even where the server repeats it."""
    ask(chat_server)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden")
    ask(chat_server)
    assert [request.key for request in chat_server.requests[1::2]] == ["Bearer EMPTY", "Bearer sk-hidden"]
    model = ServedModel(chat_server.url, "toy")
    assert "sk-hidden" not in repr(model)
    for status in (400, 401, 500):
        chat_server.script = [Reply(status)]
        with pytest.raises((ModelRejected, ModelRefused, ModelUnavailable), match=r"for Bearer \*\*\*") as caught:
            ask(chat_server, attempts=1)
        assert "sk-hidden" not in repr(caught.value)


def test_a_key_of_its_own_goes_before_the_environments(chat_server, monkeypatch):
    """So a server that needs no key is not told the user's."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden")
    ask(chat_server, key="EMPTY")
    assert {request.key for request in chat_server.requests} == {"Bearer EMPTY"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_stands_before_this_machine(chat_server, monkeypatch, host):
    """A proxy in the environment, here a dead one, is not asked for a server on this machine; for others it is."""
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    chat_server.reply = lambda body: "salt"

    async def session(url):
        async with ServedModel(url, "toy") as model:
            return await model.complete(BYTES)

    assert asyncio.run(session(chat_server.url.replace("127.0.0.1", host))).content == "salt"
    with raises(ModelUnavailable, "ProxyError|Connect"):
        asyncio.run(session("http://models.invalid/v1"))


def test_many_requests_at_once(chat_server):
    """Requests are under way together, each gets its own answer, and the slow ones do not hold up the others."""
    chat_server.reply = lambda body: body["messages"][0]["content"]
    chat_server.script = [Reply(hold=True, body=completion("held"))] * 20

    async def session():
        async with ServedModel(chat_server.url) as model:
            held = [asyncio.create_task(model.complete(BYTES)) for _ in range(20)]
            await until(lambda: chat_server.busy == 20)
            quick = [
                model.complete(json.dumps({"model": "toy", "messages": [{"content": str(number)}]}).encode())
                for number in range(50)
            ]
            answers = await asyncio.gather(*quick)
            chat_server.release.set()
            return answers, await asyncio.gather(*held)

    quick, held = asyncio.run(session())
    assert [answer.content for answer in quick] == [str(number) for number in range(50)]
    assert {answer.content for answer in held} == {"held"}
    assert chat_server.most_busy >= 21


def test_a_cancelled_request_ends_at_once(chat_server):
    """A run that is stopped does not wait for the server."""
    chat_server.script = [Reply(hold=True, body=completion("late"))]

    async def session():
        async with ServedModel(chat_server.url) as model:
            waiting = asyncio.create_task(model.complete(BYTES))
            await until(lambda: chat_server.busy)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(session())
    assert not chat_server.release.is_set()
