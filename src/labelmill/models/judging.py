"""Yes or no as a probability, for many candidates of one document: read from the next token, never from words.

`labelmill.models.scoring` asks for all candidates in one request, where the server can do that. It takes a quarter of
the server's own CPU and a tenth of ours (vLLM 0.32, 50 candidates). Here is the general way, one completion each, all
at once: sending the first ahead of the others brought no more hits in the prefix cache.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from labelmill.errors import ModelRefused, ModelRejected, ModelUnavailable
from labelmill.models.client import ChatModel, Completion
from labelmill.models.served import ServedModel

TRIES = 3
"""How often impossible probabilities are asked for again."""

IMPOSSIBLE = -9999.0
"""What vLLM writes for minus infinity.

No token among the most probable has that. It is written all the same for a request that is computed together with one
for chosen tokens, as ``/generative_scoring`` makes them (vLLM 0.32, `Sampler.gather_specific_token_logprobs`).
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model says of the candidates of one document.

    Attributes:
        probabilities: P(yes) / (P(yes) + P(no)), one for each candidate, in order.
        prompt_tokens: Tokens read, cached ones included.
        cached_tokens: Tokens that the server had in its prefix cache, where it says so; scoring never does.
        completion_tokens: Tokens written.
        seconds: From the first sending to the last answer.
        attempts: Requests sent, repeated ones included.
        unanswered: Candidates for which the model wanted to say neither yes nor no; their probability is 0.
    """

    probabilities: tuple[float, ...]
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    attempts: int = 1
    unanswered: int = 0


Lost = Callable[[Completion], None]
"""Told of answers that were paid for, though no verdict came of them."""


def _ignore(_answer: Completion) -> None:
    """Keep no account."""


async def judge(
    model: ChatModel, bodies: Sequence[bytes], *, turn: int = 0, group: str = "", lost: Lost = _ignore
) -> Verdict:
    """Judge the candidates of one document.

    Args:
        model: Where it is behind a server that can score, all candidates go in one request.
        bodies: One chat completion request a candidate, for one token with log-probabilities. They are the same but
            for the last message, and there up to the candidate.
        turn: Where not all requests can go at once, those with a smaller one go first.
        group: What names the document.
        lost: Told of answers that came before an error was raised.

    Raises:
        ModelUnavailable: No answer, or only impossible ones, also after the retries.
        ModelRejected: The document is too long, or the model answers neither yes nor no for any candidate.
        ModelRefused: No request can be answered.
    """
    if not bodies:
        return Verdict((), attempts=0)
    if isinstance(model, ServedModel):
        from labelmill.models.scoring import Chats
        from labelmill.models.trial import find_scoring

        chats = Chats.read(bodies)
        scoring = chats and await find_scoring(model, bodies, chats, turn=turn, group=group)
        if chats and scoring:
            # One of several servers may lack the endpoint. Whatever else is refused, completions are as well.
            with suppress(ModelRefused):
                return await scoring.judge(model, chats, turn=turn, group=group)
    return await judge_by_completions(model, bodies, turn=turn, group=group, lost=lost)


async def judge_by_completions(
    model: ChatModel, bodies: Sequence[bytes], *, turn: int = 0, group: str = "", lost: Lost = _ignore
) -> Verdict:
    """Judge candidates by one chat completion each, all at once; see `judge`."""
    start = time.perf_counter()
    answers = await complete_all(model, bodies, turn=turn, group=group, lost=lost)
    try:
        probabilities, unanswered = read_probabilities([answer.next_token or {} for answer in answers])
    except ModelRejected as error:
        error.attempts = 0
        for answer in answers:
            lost(answer)
        raise
    return Verdict(
        probabilities,
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        cached_tokens=sum(answer.cached_tokens for answer in answers),
        completion_tokens=sum(answer.completion_tokens for answer in answers),
        seconds=time.perf_counter() - start,
        attempts=sum(answer.attempts for answer in answers),
        unanswered=unanswered,
    )


async def complete_all(
    model: ChatModel, bodies: Sequence[bytes], *, turn: int = 0, group: str = "", lost: Lost = _ignore
) -> list[Completion]:
    """Answer all requests, or raise what the first to fail raised and leave the others."""
    tasks = [asyncio.create_task(_complete(model, body, turn, group)) for body in bodies]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(answer, Completion):
                lost(answer)
        raise


async def _complete(model: ChatModel, body: bytes, turn: int, group: str) -> Completion:
    """Ask until the probabilities are possible ones; the answer then has the tokens and attempts of all."""
    spent = Completion("", attempts=0)
    for _ in range(TRIES):
        answer = await model.complete(body, turn=turn, group=group)
        spent = replace(
            answer,
            prompt_tokens=spent.prompt_tokens + answer.prompt_tokens,
            cached_tokens=spent.cached_tokens + answer.cached_tokens,
            completion_tokens=spent.completion_tokens + answer.completion_tokens,
            attempts=spent.attempts + answer.attempts,
        )
        if all(value > IMPOSSIBLE for value in (answer.next_token or {}).values()):
            return spent
    raise ModelUnavailable(
        f"{model.model} gives impossible probabilities, {TRIES} times in turn. Let nobody else send "
        "/generative_scoring requests to its server meanwhile."
    )


def read_probabilities(next_tokens: Sequence[Mapping[str, float]]) -> tuple[tuple[float, ...], int]:
    """Read P(yes) / (P(yes) + P(no)) from each candidate's next token, and count those that are neither.

    Tokens count as yes or no however they are written (``Yes``, `` yes``, ``YES``), and add up. Where neither is
    among the most probable tokens, the model does not say that the candidate applies, and its probability is 0. Where
    that is so for every candidate, the model does not answer the question at all.

    Args:
        next_tokens: Log-probabilities by token, one mapping a candidate.

    Raises:
        ModelRejected: No candidate was answered.
    """
    found = [(word_share(tokens, "yes"), word_share(tokens, "no")) for tokens in next_tokens]
    unanswered = sum(not yes + no for yes, no in found)
    if found and unanswered == len(found):
        wanted = max(next_tokens[0], key=lambda token: next_tokens[0][token], default=None)
        raise ModelRejected(
            f"the model answers neither yes nor no, but {wanted!r}. A model that thinks first must be served without "
            "that (vLLM: --default-chat-template-kwargs)"
            if wanted is not None
            else "the server gives no log-probabilities, which pointwise Rank reads. Use another server or --rank"
        )
    return tuple(yes / (yes + no) if yes + no else 0.0 for yes, no in found), unanswered


def word_share(tokens: Mapping[str, float], word: str) -> float:
    """Add up the probabilities of a word's spellings."""
    return math.fsum(math.exp(value) for token, value in tokens.items() if token.strip().casefold() == word)
