"""Questions to the language model: what each stage asks, under which key, how an answer is read, and what it cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dspy.utils.exceptions import AdapterParseError

from labelmill.errors import ModelRejected
from labelmill.keys import content_key
from labelmill.models.client import ChatModel, Completion
from labelmill.models.judging import Verdict, judge
from labelmill.pipelines.nearest import shown_key
from labelmill.pipelines.pointwise import PointwiseRank
from labelmill.pipelines.program import Program
from labelmill.pipelines.whole import WholeRank
from labelmill.prompts.wire import repair

ANSWER_VERSION = 1
"""Raised whenever the same answer of a model would be read otherwise; part of the key of every stored answer."""

_QUOTED = 120


class Unreadable(Exception):  # noqa: N818 - what an answer is, not an error's name
    """An answer, and the answer to the request to mend it, that cannot be read."""


@dataclass(slots=True)
class Cost:
    """What was sent and what servers counted for it; it adds up.

    Attributes:
        requests: How often something was sent, repeated and failed attempts included.
        prompt_tokens: Tokens read, cached ones included.
        cached_tokens: Tokens that came out of the prefix cache.
        completion_tokens: Tokens written.
        seconds: That requests were under way, one beside the other.
    """

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt_tokens + self.completion_tokens

    def add(self, other: Cost | Completion | Verdict) -> None:
        """Add what another cost."""
        self.requests += other.requests if isinstance(other, Cost) else other.attempts
        self.prompt_tokens += other.prompt_tokens
        self.cached_tokens += other.cached_tokens
        self.completion_tokens += other.completion_tokens
        self.seconds += other.seconds


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the model.

    Attributes:
        key: Hash of everything that its answer depends on.
        stage: ``infer`` or ``rank``.
        ask: Asks a model, in a turn, adds to a cost, and gives the answer as it is stored; raises `ModelError`
            or `Unreadable`.
    """

    key: str
    stage: str
    ask: Callable[[ChatModel, int, Cost], Awaitable[list[Any]]]


class Questions:
    """Makes the questions of a program's stages. Prompts are taken as they are now: make it anew after a change.

    Args:
        program: The stages.
        model: The model's name at its servers.
        identity: What its answers depend on.
    """

    def __init__(self, program: Program, model: str, identity: str) -> None:
        """Take the prompts' fingerprints."""
        self._model = model
        self._infer, self._rank = program.infer, program.rank
        stages = {"infer": program.infer, "rank": program.rank}
        self._asked_of = {
            name: (ANSWER_VERSION, stage.fingerprint(), identity) for name, stage in stages.items() if stage is not None
        }

    def infer(self, text: str) -> Question:
        """Ask for phrases that a piece of a document holds."""
        stage, model = self._infer, self._model
        assert stage is not None

        async def ask(chat: ChatModel, turn: int, cost: Cost) -> list[Any]:
            def read(answer: Completion) -> list[Any]:
                return stage.read(answer.content, truncated=answer.truncated)

            return await ask_and_mend(chat, stage.request(text, model), read, turn, cost)

        key = content_key("infer", *self._asked_of["infer"], text, *shown_key(stage, text))
        return Question(key, "infer", ask)

    def rank(self, text: str, names: Sequence[str]) -> Question:
        """Ask which candidates apply to a piece of a document: their indexes, or a probability for each.

        Of whole Rank, which is given no names, the answer is positions in the taxonomy; its labels are in the key by
        way of the prompt's fingerprint.
        """
        stage, model = self._rank, self._model
        assert stage is not None
        key = content_key("rank", *self._asked_of["rank"], text, list(names), *shown_key(stage, text))

        async def choose(chat: ChatModel, turn: int, cost: Cost) -> list[Any]:
            assert not isinstance(stage, PointwiseRank | WholeRank)

            def read(answer: Completion) -> list[Any]:
                return stage.read(answer.content, names, truncated=answer.truncated)

            return await ask_and_mend(chat, stage.request(text, names, model), read, turn, cost)

        async def choose_of_all(chat: ChatModel, turn: int, cost: Cost) -> list[Any]:
            assert isinstance(stage, WholeRank)

            def read(answer: Completion) -> list[Any]:
                return stage.read(answer.content, truncated=answer.truncated)

            return await ask_and_mend(chat, stage.request(text, model), read, turn, cost)

        async def weigh(chat: ChatModel, turn: int, cost: Cost) -> list[Any]:
            assert isinstance(stage, PointwiseRank)
            verdict = await judge(chat, stage.requests(text, names, model), turn=turn, group=key, lost=cost.add)
            cost.add(verdict)
            return list(verdict.probabilities)

        if isinstance(stage, WholeRank):
            return Question(key, "rank", choose_of_all)
        return Question(key, "rank", weigh if isinstance(stage, PointwiseRank) else choose)


async def ask_and_mend(
    chat: ChatModel, body: bytes, read: Callable[[Completion], list[Any]], turn: int, cost: Cost
) -> list[Any]:
    """Ask, and where the answer cannot be read, say so to the model and ask once more."""
    first = await chat.complete(body, turn=turn)
    cost.add(first)
    try:
        return read(first)
    except AdapterParseError as error:
        problem = _problem(error, first)
    try:
        second = await chat.complete(repair(body, first.content, problem), turn=turn)
    except ModelRejected as error:  # together with the first answer it is too long
        cost.requests += 1
        raise _unreadable(problem, first) from error
    cost.add(second)
    try:
        return read(second)
    except AdapterParseError as error:
        raise _unreadable(_problem(error, second), second) from error


def _unreadable(problem: str, answer: Completion) -> Unreadable:
    return Unreadable(f"{problem}; it began: {' '.join(answer.content.split())[:_QUOTED]!r}")


def _problem(error: AdapterParseError, answer: Completion) -> str:
    return "the answer was cut at its maximum length" if answer.truncated else str(error).splitlines()[0]
