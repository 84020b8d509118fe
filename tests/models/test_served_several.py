"""The client of a language model against servers that die, hang, refuse and come back, one and several."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re

import pytest
import stamina

from chat_server import Reply, completion, running
from labelmill.errors import ModelGone, ModelRefused, ModelUnavailable
from labelmill.models.served import ServedModel

BYTES = b'{"model":"toy","messages":[{"role":"user","content":"bread"}]}'
NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def _no_key_no_waiting(monkeypatch):
    """No key of the environment, and as many attempts as were asked for, without the waits between them."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with stamina.set_testing(True, attempts=10**6, cap=True):
        yield


def run(session, caplog):
    """Run a session to its end: within ten seconds, without a word on the log, a task or a connection left behind."""
    complaints = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        answer = await asyncio.wait_for(session(), 10)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        gc.collect()
        return answer

    with caplog.at_level(logging.INFO):
        answer = asyncio.run(watched())
    assert complaints == []
    assert [record for record in caplog.records if record.name != "stamina"] == []
    return answer


def ask(words, model="toy"):
    """Encode a request."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": words}]}).encode()


async def until(condition):
    """Wait for what happens at a server."""
    while not condition():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.005)


class Mortal:
    """A server in the test's own loop that really dies: all its connections break, and nobody listens any more.

    Attributes:
        react: Called with the content of each request; None to answer, or bytes to send before it hangs up, which it
            does not after `HALF` an answer.
        pages: Bytes to send where a page is asked for, instead of the list of models.
        seconds: What an answer takes.
        prompts: The contents that came in.
        heads: The heads of all requests that came in.
    """

    HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.react = lambda prompt: None
        self.pages = b""
        self.prompts, self.heads, self.deaths = [], [], 0
        self._writers, self._tasks, self._port = set(), set(), 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self):
        await self.rise()
        return self

    async def __aexit__(self, *_):
        self.die()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def rise(self):
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def die(self):
        """Break all connections and listen no more."""
        self.deaths += 1
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader, writer):
        self._writers.add(writer)
        self._tasks.add(asyncio.current_task())
        try:
            while self._server.is_serving() and await self._exchange(reader, writer):  # accepted, and died since
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client left, or this server died: both are what it is for
        finally:
            self._writers.discard(writer)
            self._tasks.discard(asyncio.current_task())
            writer.transport.abort()

    async def _exchange(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        if length is None and self.pages:
            writer.write(self.pages)
            return True
        if length is None:
            value = {"data": [{"id": "toy", "max_model_len": 512}]}
        else:
            prompt = json.loads(await reader.readexactly(int(length[1])))["messages"][0]["content"]
            self.prompts.append(prompt)
            if (said := self.react(prompt)) is not None:
                writer.write(said)
                await writer.drain()
                return said == self.HALF
            await asyncio.sleep(self.seconds)
            value = completion(prompt)
        body = json.dumps(value).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        return not writer.is_closing()


def test_two_servers_share_the_work(caplog):
    """Each request goes to one of them, and each gets its own answer."""

    async def session():
        async with Mortal(0.005) as one, Mortal(0.005) as other, ServedModel([one.url, other.url]) as model:
            assert model.urls == [one.url, other.url]
            assert model.context_tokens == 512
            answers = await asyncio.gather(*(model.complete(ask(str(number))) for number in range(200)))
            assert [answer.content for answer in answers] == [str(number) for number in range(200)]
            assert sorted(one.prompts + other.prompts) == sorted(map(str, range(200)))
            assert min(len(one.prompts), len(other.prompts)) >= 50

    run(session, caplog)


def test_one_url_given_twice_is_one_server(caplog):
    """It is given no more than once what it takes."""

    async def session():
        async with Mortal() as one, ServedModel([one.url, one.url], "toy") as model:
            assert len(model.states()) == 1

    run(session, caplog)


def test_a_group_goes_to_one_server(caplog):
    """Its prefix is then computed once."""

    async def session():
        async with Mortal(0.005) as one, Mortal(0.005) as other, ServedModel([one.url, other.url]) as model:
            names = [f"{group} {number}" for number in range(10) for group in "abcdef"]
            await asyncio.gather(*(model.complete(ask(name), group=name[0]) for name in names))
            first, second = ({name[0] for name in server.prompts} for server in (one, other))
            assert first.isdisjoint(second)
            assert len(first) == len(second) == 3

    run(session, caplog)


@pytest.mark.parametrize("servers", [1, 2])
def test_a_server_that_dies_in_the_middle_costs_nothing(caplog, servers):
    """Whatever it was busy with goes to another or waits until it is back; nothing is lost, no attempt is counted."""

    async def session():
        mortals = [await Mortal(0.01).__aenter__() for _ in range(servers)]
        async with ServedModel([mortal.url for mortal in mortals], attempts=1) as model:
            asked = [asyncio.create_task(model.complete(ask(str(number)))) for number in range(300)]
            await until(lambda: len(mortals[0].prompts) > 60)
            mortals[0].die()
            await until(lambda: model.states()[0].state == "down")
            await mortals[0].rise()
            answers = await asyncio.gather(*asked)
            assert [answer.content for answer in answers] == [str(number) for number in range(300)]
            assert {answer.attempts for answer in answers} == {1}
            await until(lambda: model.states()[0].state == "up")
            assert [state.in_flight for state in model.states()] == [0] * servers
        for mortal in mortals:
            await mortal.__aexit__()

    run(session, caplog)


def test_a_death_in_the_middle_of_an_answer_costs_nothing(caplog):
    """Half an answer and then nobody listens: that was no attempt."""

    async def session():
        async with Mortal() as mortal, ServedModel(mortal.url, attempts=1) as model:
            mortal.react = lambda prompt: None if mortal.deaths else mortal.HALF
            asked = asyncio.create_task(model.complete(BYTES))
            await until(lambda: mortal.prompts)
            await asyncio.sleep(0.02)  # for the half to arrive
            mortal.die()
            await until(lambda: model.states()[0].state == "down")
            await mortal.rise()
            answer = await asked
            assert (answer.content, answer.attempts, mortal.deaths) == ("bread", 1, 1)

    run(session, caplog)


def test_half_an_answer_of_a_server_that_lives_is_an_attempt(caplog):
    """A head that promises more than comes, a head that is none, nothing at all."""

    async def session():
        async with Mortal() as mortal, ServedModel(mortal.url, attempts=4) as model:
            said = [mortal.HALF + b" ", b"toast\r\n\r\n", b""]
            mortal.react = lambda prompt: said.pop() if said else None
            assert (await model.complete(BYTES)).attempts == 4

    run(session, caplog)


def test_one_of_two_that_is_down_at_the_start_is_used_once_it_is_up(caplog):
    """A run need not wait for all of its servers."""

    async def session():
        async with Mortal() as late, Mortal(0.005) as early:
            late.die()
            async with ServedModel([late.url, early.url]) as model:
                assert [state.state for state in model.states()] == ["down", "up"]
                assert (await model.complete(BYTES)).content == "bread"
                await late.rise()
                await until(lambda: model.states()[0].state == "up")
                await asyncio.gather(*(model.complete(BYTES) for _ in range(20)))
                assert late.prompts

    run(session, caplog)


def test_none_up_at_the_start_ends_it(caplog):
    """At once, with the first one's error."""

    async def session():
        with pytest.raises(ModelUnavailable, match=rf"^No answer from {NOBODY} .*Check that the server runs"):
            await ServedModel([NOBODY, "http://127.0.0.1:1/v1"]).__aenter__()

    run(session, caplog)


