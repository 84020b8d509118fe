"""Answers to questions: out of the store, from who asks the same already, or from the model; failures are values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labelmill.corpus.fields import clean
from labelmill.errors import ModelGone, ModelRejected, ModelUnavailable
from labelmill.models.client import ChatModel
from labelmill.pipelines.questions import Cost, Question, Unreadable
from labelmill.records import Failure
from labelmill.store import StageResult

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
    """

    outputs: dict[str, list[Any] | Failure] = field(default_factory=dict)
    stages: list[StageResult] = field(default_factory=list)
    calls: int = 0
    reused: int = 0


class Answering:
    """Answers the questions of many batches at once, each question once.

    Args:
        model: The language model.
        concurrency: Questions that are put to it at once at most; what its servers take at once is theirs to say.
        answers: Looks up what the model answered before.
    """

    def __init__(self, model: ChatModel, concurrency: int, answers: Answers) -> None:
        """Make what all batches share. Call it within the event loop."""
        self._model = model
        self._answers = answers
        self._free = asyncio.Semaphore(concurrency)
        # Questions that were asked and are not stored yet, by key: two batches may hold the same text.
        self._asked: dict[str, asyncio.Task[StageResult | Failure]] = {}
        self._spent: dict[str, Cost] = {}

    async def answer(self, questions: Sequence[Question], turn: int) -> Answered:
        """Answer every question.

        Raises:
            ModelGone: No server answers.
            ModelRefused: No request to the servers can work.
        """
        by_key = {question.key: question for question in questions}
        asked_now = {key: task for key, task in self._asked.items() if key in by_key}
        done = Answered(dict(await asyncio.to_thread(self._answers, list(by_key))))
        # What was being asked before the look-up may be stored since: too late for it, and no reason to ask again.
        self._asked = {key: task for key, task in asked_now.items() if key not in done.outputs} | self._asked
        missing = [question for key, question in by_key.items() if key not in done.outputs]
        done.calls = sum(question.key not in self._asked for question in missing)
        done.reused = len(by_key) - done.calls
        for question, outcome in zip(missing, await self._ask(missing, turn), strict=True):
            if isinstance(outcome, StageResult):
                done.stages.append(outcome)
                done.outputs[question.key] = outcome.output
            else:
                self._asked.pop(question.key, None)  # a failure is not stored: the next to ask, asks again
                done.outputs[question.key] = outcome
        return done

    def stored(self, stages: Iterable[StageResult]) -> None:
        """Take note that answers are committed: they will be found in the store."""
        for stage in stages:
            self._asked.pop(stage.key, None)

    def take_spent(self) -> dict[str, Cost]:
        """Give what was spent since the last time, by stage, and forget it."""
        spent, self._spent = self._spent, {}
        return spent

    async def _ask(self, questions: Sequence[Question], turn: int) -> list[StageResult | Failure]:
        """Ask what nobody asks already, and await all; the first error cancels what this batch asked."""
        own = []
        for question in questions:
            if question.key not in self._asked:
                self._asked[question.key] = asyncio.create_task(self._put(question, turn))
                own.append(question.key)
        try:
            return list(await asyncio.gather(*(self._asked[question.key] for question in questions)))
        except BaseException:
            for key in own:
                if task := self._asked.pop(key, None):
                    task.cancel()
            raise

    async def _put(self, question: Question, turn: int) -> StageResult | Failure:
        """Put one question to the model; what that cost is kept, whatever comes of it."""
        cost = Cost()
        failed = Failure("", question.stage, "", "")
        async with self._free:
            try:
                output = await question.ask(self._model, turn, cost)
            except ModelGone:
                raise
            except ModelUnavailable as error:
                cost.requests += error.attempts
                failed = replace(failed, kind="unavailable", message=clean(str(error)))
            except ModelRejected as error:
                cost.requests += 1
                failed = replace(failed, kind="rejected", message=clean(str(error)))
            except Unreadable as error:
                failed = replace(failed, kind="unparseable", message=clean(str(error)))
            finally:
                self._spent.setdefault(question.stage, Cost()).add(cost)
        if failed.kind:
            return replace(failed, attempts=cost.requests)
        return StageResult(
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
