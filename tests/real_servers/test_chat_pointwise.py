"""Yes or no as a probability: from every server that gives log-probabilities, and exactly the model's own."""

from __future__ import annotations

import asyncio
import json

import pytest
from servers import on, wherever_judged
from vllm_host import VllmHost, hf_model, run_there
from wording import INFER, POINTWISE, SHOWN_POINTWISE, TEXT, text

from labelmill.models.judging import judge, judge_by_completions
from labelmill.models.served import ServedModel

NAMES = ["soup", "bread and pastry", "vegan", "ready in 30 minutes", "fish", "Ää, „quoted“: 豆"]
THREE_DECIMALS = 0.0005
COMPLETIONS = "/v1/chat/completions"


@wherever_judged
def test_every_candidate_has_a_probability(server):
    """In order, between 0 and 1, and the same when the candidates come in another order."""

    async def session():
        async with ServedModel(server.url, server.model) as model:
            bodies = POINTWISE.requests(TEXT, NAMES[:3], server.model)
            return await judge(model, bodies), await judge(model, bodies[::-1])

    verdict, reverse = asyncio.run(session())
    assert len(verdict.probabilities) == 3
    assert all(0 <= probability <= 1 for probability in verdict.probabilities)
    assert len(set(verdict.probabilities)) > 1
    assert verdict.prompt_tokens > 0
    assert reverse.probabilities[::-1] == pytest.approx(verdict.probabilities, abs=THREE_DECIMALS)


@on("vllm")
@pytest.mark.parametrize(("way", "path"), [(judge, "/generative_scoring"), (judge_by_completions, COMPLETIONS)])
def test_probabilities_are_the_models_own(server, way, path, reference):
    """P(yes) / (P(yes) + P(no)) over all spellings, as transformers computes it from the same weights in float32."""
    asyncio.run(judged(server, way, [TEXT]))  # the first has samples judged the other way as well
    before = server.counter("http_requests_total", handler=path, status="2xx")
    (probabilities,) = asyncio.run(judged(server, way, [TEXT]))
    assert server.counter("http_requests_total", handler=path, status="2xx") > before
    assert probabilities == pytest.approx(reference(TEXT), abs=THREE_DECIMALS)


@on("vllm")
def test_probabilities_stay_the_models_own_in_a_crowd(server, reference):
    """While other documents are judged and phrases are proposed, as happens in a run."""
    texts = [text(number) for number in range(12)]
    found = asyncio.run(judged(server, judge, texts, beside=[INFER.request(TEXT, server.model)] * 4))
    assert found[0] == pytest.approx(reference(texts[0]), abs=THREE_DECIMALS)
    assert found[-1] == pytest.approx(reference(texts[-1]), abs=THREE_DECIMALS)


async def judged(server, way, texts, beside=()) -> list[tuple[float, ...]]:
    """Judge the candidates of every text, all at once."""
    async with ServedModel(server.url, server.model) as model:
        judging = [way(model, SHOWN_POINTWISE.requests(said, NAMES, server.model)) for said in texts]
        *verdicts, _ = await asyncio.gather(*judging, asyncio.gather(*(model.complete(body) for body in beside)))
    return [verdict.probabilities for verdict in verdicts]


@pytest.fixture(scope="module")
def reference(vllm: VllmHost):
    """Computes a text's probabilities by transformers."""

    def compute(said: str) -> list[float]:
        bodies = SHOWN_POINTWISE.requests(said, NAMES, "any")
        prompts = [json.loads(body)["messages"] for body in bodies]
        given = {"model": str(hf_model(vllm.python)), "prompts": prompts, "words": ["yes", "no"]}
        found = json.loads(run_there(vllm.python, "reference.py", given=json.dumps(given)))
        return [words["yes"] / (words["yes"] + words["no"]) for words in found]

    return compute
