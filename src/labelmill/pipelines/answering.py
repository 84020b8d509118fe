"""Answers to questions: out of the store, from who asks the same already, or from the model; failures are values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labelmill.corpus.fields import clean
from labelmill.errors import ModelGone, ModelRejected, ModelUnavailable
from labelmill.models.client import ChatModel
from labelmill.pipelines.loop import give_up
from labelmill.pipelines.questions import Cost, Question, Unreadable
from labelmill.records import Failure
from labelmill.store import Spending, StageResult

Answers = Callable[[Iterable[str]], Mapping[str, list[Any]]]
"""Looks up stored outputs of stages by key; gives those that there are."""


@dataclass(slots=True)
class Answered:
    """What came of a batch of questions.

    Attributes:
        outputs: By key: the answer as it is stored, or why there is none.
        stages: The answers that were not stored before.
        calls: How many questions the model was asked.
        reused: How many answers were there already.
        tokens: Read and written for what the model was asked.
    """

    outputs: dict[str, list[Any] | Failure] = field(default_factory=dict)
    stages: list[StageResult] = field(default_factory=list)
    calls: int = 0
    reused: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one question: the answer or why there is none, and what it cost; nothing where it was stored."""

    output: list[Any] | Failure
    stage: StageResult | None = None
    cost: Cost | None = None


_Finding = asyncio.Task[_Outcome]


class Answering:
    """Answers the questions of many batches at once, each question once.

    Args:
        model: The language model.
        concurrency: Questions that are put to it at once at most; what its servers take at once is theirs to say.
        answers: Looks up what the model answered before.
        on_cost: Told what each question cost, as soon as that is known.
    """

    def __init__(
        self,
        model: ChatModel,
        concurrency: int,
        answers: Answers,
        on_cost: Callable[[Cost], None] = lambda _: None,
    ) -> None:
        """Make what all batches share. Call it within the event loop."""
        self._model = model
        self._on_cost = on_cost
        self._left: list[StageResult] = []
        self._answers = answers
        self._free = asyncio.Semaphore(concurrency)
        # Two batches may hold the same text. A question is here, by its key, from before it is looked up until its
        # answer is committed: so whoever does not meet it here will find the answer in the store.
        self._asked: dict[str, _Finding] = {}
        self._spent: dict[str, Cost] = {}

    async def answer(self, questions: Sequence[Question], turn: int) -> Answered:
        """Answer every question.

        Raises:
            ModelGone: No server answers.
            ModelRefused: No request to the servers can work.
        """
        by_key = {question.key: question for question in questions}
        own = self._find([question for key, question in by_key.items() if key not in self._asked], turn)
        try:
            outcomes = await asyncio.gather(*(self._asked[key] for key in by_key))
        except BaseException:
            for key in own:
                self._asked.pop(key, None)
            await give_up(own.values())
            self._left += _answered(own.values())
            raise
        done = Answered()
        for key, outcome in zip(by_key, outcomes, strict=True):
            done.outputs[key] = outcome.output
            if outcome.stage is not None:
                done.stages.append(outcome.stage)
            elif key in own:  # stored already, or failed: the next to ask, looks it up and asks again
                self._asked.pop(key, None)
            if key in own and outcome.cost is not None:
                done.calls += 1
                done.tokens += outcome.cost.tokens
        done.reused = len(by_key) - done.calls
        return done

    def stored(self, stages: Iterable[StageResult]) -> None:
        """Take note that answers are committed: they will be found in the store."""
        for stage in stages:
            self._asked.pop(stage.key, None)

    def take_spent(self) -> dict[str, Cost]:
        """Give what was spent since the last time, by stage, and forget it."""
        spent, self._spent = self._spent, {}
        return spent

    def take_left(self) -> list[StageResult]:
        """Give the answers of batches that will not be committed, once all have ended: they were paid for."""
        left = self._left + _answered(self._asked.values())
        self._left, self._asked = [], {}
        return left

    def give_back(self, spent: Mapping[str, Cost]) -> None:
        """Take back what was spent and could not be written down."""
        for stage, cost in spent.items():
            self._spent.setdefault(stage, Cost()).add(cost)

    def _find(self, questions: Sequence[Question], turn: int) -> dict[str, _Finding]:
        """Begin to look up questions together, and to put each that is not stored to the model."""
        if not questions:
            return {}
        look_up = asyncio.create_task(asyncio.to_thread(self._answers, [question.key for question in questions]))
        own = {question.key: asyncio.create_task(self._outcome(question, turn, look_up)) for question in questions}
        self._asked |= own
        return own

    async def _outcome(self, question: Question, turn: int, look_up: asyncio.Task[Mapping[str, list[Any]]]) -> _Outcome:
        stored = await look_up
        if question.key in stored:
            return _Outcome(stored[question.key])
        async with self._free:
            return await self._put(question, turn)

    async def _put(self, question: Question, turn: int) -> _Outcome:
        """Put one question to the model; what that cost is kept, whatever comes of it."""
        cost = Cost()
        failed = Failure("", question.stage, "", "")
        try:
            output = await question.ask(self._model, turn, cost)
        except ModelGone:
            raise
        except ModelUnavailable as error:
            cost.requests += error.attempts
            failed = replace(failed, kind="unavailable", message=clean(str(error)))
        except ModelRejected as error:
            cost.requests += error.attempts
            failed = replace(failed, kind="rejected", message=clean(str(error)))
        except Unreadable as error:
            failed = replace(failed, kind="unparseable", message=clean(str(error)))
        finally:
            self._spent.setdefault(question.stage, Cost()).add(cost)
            self._on_cost(cost)
        if failed.kind:
            return _Outcome(replace(failed, attempts=cost.requests), cost=cost)
        stage = StageResult(
            key=question.key,
            stage=question.stage,
            model=self._model.model,
            output=output,
            prompt_tokens=cost.prompt_tokens,
            cached_tokens=cost.cached_tokens,
            completion_tokens=cost.completion_tokens,
            seconds=round(cost.seconds, 4),
            attempts=cost.requests,
        )
        return _Outcome(output, stage, cost)


def _answered(findings: Iterable[_Finding]) -> list[StageResult]:
    """Pick the answers out of what has ended."""
    ended = [each for each in findings if each.done() and not each.cancelled() and each.exception() is None]
    return [stage for each in ended if (stage := each.result().stage) is not None]


def spendings(spent: Mapping[str, Cost]) -> list[Spending]:
    """Write costs, by stage, as the store keeps them."""
    return [
        Spending(
            stage,
            cost.requests,
            cost.prompt_tokens,
            cost.cached_tokens,
            cost.completion_tokens,
            round(cost.seconds, 4),
        )
        for stage, cost in spent.items()
    ]
