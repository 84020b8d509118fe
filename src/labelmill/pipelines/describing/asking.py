"""Asking a model about many labels: each answer into a journal as it comes, within a budget; failures are values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from labelmill.errors import ModelError
from labelmill.keys import content_key
from labelmill.models.client import ChatModel, Completion
from labelmill.pipelines.answering import Answering
from labelmill.pipelines.budget import Account, Budget
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.describing.writers import Writer
from labelmill.pipelines.loop import give_up, run_to_end, settle
from labelmill.pipelines.optimise.journal import Entry, Journal
from labelmill.pipelines.questions import ANSWER_VERSION, Cost, Question, ask_and_mend
from labelmill.records import Failure

_UNIT = 1.0
"""Labels are taken to cost alike."""


@dataclass(slots=True)
class DescribeProgress:
    """How far the asking is.

    Attributes:
        total: Labels to write of.
        done: Those that are written of, out of the journal or now.
        reused: Of these, out of the journal.
        failed: Those of which nothing can be had.
        requests: Sent now.
        tokens: Read and written now.
        seconds: So far.
    """

    total: int
    done: int = 0
    reused: int = 0
    failed: int = 0
    requests: int = 0
    tokens: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Labels a second, of those that the model is asked about."""
        return (self.done + self.failed - self.reused) / max(self.seconds, 1e-9)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go; None while nothing is known."""
        return (self.total - self.done - self.failed) / self.rate if self.rate > 0 else None


OnDescribe = Callable[[DescribeProgress], None]


@dataclass(frozen=True, slots=True)
class AskedOf:
    """What a model wrote.

    Attributes:
        answers: For each label what `Writer.read` gives, why there is nothing, or None where the budget was spent.
        progress: At the end.
    """

    answers: list[list[Any] | Failure | None]
    progress: DescribeProgress


def ask_of(
    writer: Writer,
    inputs: Sequence[Mapping[str, str]],
    connection: Connection,
    journal: Journal,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    on_asked: OnDescribe = lambda _: None,
) -> AskedOf:
    """Ask a model to write of labels, as many at once as it takes.

    What has failed is asked again the next time; what was answered never is.

    Args:
        writer: The program.
        inputs: For each label what it is shown.
        connection: The model.
        journal: What was answered before, and where answers are kept.
        budget: What all may cost at most, answers of the journal included.
        on_asked: Told after every label.

    Raises:
        ModelError: There is no model, or it does not answer; what it answered is in the journal.
    """
    return run_to_end(lambda: _Asking(writer, inputs, connection, journal, budget, on_asked).run())


class _Asking:
    """One pass over the labels."""

    def __init__(
        self,
        writer: Writer,
        inputs: Sequence[Mapping[str, str]],
        connection: Connection,
        journal: Journal,
        budget: Budget,
        on_asked: OnDescribe,
    ) -> None:
        self._writer = writer
        self._inputs = inputs
        self._connection = connection
        self._journal = journal
        self._account = Account(budget)
        self._told = on_asked
        self._start = monotonic()
        self._answers: list[list[Any] | Failure | None] = [None] * len(inputs)
        self._progress = DescribeProgress(len(inputs))

    async def run(self) -> AskedOf:
        async with self._connection.open() as model:
            if model is None:
                raise ModelError("describing labels needs a language model. Give one with --lm, or say --lm none")
            answering = Answering(model, self._connection.concurrency, self._known)
            open_: list[tuple[int, Question]] = []
            for place, question in enumerate(self._questions(model)):
                entry = self._journal.get(question.key)
                if entry is None:
                    open_.append((place, question))
                    continue
                self._answers[place] = entry.output
                self._count(entry)
                self._progress.done += 1
                self._progress.reused += 1
            await self._ask(answering, open_)
        self._tell()
        return AskedOf(self._answers, self._progress)

    def _count(self, entry: Entry) -> None:
        """Take note of what an answer of the journal has cost, which tells what others will."""
        tokens = entry.prompt_tokens + entry.completion_tokens
        self._account.settle(0.0, 0, tokens)
        self._account.seen += _UNIT
        self._account.dearest = max(self._account.dearest, tokens / _UNIT)

    async def _ask(self, answering: Answering, open_: Sequence[tuple[int, Question]]) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            for place, question in open_:
                while (room := self._has_room(running)) is None:
                    running = await settle(running)
                if not room:
                    break
                self._account.open += _UNIT
                running.add(asyncio.create_task(self._one(answering, place, question)))
            while running:
                running = await settle(running)
        finally:
            await give_up(running)

    def _has_room(self, running: set[asyncio.Task[None]]) -> bool | None:
        """Tell whether another question may be put now; None for: not before one that is under way is done."""
        if len(running) >= self._connection.concurrency:
            return None
        room = self._account.room_for(_UNIT, monotonic() - self._start)
        return None if room is None and running else bool(room)

    async def _one(self, answering: Answering, place: int, question: Question) -> None:
        answered = await answering.answer([question], place)
        for stage in answered.stages:
            self._journal.put(
                Entry(
                    stage.key,
                    stage.stage,
                    stage.output,
                    requests=stage.attempts,
                    prompt_tokens=stage.prompt_tokens,
                    completion_tokens=stage.completion_tokens,
                    cached_tokens=stage.cached_tokens,
                )
            )
        answering.stored(answered.stages)
        output = self._answers[place] = answered.outputs[question.key]
        self._progress.failed += isinstance(output, Failure)
        self._progress.done += not isinstance(output, Failure)
        costs = answering.take_spent().values()
        spent = sum(cost.tokens for cost in costs)
        self._progress.requests += sum(cost.requests for cost in costs)
        self._progress.tokens += spent
        self._account.settle(_UNIT, answered.tokens, spent)
        self._tell()

    def _tell(self) -> None:
        self._progress.seconds = monotonic() - self._start
        self._told(self._progress)

    def _known(self, keys: Iterable[str]) -> Mapping[str, list[Any]]:
        entries = ((key, self._journal.get(key)) for key in keys)
        return {key: entry.output for key, entry in entries if entry is not None}

    def _questions(self, model: ChatModel) -> list[Question]:
        asked_of = ANSWER_VERSION, self._writer.fingerprint(), model.identity
        return [
            Question(
                content_key(self._writer.stage, *asked_of, dict(inputs)),
                self._writer.stage,
                partial(self._put, inputs=inputs, name=model.model),
            )
            for inputs in self._inputs
        ]

    async def _put(self, chat: ChatModel, turn: int, cost: Cost, *, inputs: Mapping[str, str], name: str) -> list[Any]:
        def read(answer: Completion) -> list[Any]:
            return self._writer.read(answer.content, truncated=answer.truncated)

        return await ask_and_mend(chat, self._writer.request(inputs, name), read, turn, cost)
