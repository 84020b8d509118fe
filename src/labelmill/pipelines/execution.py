"""One batch of documents through the stages: model calls concurrent, retrieval in a worker thread, failures as values."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dspy.utils.exceptions import AdapterParseError

from labelmill.corpus import chunk
from labelmill.corpus.fields import clean
from labelmill.errors import ModelRejected
from labelmill.models.client import ChatModel, Completion
from labelmill.pipelines.decide import decide
from labelmill.pipelines.program import Program, merge_rankings
from labelmill.pipelines.spec import content_key
from labelmill.records import Candidate, Document, Failure
from labelmill.store import DocumentResult, StageResult

Answers = Callable[[Iterable[str]], Mapping[str, list[Any]]]
"""Looks up stored outputs of stages by key; gives those that there are."""


def no_answers(_keys: Iterable[str]) -> Mapping[str, list[Any]]:
    """Nothing was stored before."""
    return {}


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: each document is in `documents` or in `failures`, never in both, never in neither.

    Attributes:
        documents: Those that are done.
        failures: Those that failed, and why.
        stages: The model's new answers.
        reused: How many answers were taken from the store.
    """

    documents: list[DocumentResult]
    failures: list[Failure]
    stages: list[StageResult]
    reused: int = 0


@dataclass(slots=True)
class _Work:
    """A document on its way through the stages."""

    document: Document
    chunks: list[str]
    phrases: list[str] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    chosen: list[int] | None = None
    stages: list[str] = field(default_factory=list)
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    """One question to the model, and how its answer is read."""

    key: str
    stage: str
    body: Callable[[], dict[str, Any]]
    read: Callable[[Completion], list[Any]]


