"""A document that the model's context does not hold fails alone."""

from __future__ import annotations

import asyncio

from servers import TOO_LONG, everywhere, label
from wording import INFER, TEXT, text

from labelmill.errors import ModelRejected
from labelmill.models.served import ServedModel


@everywhere
def test_a_prompt_beyond_the_context_is_rejected(server):
    """At once and on one line; the requests beside it and after it are answered."""

    async def session():
        async with ServedModel(server.url, server.model) as model:
            bodies = [INFER.request(said, server.model) for said in (TEXT, TOO_LONG, text(1))]
            done = await asyncio.gather(*(model.complete(body) for body in bodies), return_exceptions=True)
            return [*done, await model.complete(bodies[0])]

    before, rejected, beside, after = asyncio.run(session())
    assert isinstance(rejected, ModelRejected)
    assert "\n" not in str(rejected)
    assert min(before.completion_tokens, beside.completion_tokens, after.completion_tokens) > 0


@everywhere
def test_a_run_keeps_it_as_a_failure_and_labels_the_rest(server, tmp_path):
    """One row says which document failed, where and why; the others have predictions."""
    texts = {"a": TEXT, "long": TOO_LONG, "b": text(1)}
    run = label(tmp_path, texts, "--lm", server.lm, "--infer", "lm", "--chunk-characters", 10**6)
    assert run.code == 3
    assert run.rows("SELECT document, stage, kind FROM failures") == [("long", "infer", "rejected")]
    ((message,),) = run.rows("SELECT message FROM failures")
    assert message
    assert "\n" not in message
    assert run.rows("SELECT DISTINCT document FROM predictions ORDER BY ALL") == [("a",), ("b",)]
