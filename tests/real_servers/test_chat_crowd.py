"""Many requests at once, and calls that are given up."""

from __future__ import annotations

import asyncio
import json

import pytest
from servers import ask, everywhere
from wording import INFER, NAMES, RANK, TEXT, text

from labelmill.models.served import ServedModel

ENDLESS = 3000
"""Tokens of an answer that nobody waits for."""


@everywhere
def test_many_documents_at_once_are_all_answered(server):
    """Each as its own request alone is, or, where the server promises no such thing, as its schema admits."""
    bodies = [RANK.request(text(number), NAMES, server.model) for number in range(server.crowd)]
    together = ask(server, bodies)
    assert len(together) == server.crowd
    chosen = [RANK.read(answer.content, NAMES, truncated=answer.truncated) for answer in together]
    assert all(set(numbers) <= set(range(len(NAMES))) for numbers in chosen)
    if server.repeats:
        alone = [answer for body in bodies for answer in ask(server, [body])]
        assert [answer.content for answer in together] == [answer.content for answer in alone]


@everywhere
def test_a_call_that_is_given_up_frees_the_server(server):
    """The calls after it are answered, and vLLM stops computing the answer that nobody awaits."""
    body = json.loads(INFER.request(TEXT, server.model))
    del body["response_format"]
    endless = json.dumps(body | {"max_tokens": ENDLESS, "min_tokens": ENDLESS, "ignore_eos": True}).encode()

    async def session():
        async with ServedModel(server.url, server.model) as model:
            given_up = asyncio.create_task(model.complete(endless))
            await asyncio.sleep(0.02)
            await until(lambda: server.kind != "vllm" or server.counter("vllm:num_requests_running") > 0)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            return await model.complete(RANK.request(TEXT, NAMES, server.model))

    written = server.counter("vllm:generation_tokens_total") if server.kind == "vllm" else 0
    assert asyncio.run(session()).completion_tokens > 0
    if server.kind == "vllm":
        asyncio.run(until(lambda: server.counter("vllm:num_requests_running") == 0))
        assert server.counter("vllm:generation_tokens_total") - written < ENDLESS


async def until(condition):
    while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - it happens in another process
        await asyncio.sleep(0.05)
