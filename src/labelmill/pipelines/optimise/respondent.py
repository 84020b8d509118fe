"""A model that is asked from ordinary code and from DSPy's threads; what it once answered is never asked again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Any

from labelmill.corpus.fields import clean
from labelmill.errors import LabelmillError, ModelError, ModelRejected
from labelmill.keys import content_key
from labelmill.models.client import ChatModel
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.optimise.journal import Entry, Journal
from labelmill.pipelines.optimise.spending import Lease, Purse, Stopped
from labelmill.pipelines.questions import Cost, Question, Unreadable

PROPOSE_VERSION = 1
"""Raised whenever the same answer of a model to a free question would be read otherwise."""

_Ask = Callable[[], Coroutine[Any, Any, Entry]]


class Respondent:
    """Answers the questions of a program's stages, and free ones, out of a journal or by a model.

    Args:
        role: ``student`` or ``teacher``.
        chat: The model.
        loop: Where it answers; another thread runs it.
        journal: What was answered before.
        purse: Counts what it costs.
    """

    def __init__(
        self, role: str, chat: ChatModel, loop: asyncio.AbstractEventLoop, journal: Journal, purse: Purse
    ) -> None:
        """Keep them."""
        self.role = role
        self.model = chat.model
        self.identity = chat.identity
        self._chat = chat
        self._loop = loop
        self._journal = journal
        self._purse = purse
        self._asked: dict[str, asyncio.Task[Entry]] = {}
        self._proposed: dict[str, int] = {}

    def answer(self, questions: Sequence[Question], lease: Lease) -> list[list[Any] | str]:
        """Answer the questions about one document, all at once.

        Args:
            questions: Of a stage.
            lease: Leave to spend.

        Returns:
            For each question the answer as it is read, or the reason why there is none.

        Raises:
            Stopped: Nothing is left to spend, or the model does not answer.
        """
        pending = [self._begin(question.key, partial(self._put, question), lease) for question in questions]
        entries = [self._end(entry) for entry in pending]
        return [entry.problem or entry.output for entry in entries]

    def propose(self, body: bytes, lease: Lease) -> str:
        """Answer a free question; the same question asked again may be answered otherwise, but not after a kill.

        Raises:
            ModelRejected: This question cannot be answered.
            Stopped: Nothing is left to spend, or the model does not answer.
        """
        asked = content_key("propose", PROPOSE_VERSION, self.identity, body.decode())
        time = self._proposed[asked] = self._proposed.get(asked, 0) + 1
        key = content_key(asked, time)
        entry = self._end(self._begin(key, partial(self._complete, key, body), lease))
        if entry.problem:
            raise ModelRejected(entry.problem)
        return str(entry.output[0])

    def _begin(self, key: str, ask: _Ask, lease: Lease) -> Entry | Future[Entry]:
        lease.check(key)
        known = self._journal.get(key)
        return known or asyncio.run_coroutine_threadsafe(self._once(key, ask), self._loop)

    def _end(self, pending: Entry | Future[Entry]) -> Entry:
        if isinstance(pending, Entry):
            self._purse.charge(self.role, pending, reused=True)
            return pending
        try:
            entry = pending.result()
        except LabelmillError as error:
            raise Stopped(error) from error
        except CancelledError:  # the models are closed already
            raise Stopped from None
        self._purse.charge(self.role, entry, reused=False)
        return entry

    async def _once(self, key: str, ask: _Ask) -> Entry:
        """Ask, unless somebody asks the same already, or has since this was sent here."""
        known = self._journal.get(key)
        if known is not None:
            return known
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.ensure_future(ask())
        try:
            return self._journal.put(await asyncio.shield(task))
        finally:
            self._asked.pop(key, None)

    async def _put(self, question: Question) -> Entry:
        """Put a question of a stage. That one cannot be answered is an answer as well, and is not asked for again."""
        cost, output, problem = Cost(), list[Any](), ""
        try:
            output = await question.ask(self._chat, 0, cost)
        except (ModelRejected, Unreadable) as error:
            cost.requests += error.attempts if isinstance(error, ModelRejected) else 0
            problem = clean(str(error))
        return Entry(
            question.key,
            question.stage,
            output,
            problem,
            requests=cost.requests,
            prompt_tokens=cost.prompt_tokens,
            completion_tokens=cost.completion_tokens,
            cached_tokens=cost.cached_tokens,
        )

    async def _complete(self, key: str, body: bytes) -> Entry:
        try:
            answer = await self._chat.complete(body)
        except ModelRejected as error:
            return Entry(key, "propose", [], clean(str(error)), requests=error.attempts)
        return Entry(
            key,
            "propose",
            [clean(answer.content)],
            requests=answer.attempts,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cached_tokens=answer.cached_tokens,
        )


@contextmanager
def respondents(
    student: Connection, teacher: Connection | None, journal: Journal, purse: Purse
) -> Iterator[tuple[Respondent, Respondent]]:
    """Open both models in a thread of their own; without a teacher, the student is its own.

    Raises:
        ModelError: A server does not say what its model is.
    """
    ready: Future[tuple[Respondent, Respondent]] = Future()
    ended: list[Callable[[], object]] = []

    async def serve() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as stack:
            first = await _open(stack, student)
            second = await _open(stack, teacher) if teacher else None
            pupil = Respondent("student", first, loop, journal, purse)
            ended.append(lambda: loop.call_soon_threadsafe(done.set))
            ready.set_result((pupil, Respondent("teacher", second, loop, journal, purse) if second else pupil))
            await done.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            if not ready.done():
                ready.set_exception(error)

    thread = threading.Thread(target=run, name="labelmill-optimise")
    thread.start()
    try:
        yield ready.result()
    finally:
        for end in ended:
            end()
        thread.join()


async def _open(stack: AsyncExitStack, connection: Connection) -> ChatModel:
    model = await stack.enter_async_context(connection.open())
    if model is None:
        raise ModelError("optimising needs a language model. Give one with --lm")
    return model
