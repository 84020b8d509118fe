"""The batch run: a corpus through a program into a store, a few batches in flight, each committed as a whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from labelmill.keys import content_key
from labelmill.models.client import ChatModel
from labelmill.pipelines.execution import BatchResult, Execution, document_key
from labelmill.pipelines.program import Program
from labelmill.records import Document, Failure
from labelmill.store import RunWriter

BATCH_DOCUMENTS = 32
"""Documents of a batch: seconds of work, so that little is lost by a kill and commits cost little."""

_BATCH_CHARACTERS = 200_000
"""Of a batch, so that its windows fit into memory: about as many, with a vector of 1.5 KB each."""

_Item = TypeVar("_Item", Document, Document | Failure)


@dataclass(slots=True)
class RunProgress:
    """How far a run is.

    Attributes:
        done: Documents done in this sitting.
        skipped: Documents that were done before.
        failed: Documents that failed in this sitting.
        total: Documents in all, where known.
        tokens: Prompt and completion tokens of this sitting.
        calls: Model calls of this sitting.
        reused: Answers taken from the store.
        started: When this sitting began, by `time.monotonic`.
    """

    done: int = 0
    skipped: int = 0
    failed: int = 0
    total: int | None = None
    tokens: int = 0
    calls: int = 0
    reused: int = 0
    started: float = 0.0

    @property
    def seconds(self) -> float:
        """Of this sitting, so far."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Documents a second in this sitting."""
        return (self.done + self.failed) / max(self.seconds, 1e-9)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go at this rate; None where the total is unknown or nothing is done yet."""
        if self.total is None or not self.done + self.failed:
            return None
        return max(self.total - self.done - self.failed - self.skipped, 0) / self.rate


OnProgress = Callable[[RunProgress], None]


class BatchRun:
    """Labels a corpus into a store, and takes up where an earlier sitting stopped.

    Args:
        program: The stages.
        writer: Where rows go.
        model: The language model, where the program uses one.
        concurrency: Model calls in flight at most.
        retry_failed: Whether documents that failed before are tried again.
        whole: Whether `run` is given the whole corpus; failures of rows that are not in it are then forgotten.
        on_progress: Told after every batch.
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
        on_progress: OnProgress = lambda _: None,
    ) -> None:
        """Remember what to run."""
        self._program = program
        self._writer = writer
        self._model = model
        self._concurrency = concurrency
        self._in_flight = 2 if model is None else 2 + concurrency // BATCH_DOCUMENTS
        self._retry_failed = retry_failed
        self._whole = whole
        self._failed: dict[str, str] = {}
        self._on_progress = on_progress

    async def run(self, items: Iterable[Document | Failure], total: int | None = None) -> RunProgress:
        """Label everything that is not done yet.

        Cancelled or failed, it leaves whole batches committed and the run's state at ``interrupted``.
        """
        progress = RunProgress(total=total, started=time.monotonic())
        execution = Execution(self._program, self._model, concurrency=self._concurrency, answers=self._writer.answers)
        self._failed = self._writer.failed()
        state = "interrupted"
        try:
            await self._run_batches(execution, batched(self._todo(items, progress)), progress)
            if self._whole and self._failed:
                # What is left failed in rows that the corpus has no more: they were repaired, or taken out.
                self._writer.forget_failures(list(self._failed))
            state = "finished"
        finally:
            self._writer.close(state, progress.seconds)
        return progress

    async def _run_batches(
        self, execution: Execution, batches: Iterator[list[Document | Failure]], progress: RunProgress
    ) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            for batch in batches:
                running.add(asyncio.create_task(self._run_batch(execution, batch, progress)))
                if len(running) >= self._in_flight:
                    running = await _settle(running, asyncio.FIRST_COMPLETED)
            while running:
                running = await _settle(running, asyncio.FIRST_COMPLETED)
        finally:
            for task in running:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*running, return_exceptions=True)

    async def _run_batch(self, execution: Execution, batch: list[Document | Failure], progress: RunProgress) -> None:
        documents = [item for item in batch if isinstance(item, Document)]
        unread = [replace(item, key=_unread_key(item)) for item in batch if isinstance(item, Failure)]
        result = await execution.label(documents) if documents else BatchResult([], [], [])
        failures = unread + result.failures
        await asyncio.to_thread(self._writer.write, result.documents, failures, result.stages)
        execution.stored(result)
        progress.done += len(result.documents)
        progress.failed += len(failures)
        progress.calls += result.calls
        progress.reused += result.reused
        progress.tokens += sum(stage.prompt_tokens + stage.completion_tokens for stage in result.stages)
        self._on_progress(progress)

    def _todo(self, items: Iterable[Document | Failure], progress: RunProgress) -> Iterator[Document | Failure]:
        """Leave out what is done, and what failed and has not changed since."""
        program, done = self._program.key, self._writer.done_keys()
        for item in items:
            if isinstance(item, Failure):
                name, key = item.document, _unread_key(item)
            else:
                name, key = item.id, document_key(program, item)
            failed_with = self._failed.pop(name, None)
            if (failed_with == key and not self._retry_failed) or _contains(done, key):
                progress.skipped += 1
            else:
                yield item


def batched(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Cut a stream into batches of `BATCH_DOCUMENTS` documents, or fewer where they are long."""
    batch: list[_Item] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += len(item.text) if isinstance(item, Document) else 0
        if len(batch) == BATCH_DOCUMENTS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _unread_key(failure: Failure) -> str:
    return content_key("unread", failure.document, failure.kind, failure.message)


def _contains(keys: NDArray[np.uint64], key: str) -> bool:
    bits = np.uint64(int(key[:16], 16))
    place = int(np.searchsorted(keys, bits))
    return bool(place < len(keys) and keys[place] == bits)


async def _settle(running: set[asyncio.Task[None]], when: str) -> set[asyncio.Task[None]]:
    """Wait for some tasks, raise what they raised, and return those still running."""
    finished, running = await asyncio.wait(running, return_when=when)
    # A batch that waits for another's question is cancelled with it: the reason is with the other.
    for task in sorted(finished, key=asyncio.Task.cancelled):
        task.result()
    return running
