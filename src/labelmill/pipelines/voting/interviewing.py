"""Having a model answer questionnaires on a corpus: many batches at once, in a loop of its own; failures are values."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any, Self

from labelmill.errors import ModelError, StoreError
from labelmill.models.client import ChatModel
from labelmill.models.served import PATIENCE_SECONDS, TIMEOUT_SECONDS
from labelmill.pipelines.answering import Answered, Answering, spendings
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.loop import give_up, run_to_end
from labelmill.pipelines.questions import Cost
from labelmill.pipelines.voting.pool import Cast
from labelmill.pipelines.voting.questioning import Questioning
from labelmill.pipelines.voting.questionnaire import votes_of
from labelmill.records import Document, Failure
from labelmill.store import Spending, StageResult
from labelmill.store.answers import KeptAnswers


@dataclass(frozen=True, slots=True)
class Prompting:
    """The model that answers questionnaires.

    Attributes:
        lm: As for `Labeler`.
        concurrency: Requests in flight at each server at most; by default what it takes.
        timeout: Seconds for an answer.
        patience: Seconds to wait while no server is up.
    """

    lm: str | Sequence[str] | ChatModel = "none"
    concurrency: int | None = None
    timeout: float = TIMEOUT_SECONDS
    patience: float = PATIENCE_SECONDS


@dataclass(slots=True)
class Interviewed:
    """What a model answered on a batch of documents.

    Attributes:
        casts: What each question's voter says.
        stages: Answers that were not stored before.
        spent: What the model cost meanwhile.
        reused: How many answers were there already.
    """

    casts: dict[str, Cast] = field(default_factory=dict)
    stages: list[StageResult] = field(default_factory=list)
    spent: list[Spending] = field(default_factory=list)
    reused: int = 0


class Interviewer:
    """Puts questionnaires to a model; use it as a context manager. Its loop runs in a thread of its own.

    Args:
        programs: The questionnaires.
        prompting: The model.
        kept: The answers that there are, and where they go.
        on_cost: Told what each request cost, in that thread.

    Raises:
        ModelError: There is no model, or it does not say what it is.
    """

    def __init__(
        self,
        programs: Sequence[Questioning],
        prompting: Prompting,
        kept: KeptAnswers,
        on_cost: Callable[[Cost], None] = lambda _: None,
    ) -> None:
        """Find the model."""
        self._programs = [(program, program.fingerprint()) for program in programs]
        self._kept, self._on_cost = kept, on_cost
        self._resources = ExitStack()
        limits = {name: getattr(prompting, name) for name in ("concurrency", "timeout", "patience")}
        with ExitStack() as undo:
            undo.callback(self._resources.close)
            self._connection = run_to_end(partial(Connection.find, prompting.lm, self._resources, **limits))
            if not self._connection.model:
                raise ModelError("questions need a language model to answer them. Give one with --lm")
            undo.pop_all()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="labelmill-interviews", daemon=True)
        self._running: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        """Open the connection to the model."""
        self._thread.start()
        try:
            self._context = self._connection.open()
            self._model = self._here(self._context.__aenter__())
            self._answering = self._here(self._begin())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Stop asking, keep what was answered, and close the connection.

        Where something ended it, that is to be told, not what follows from it.
        """
        try:
            left, spent = self._here(self._leave())
            with suppress(*([StoreError] if error[0] else [])):
                self._kept.write(left, spent)
            self._here(self._context.__aexit__(None, None, None))
        finally:
            self._end()

    def of(
        self, batches: Iterator[tuple[list[Document], dict[str, Cast]]]
    ) -> Iterator[tuple[list[Document], dict[str, Cast]]]:
        """Add what the model says to what others said of each batch; answers are committed as batches come out."""
        waiting: deque[tuple[list[Document], dict[str, Cast], Future[Interviewed]]] = deque()
        for turn, (documents, casts) in enumerate(batches):
            asked = asyncio.run_coroutine_threadsafe(self._interview(documents, turn), self._loop)
            waiting.append((documents, casts, asked))
            if len(waiting) > 1 + 2 * self._connection.concurrency // len(documents):
                yield self._take(*waiting.popleft())
        while waiting:
            yield self._take(*waiting.popleft())

    def _take(
        self, documents: list[Document], casts: dict[str, Cast], asked: Future[Interviewed]
    ) -> tuple[list[Document], dict[str, Cast]]:
        found = asked.result()
        self._kept.write(found.stages, found.spent)
        self._loop.call_soon_threadsafe(self._answering.stored, found.stages)
        return documents, casts | found.casts

    async def _begin(self) -> Answering:
        assert self._model is not None
        return Answering(self._model, self._connection.concurrency, self._kept.answers, self._on_cost)

    async def _interview(self, documents: Sequence[Document], turn: int) -> Interviewed:
        assert self._model is not None
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        found = Interviewed()
        for program, fingerprint in self._programs:
            questions = [program.question(each.text, self._model, fingerprint) for each in documents]
            answered = await self._answering.answer(questions, turn)
            found.casts |= _casts(program, [question.key for question in questions], answered)
            found.stages += answered.stages
            found.reused += answered.reused
        found.spent = spendings(self._answering.take_spent())
        return found

    async def _leave(self) -> tuple[list[StageResult], list[Spending]]:
        """Cancel what is under way; give the answers that were paid for and not committed, and their cost."""
        await give_up(tuple(self._running))
        return self._answering.take_left(), spendings(self._answering.take_spent())

    def _here(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._resources.close()


def _casts(program: Questioning, keys: Sequence[str], answered: Answered) -> dict[str, Cast]:
    """Turn the answers on documents into what each question's voter says of them, or why it does not."""
    form = program.questionnaire
    casts = {each.name: Cast(seen=len(keys)) for each in form.questions}
    for place, key in enumerate(keys):
        output = answered.outputs[key]
        if isinstance(output, Failure):
            for cast in casts.values():
                cast.failures.append((place, output.kind, output.message))
            continue
        for each, said in zip(form.questions, output, strict=True):
            if said is None:
                casts[each.name].failures.append((place, "unparseable", "the answer is none of those that there are"))
                continue
            votes = votes_of(form, each.name, said)
            casts[each.name].votes += [(place, vote.label, vote.vote * vote.confidence) for vote in votes]
    return casts
