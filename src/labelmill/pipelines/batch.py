"""The batch run: a corpus through a program into a store, some batches in flight, each committed as a whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from labelmill.errors import ModelGone, StoreError
from labelmill.models.balance import ServerState
from labelmill.models.client import ChatModel
from labelmill.models.prefix_cache import PrefixCache, read_prefix_cache
from labelmill.models.served import ServedModel
from labelmill.pipelines.answering import spendings
from labelmill.pipelines.budget import Account, Budget, size_of
from labelmill.pipelines.execution import BatchResult, Execution
from labelmill.pipelines.feeding import BATCH_DOCUMENTS, QUICK_BATCH_DOCUMENTS, batched, next_of
from labelmill.pipelines.loop import give_up, raise_from, settle
from labelmill.pipelines.program import Program
from labelmill.pipelines.progress import OnProgress, RunProgress
from labelmill.pipelines.todo import Todo
from labelmill.records import Document, Failure
from labelmill.store import RunWriter
from labelmill.store.heartbeat import Heartbeat

_SECONDS_BETWEEN_BEATS = 1.0

_SECONDS_FOR_COUNTERS = 10.0

_HOPELESS = 4 * BATCH_DOCUMENTS
"""Documents one after another that got no answer: by then it is not the documents."""


class BatchRun:
    """Labels a corpus into a store, and takes up where an earlier sitting stopped.

    Args:
        program: The stages.
        writer: Where rows go.
        model: The language model, where the program uses one.
        concurrency: Questions that are put to the model at once at most.
        retry_failed: Whether documents that failed before are tried again.
        whole: Whether `run` is given the whole corpus; failures of rows that are not in it are then forgotten.
        budget: What the run may cost, over all sittings.
        on_progress: Told after every batch, and every second.
    """

    def __init__(
        self,
        program: Program,
        writer: RunWriter,
        *,
        model: ChatModel | None = None,
        concurrency: int = 32,
        retry_failed: bool = False,
        whole: bool = True,
        budget: Budget = Budget(),  # noqa: B008 - frozen
        on_progress: OnProgress = lambda _: None,
    ) -> None:
        """Remember what to run."""
        self._program = program
        self._writer = writer
        self._model = model
        self._concurrency = concurrency
        self._retry_failed = retry_failed
        self._whole = whole
        self._unanswered = 0
        self._account = Account(budget, *writer.stored.spent())
        self._on_progress = on_progress
        self._progress = RunProgress()
        self._todo = Todo("", _never, {})

    async def run(self, items: Iterable[Document | Failure], total: int | None = None) -> RunProgress:
        """Label everything that is not done yet, or as much as the budget admits.

        Cancelled or failed, it leaves whole batches committed and the run's state at ``interrupted``.
        """
        progress = self._progress = RunProgress(total=total, started=time.monotonic())
        stored = self._writer.stored
        todo = self._todo = Todo(self._program.key, stored.done, stored.failed(), retry_failed=self._retry_failed)
        execution = Execution(
            self._program,
            self._model,
            concurrency=self._concurrency,
            answers=stored.answers,
            retrievals=stored.retrievals,
            on_cost=progress.add,
        )
        heartbeat = Heartbeat(self._writer.path)
        ticking = asyncio.create_task(self._tick(heartbeat))
        state, prefix = "interrupted", None
        try:
            before = await _prefix_cache(self._model)
            then = QUICK_BATCH_DOCUMENTS if self._program.spec.is_student else BATCH_DOCUMENTS
            state = await self._run_batches(execution, batched(todo.of(items), self._account.first_batch, then))
            if state == "finished" and self._whole and todo.gone():
                self._writer.forget_failures(todo.gone())
            after = await _prefix_cache(self._model)
            prefix = after.since(before) if before and after else None
        finally:
            ticking.cancel()
            progress.state = state
            counted = (prefix.queries, prefix.hits) if prefix else None
            try:
                # Where a run ends by an error, that one is to be told, not what follows from it.
                with suppress(*([StoreError] if state == "interrupted" else [])):
                    self._wind_up(execution, state, counted)
            finally:
                self._show(heartbeat, force=True)
                heartbeat.end()
        return progress

    def _wind_up(self, execution: Execution, state: str, prefix: tuple[int, int] | None) -> None:
        """Keep what batches under way were answered and what that cost, and write down how the sitting ended."""
        try:
            if left := execution.take_left():
                self._writer.write([], [], left)
        finally:
            self._writer.close(state, self._progress.seconds, spendings(execution.take_spent()), prefix)

    async def _run_batches(self, execution: Execution, batches: Iterator[list[Document | Failure]]) -> str:
        """Keep batches under way until there are no more; tell how that ended."""
        running: set[asyncio.Task[None]] = set()
        turn = 0
        try:
            batch = await self._next(batches, running)
            while batch is not None:
                size = size_of(batch, self._program.spec.chunk_characters)
                room = self._account.room_for(size, self._progress.seconds)
                if room is False:
                    break
                if room is None or len(running) >= self._in_flight(execution):
                    running = await settle(running)
                    continue
                self._account.open += size
                running.add(asyncio.create_task(self._run_batch(execution, batch, turn, size)))
                turn += 1
                batch = await self._next(batches, running)
            while running:
                running = await settle(running)
        finally:
            await give_up(running)
        return "finished" if batch is None else "budget"

    async def _next(
        self, batches: Iterator[list[Document | Failure]], running: set[asyncio.Task[None]]
    ) -> list[Document | Failure] | None:
        """Wait for the next batch, or for the error of one that is under way."""
        coming = asyncio.ensure_future(next_of(batches))
        coming.add_done_callback(lambda each: each.cancelled() or each.exception())  # one error ends a run, not two
        try:
            while not coming.done():
                self._progress.read_since = self._progress.read_since or (None if running else time.monotonic())
                await asyncio.wait({coming, *running}, return_when=asyncio.FIRST_COMPLETED)
                ended = {task for task in running if task.done()}
                running -= ended
                await raise_from(ended, running)
            return coming.result()
        finally:
            coming.cancel()
            self._progress.read_since = None

    async def _run_batch(self, execution: Execution, batch: list[Document | Failure], turn: int, size: float) -> None:
        documents = [item for item in batch if isinstance(item, Document)]
        unread = [item for item in batch if isinstance(item, Failure)]
        result = await execution.label(documents, turn) if documents else BatchResult()
        failures = unread + result.failures
        spent = execution.take_spent()
        write = self._writer.write
        writing = asyncio.create_task(
            asyncio.to_thread(write, result.documents, failures, result.stages, spendings(spent))
        )
        try:
            await asyncio.shield(writing)
        except StoreError:
            execution.give_back(spent)
            raise
        except asyncio.CancelledError:  # it takes a moment, and is paid for
            await writing
            execution.stored(result)
            raise
        execution.stored(result)
        progress = self._progress
        progress.done += len(result.documents)
        progress.failed += len(failures)
        progress.by_student += result.by_student
        progress.calls += result.calls
        progress.reused += result.reused
        self._account.settle(size, result.tokens, sum(cost.tokens for cost in spent.values()))
        self._on_progress(progress)
        self._see_whether_it_is_hopeless(result)

    def _see_whether_it_is_hopeless(self, result: BatchResult) -> None:
        unanswered = [failure for failure in result.failures if failure.kind == "unavailable"]
        self._unanswered = 0 if result.documents else self._unanswered + len(unanswered)
        if unanswered and self._unanswered >= _HOPELESS:
            raise ModelGone(
                f"{self._unanswered} documents one after another got no answer; the last: {unanswered[-1].message} "
                "Mend the server, then run the same command: it tries them again."
            )

    def _in_flight(self, execution: Execution) -> int:
        """Say how many batches to have under way: documents for twice what the servers take at once."""
        if self._model is None:
            return 2
        states = _states(self._model)
        at_once = sum(state.limit for state in states if state.state == "up") or execution.at_once
        return 2 + 2 * at_once // BATCH_DOCUMENTS

    async def _tick(self, heartbeat: Heartbeat) -> None:
        self._show(heartbeat)
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_BEATS)
            self._show(heartbeat)
            self._on_progress(self._progress)

    def _show(self, heartbeat: Heartbeat, *, force: bool = False) -> None:
        self._progress.servers = _states(self._model)
        self._progress.skipped = self._todo.skipped
        heartbeat.beat({"run": self._writer.run, **self._progress.as_dict()}, force=force)


async def _prefix_cache(model: ChatModel | None) -> PrefixCache | None:
    """Read the servers' counters, where they have any and answer at once."""
    if not isinstance(model, ServedModel):
        return None
    try:
        async with asyncio.timeout(_SECONDS_FOR_COUNTERS):
            return await read_prefix_cache(model)
    except TimeoutError:
        return None


def _never(_key: str) -> bool:
    return False


def _states(model: ChatModel | None) -> Sequence[ServerState]:
    return model.states() if isinstance(model, ServedModel) else ()