class Execution:
    """Runs batches of one program.

    Args:
        program: The stages.
        model: The language model; None where the program has no use for one.
        concurrency: Model calls in flight at most, over all batches.
        answers: Looks up what the model answered before.
    """

    def __init__(
        self,
        program: Program,
        model: ChatModel | None = None,
        *,
        concurrency: int = 32,
        answers: Answers = no_answers,
    ) -> None:
        """Make the gates that all batches share. Call it within the event loop."""
        self._program = program
        self._model = model
        self._answers = answers
        self._calls = asyncio.Semaphore(concurrency)
        self._retrieving = asyncio.Lock()

    async def label(self, documents: Sequence[Document]) -> BatchResult:
        """Label a batch.

        Raises:
            ModelUnavailable: The server is gone, also after the retries; nothing of the batch counts.
            ModelRefused: No request to the server can work.
        """
        spec = self._program.spec
        works = [_Work(item, chunk(item.text, spec.chunk_characters, spec.chunk_overlap)) for item in documents]
        stages: list[StageResult] = []
        reused = await self._infer(works, stages)
        await self._retrieve(works)
        reused += await self._rank(works, stages)
        failures = [work.failure for work in works if work.failure]
        return BatchResult([self._result(work) for work in works if not work.failure], failures, stages, reused)

    async def _infer(self, works: Sequence[_Work], stages: list[StageResult]) -> int:
        infer = self._program.infer
        if infer is None or self._model is None:
            return 0
        prompt, model = infer.fingerprint(), self._model.model

        def ask(text: str) -> _Call:
            return _Call(
                content_key("infer", prompt, model, text),
                "infer",
                lambda: infer.request(text, model),
                lambda completion: infer.read(completion.content, truncated=completion.truncated),
            )

        def take(work: _Work, answers: list[list[Any]]) -> None:
            work.phrases = list(dict.fromkeys(phrase for answer in answers for phrase in answer))

        return await self._ask([(work, [ask(text) for text in work.chunks]) for work in works], take, stages)

    async def _retrieve(self, works: Sequence[_Work]) -> None:
        alive = [work for work in works if not work.failure]
        if not alive:
            return
        queries = [self._program.queries(work.chunks, work.phrases) for work in alive]
        # One at a time: retrieval uses every core by itself, and two at once would only double the memory.
        async with self._retrieving:
            found = await asyncio.to_thread(self._program.retrieve.retrieve, queries, self._program.spec.candidates)
        for work, candidates in zip(alive, found, strict=True):
            work.candidates = candidates

    async def _rank(self, works: Sequence[_Work], stages: list[StageResult]) -> int:
        rank = self._program.rank
        if rank is None or self._model is None:
            return 0
        prompt, model = rank.fingerprint(), self._model.model

        def ask(text: str, names: list[str]) -> _Call:
            return _Call(
                content_key("rank", prompt, model, text, names),
                "rank",
                lambda: rank.request(text, names, model),
                lambda completion: rank.read(completion.content, names, truncated=completion.truncated),
            )

        def take(work: _Work, answers: list[list[Any]]) -> None:
            work.chosen = merge_rankings(answers)

        alive = [work for work in works if work.candidates and not work.failure]
        asked = [(work, [ask(text, self._program.names(work.candidates)) for text in work.chunks]) for work in alive]
        return await self._ask(asked, take, stages)

    async def _ask(
        self,
        asked: Sequence[tuple[_Work, Sequence[_Call]]],
        take: Callable[[_Work, list[list[Any]]], None],
        stages: list[StageResult],
    ) -> int:
        """Answer every call once, from the store or by the model, and hand each document its answers."""
        calls = {call.key: call for _, questions in asked for call in questions}
        outputs: dict[str, list[Any] | Failure] = dict(await asyncio.to_thread(self._answers, list(calls)))
        reused = len(outputs)
        missing = [call for key, call in calls.items() if key not in outputs]
        for call, outcome in zip(missing, await _gather([self._call(call) for call in missing]), strict=True):
            if isinstance(outcome, StageResult):
                stages.append(outcome)
                outputs[call.key] = outcome.output
            else:
                outputs[call.key] = outcome
        for work, questions in asked:
            answers = [outputs[call.key] for call in questions]
            failed = next((answer for answer in answers if isinstance(answer, Failure)), None)
            if failed:
                work.failure = Failure(
                    work.document.id, failed.stage, failed.kind, failed.message, work.document.source, failed.attempts
                )
            else:
                work.stages += [call.key for call in questions]
                take(work, [answer for answer in answers if not isinstance(answer, Failure)])
        return reused

    async def _call(self, call: _Call) -> StageResult | Failure:
        assert self._model is not None  # noqa: S101 - a program with Infer or Rank is never run without
        async with self._calls:
            try:
                completion = await self._model.complete(call.body())
            except ModelRejected as error:
                return Failure("", call.stage, "rejected", clean(str(error)))
        try:
            output = call.read(completion)
        except AdapterParseError as error:
            return Failure("", call.stage, "unparseable", _shorten(error, completion), attempts=completion.attempts)
        return StageResult(
            key=call.key,
            stage=call.stage,
            model=self._model.model,
            output=output,
            prompt_tokens=completion.prompt_tokens,
            cached_tokens=completion.cached_tokens,
            completion_tokens=completion.completion_tokens,
            seconds=round(completion.seconds, 4),
            attempts=completion.attempts,
        )

    def _result(self, work: _Work) -> DocumentResult:
        program = self._program
        return DocumentResult(
            document=work.document.id,
            key=document_key(program, work.document),
            source=work.document.source,
            chunks=len(work.chunks),
            predictions=decide(program.taxonomy, work.candidates, work.chosen, top_k=program.spec.top_k),
            stages=tuple(work.stages),
        )


def document_key(program: Program, document: Document) -> str:
    """Identify a document's part of a run: done means done with this program and this text."""
    return content_key("document", program.key, document.id, document.text)


async def _gather(calls: Sequence[Awaitable[StageResult | Failure]]) -> list[StageResult | Failure]:
    """Await all; the first error cancels the others, so that nothing goes on behind a run that has stopped."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_awaited(call)) for call in calls]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _awaited(call: Awaitable[StageResult | Failure]) -> StageResult | Failure:
    return await call


def _shorten(error: Exception, completion: Completion) -> str:
    reason = "the answer was cut at its maximum length" if completion.truncated else str(error).splitlines()[0]
    return f"{reason}; it began: {' '.join(completion.content.split())[:120]!r}"