def test_patience_ends_for_every_waiter(caplog):
    """When nobody is back in time, all that wait are told, and all that come later."""

    async def session():
        async with (
            Mortal(60) as one,
            Mortal(60) as other,
            ServedModel([one.url, other.url], concurrency=2, patience=0.3) as model,
        ):
            asked = [asyncio.create_task(model.complete(BYTES, group=group)) for group in ("", "a", "b") * 10]
            await until(lambda: one.prompts and other.prompts)
            one.die()
            other.die()
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(answer) for answer in answers} == {ModelGone}
            with pytest.raises(ModelGone, match="Start the server again"):
                await model.complete(BYTES)
            other.seconds = 0
            await other.rise()
            await until(lambda: model.states()[1].state == "up")
            assert (await model.complete(BYTES)).content == "bread"

    run(session, caplog)


def test_a_request_that_kills_the_server_ends_alone(caplog):
    """After so many deaths it is given up; those that were on their way with it, and those behind it, are answered."""

    async def session():
        async with Mortal(0.01) as mortal, ServedModel(mortal.url, attempts=1) as model:
            rising = []

            async def rise():
                await until(lambda: model.states()[0].state == "down")
                await mortal.rise()

            def react(prompt):
                if prompt == "poison":
                    mortal.die()
                    rising.append(asyncio.create_task(rise()))

            mortal.react = react
            words = [str(number) for number in range(40)]
            words[20] = "poison"
            asked = [asyncio.create_task(model.complete(ask(word), turn=turn)) for turn, word in enumerate(words)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            poison = answers.pop(20)
            assert type(poison) is ModelUnavailable
            assert "was lost 4 times under this request" in str(poison)
            assert [answer.content for answer in answers] == [word for word in words if word != "poison"]
            assert mortal.deaths == 4
            await asyncio.gather(*rising)

    run(session, caplog)


def test_too_busy_for_ever_ends_after_the_patience(chat_server, caplog):
    """For every request at once, and not for one after the other."""
    chat_server.script = [Reply(429, wait="0")] * 10_000

    async def session():
        async with ServedModel(chat_server.url, patience=0.3) as model:
            answers = await asyncio.gather(*(model.complete(BYTES) for _ in range(50)), return_exceptions=True)
            assert {type(answer) for answer in answers} == {ModelUnavailable}
            assert all("answered 429" in str(answer) for answer in answers)
            assert [(state.limit, state.in_flight) for state in model.states()] == [(1, 0)]

    run(session, caplog)
    assert len(chat_server.bodies) < 500


def test_too_busy_now_and_then_never_ends_it(chat_server, caplog):
    """Patience is for a server that does nothing else."""

    async def session():
        async with ServedModel(chat_server.url, concurrency=1, patience=0.2) as model:
            for _ in range(8):
                chat_server.script = [Reply(429, wait="0")]
                assert (await model.complete(BYTES)).attempts == 1

    run(session, caplog)


def test_too_busy_for_a_while_costs_nothing(chat_server, caplog):
    """Every request is answered without a counted attempt, and fewer go at once meanwhile."""
    chat_server.script = [Reply(429, wait="0")] * 40

    async def session():
        async with ServedModel(chat_server.url, attempts=1) as model:
            answers = await asyncio.gather(*(model.complete(BYTES) for _ in range(50)))
            assert {answer.attempts for answer in answers} == {1}
            assert model.states()[0].limit < 32

    run(session, caplog)
    assert len(chat_server.bodies) == 90


def test_no_answer_in_time_is_asked_again(chat_server, caplog):
    """By a server that lives: an attempt; and where that happens to many, fewer requests at once from then on."""
    chat_server.script = [Reply(hold=True, body=completion("late"))]

    async def session():
        async with ServedModel(chat_server.url, timeout=0.2) as model:
            answer = await model.complete(BYTES)
            assert (answer.content, answer.attempts) == ('{"phrases": []}', 2)
            assert model.states()[0].limit == 32
            chat_server.script = [Reply(hold=True, body=completion("late"))] * 12
            await asyncio.gather(*(model.complete(BYTES) for _ in range(12)))
            assert model.states()[0].limit < 32

    run(session, caplog)


def test_no_answer_in_time_at_all(chat_server, caplog):
    """The error says how long was waited and how often."""
    chat_server.script = [Reply(hold=True)] * 2

    async def session():
        async with ServedModel(chat_server.url, timeout=0.2, attempts=2) as model:
            with pytest.raises(ModelUnavailable, match=r"within 0\.2 s") as caught:
                await model.complete(BYTES)
            assert caught.value.attempts == 2

    run(session, caplog)


def test_a_server_that_lives_and_only_fails_ends_requests(chat_server, caplog):
    """An error of the server for everything is no death: after the attempts, the requests have failed."""
    chat_server.script = [Reply(500)] * 10_000

    async def session():
        async with ServedModel(chat_server.url, attempts=3) as model:
            answers = await asyncio.gather(*(model.complete(BYTES) for _ in range(20)), return_exceptions=True)
            assert {answer.attempts for answer in answers} == {3}
            assert all(isinstance(answer, ModelUnavailable) for answer in answers)
            assert model.states()[0].state == "up"

    run(session, caplog)
    assert len(chat_server.bodies) == 60


@pytest.mark.parametrize("status", [401, 429])
def test_a_server_whose_pages_are_refused_lives(caplog, status):
    """Who asks for a key or for patience is there, so a broken connection counts as an attempt."""

    async def session():
        async with Mortal() as mortal, ServedModel(mortal.url, attempts=2) as model:
            mortal.pages = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status
            mortal.react = lambda prompt: b""
            with pytest.raises(ModelUnavailable, match="ServerDisconnectedError") as caught:
                await model.complete(BYTES)
            assert caught.value.attempts == 2

    run(session, caplog)


def test_a_key_that_becomes_wrong_ends_it(chat_server, monkeypatch, caplog):
    """In the middle of a session: refused at once, and never shown, also where a long message is cut within it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden")

    async def session():
        async with ServedModel(chat_server.url) as model:
            await model.complete(BYTES)
            for start in range(291, 301, 3):
                chat_server.script = [Reply(401, b"x" * start + b"sk-hidden", kind="text/plain")]
                with pytest.raises(ModelRefused, match="Set OPENAI_API_KEY") as caught:
                    await model.complete(BYTES)
                assert "sk-" not in str(caught.value)

    run(session, caplog)


def test_a_server_that_sends_elsewhere_is_refused(chat_server, caplog):
    """The key is not carried to where it was not meant for."""

    async def session():
        async with ServedModel(chat_server.url) as model:
            chat_server.script = [Reply(307)]
            with pytest.raises(ModelRefused, match=r"answered 307: .* It sends elsewhere"):
                await model.complete(BYTES)

    run(session, caplog)


def test_any_answer_that_cannot_be_counted_counts_nothing(chat_server, caplog):
    """Numbers of tokens that no column holds are no numbers of tokens."""
    usage = {"prompt_tokens": 10**15, "completion_tokens": -3, "prompt_tokens_details": {"cached_tokens": True}}
    chat_server.script = [Reply(body=completion("salt", usage=usage))]

    async def session():
        async with ServedModel(chat_server.url) as model:
            answer = await model.complete(BYTES)
            assert (answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens) == (0, 0, 0)

    run(session, caplog)


def test_cancelled_requests_leave_their_places(caplog):
    """Those that wait and those under way; the next one is answered."""

    async def session():
        async with Mortal(0.05) as mortal, ServedModel(mortal.url, concurrency=3) as model:
            asked = [asyncio.create_task(model.complete(BYTES)) for _ in range(20)]
            await until(lambda: len(mortal.prompts) == 3)
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            assert all(task.cancelled() for task in asked)
            assert model.states()[0].in_flight == 0
            assert (await model.complete(BYTES)).content == "bread"

    run(session, caplog)


@pytest.mark.parametrize("dead", [False, True])
def test_closing_ends_every_request(caplog, dead):
    """Those under way, and those that wait, for a place or for a dead server: told, none hangs."""

    async def session():
        async with Mortal(5) as mortal:
            async with ServedModel(mortal.url, concurrency=2) as model:
                asked = [asyncio.create_task(model.complete(BYTES)) for _ in range(6)]
                await until(lambda: len(mortal.prompts) == 2)
                if dead:
                    mortal.die()
                    await until(lambda: model.states()[0].state == "down")
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(answer) for answer in answers} == {ModelGone}

    run(session, caplog)


def test_other_endpoints_and_pages(caplog):
    """Requests to them are answered under the same rules; a page of a server that gives none is left out."""

    async def session():
        async with Mortal() as one, Mortal() as other, ServedModel([one.url, other.url]) as model:
            answer = await model.post("/generative_scoring", BYTES)
            assert (answer.value["choices"][0]["message"]["content"], answer.attempts) == ("bread", 1)
            assert any(head.startswith("POST /generative_scoring ") for head in one.heads + other.heads)
            assert (await model.get("/version"))["data"][0]["id"] == "toy"
            other.die()
            assert len(await model.texts("/metrics")) == 1

    run(session, caplog)


def test_the_environments_proxy_is_asked_with_the_key(monkeypatch, tmp_path, caplog):
    """For a server elsewhere; what a .netrc says of that server does not come in between."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine models.invalid login me password mine\n", encoding="utf-8")
    netrc.chmod(0o600)
    for variable in ("http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NETRC", str(netrc))

    async def session():
        async with Mortal() as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
            async with ServedModel("http://models.invalid/v1", key="sk-mine") as model:
                assert (await model.complete(BYTES)).content == "bread"
            assert proxy.heads[-1].startswith("POST http://models.invalid/v1/chat/completions ")
            assert "Authorization: Bearer sk-mine\r\n" in proxy.heads[-1]

    run(session, caplog)


@pytest.mark.parametrize("url", ["http://[::1/v1", "toast", "ftp://127.0.0.1/v1", "http://"])
def test_what_is_no_url_is_refused(caplog, url):
    """With one line, and nothing left open."""

    async def session():
        with pytest.raises(ModelRefused, match="is no URL"):
            await ServedModel([NOBODY, url]).__aenter__()

    run(session, caplog)


def test_another_model_on_one_of_two_servers_is_refused(caplog):
    """Both must serve the one that is asked for."""

    async def session():
        async with Mortal() as one:
            with running() as other:
                other.models = ["cake"]
                with pytest.raises(ModelRefused, match=r"does not serve 'toy'; it has: cake\."):
                    await ServedModel([one.url, other.url]).__aenter__()

    run(session, caplog)
