"""One batch of documents through the stages: concurrent model calls, retrieval in a thread, failures as values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dspy.utils.exceptions import AdapterParseError

from labelmill.corpus import chunk
from labelmill.corpus.fields import clean
from labelmill.errors import ModelRejected
from labelmill.keys import content_key
from labelmill.models.client import ChatModel, Completion
from labelmill.pipelines.decide import decide
from labelmill.pipelines.program import Program, merge_rankings
from labelmill.pipelines.retrieve import Queries
from labelmill.records import Candidate, Document, Failure
from labelmill.store import DocumentResult, StageResult

ANSWER_VERSION = 1
"""Raised whenever the same answer of a model would be read otherwise; part of the key of every stored answer."""

Answers = Callable[[Iterable[str]], Mapping[str, list[Any]]]
"""Looks up stored outputs of stages by key; gives those that there are."""


def no_answers(_keys: Iterable[str]) -> Mapping[str, list[Any]]:
    """Nothing was stored before."""
    return {}


_Found = list[Candidate] | str
"""A document's candidates, or why there are none."""


@dataclass(slots=True)
class BatchResult:
    """What became of a batch: each document is in `documents` or in `failures`, never in both, never in neither.

    Attributes:
        documents: Those that are done.
        failures: Those that failed, and why.
        stages: The answers that were not stored before.
        calls: How many questions the model was asked.
        reused: How many answers were there already.
    """

    documents: list[DocumentResult]
    failures: list[Failure]
    stages: list[StageResult]
    calls: int = 0
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
        """Make what all batches share. Call it within the event loop, and make another where the program changed."""
        self._program = program
        self._model = model
        self._answers = answers
        self._calls = asyncio.Semaphore(concurrency)
        self._key = program.key
        # Questions that were asked and are not stored yet, by key: two batches may hold the same text.
        self._asked: dict[str, asyncio.Task[StageResult | Failure]] = {}
        self._retrieving = asyncio.Lock()

    async def label(self, documents: Sequence[Document]) -> BatchResult:
        """Label a batch.

        Raises:
            ModelUnavailable: The server is gone, also after the retries; nothing of the batch counts.
            ModelRefused: No request to the server can work.
        """
        spec = self._program.spec
        works = [_Work(item, chunk(item.text, spec.chunk_characters, spec.chunk_overlap)) for item in documents]
        result = BatchResult([], [], [])
        await self._infer(works, result)
        await self._retrieve(works)
        await self._rank(works, result)
        result.failures += [work.failure for work in works if work.failure]
        result.documents += [self._result(work) for work in works if not work.failure]
        return result

    def stored(self, result: BatchResult) -> None:
        """Take note that a batch is committed: its answers will be found in the store."""
        for stage in result.stages:
            self._asked.pop(stage.key, None)

    async def _infer(self, works: Sequence[_Work], result: BatchResult) -> None:
        infer = self._program.infer
        if infer is None or self._model is None:
            return
        prompt, model = infer.fingerprint(), self._model.model
        asked_of = (ANSWER_VERSION, prompt, self._model.identity)

        def ask(text: str) -> _Call:
            return _Call(
                content_key("infer", *asked_of, text),
                "infer",
                lambda: infer.request(text, model),
                lambda completion: infer.read(completion.content, truncated=completion.truncated),
            )

        def take(work: _Work, answers: list[list[Any]]) -> None:
            work.phrases = list(dict.fromkeys(phrase for answer in answers for phrase in answer))

        await self._ask([(work, [ask(text) for text in work.chunks]) for work in works], take, result)

    async def _retrieve(self, works: Sequence[_Work]) -> None:
        alive = [work for work in works if not work.failure]
        if not alive:
            return
        queries = [self._program.queries(work.chunks, work.phrases) for work in alive]
        # One at a time: retrieval uses every core by itself, and two at once would only double the memory.
        async with self._retrieving:
            try:
                found: Sequence[_Found] = await asyncio.to_thread(self._search, queries)
            except ModelRejected:  # by an embedder's server, which does not say for whose text
                found = [await asyncio.to_thread(self._search_one, query) for query in queries]
        for work, outcome in zip(alive, found, strict=True):
            if isinstance(outcome, str):
                work.failure = self._failure(work, Failure("", "retrieve", "rejected", outcome))
            else:
                work.candidates = outcome

    def _search(self, queries: Sequence[Queries]) -> list[list[Candidate]]:
        return self._program.retrieve.retrieve(queries, self._program.spec.candidates)

    def _search_one(self, queries: Queries) -> _Found:
        try:
            return self._search([queries])[0]
        except ModelRejected as error:
            return clean(str(error))

    async def _rank(self, works: Sequence[_Work], result: BatchResult) -> None:
        rank = self._program.rank
        if rank is None or self._model is None:
            return
        prompt, model = rank.fingerprint(), self._model.model
        asked_of = (ANSWER_VERSION, prompt, self._model.identity)

        def ask(text: str, names: list[str]) -> _Call:
            return _Call(
                content_key("rank", *asked_of, text, names),
                "rank",
                lambda: rank.request(text, names, model),
                lambda completion: rank.read(completion.content, names, truncated=completion.truncated),
            )

        def take(work: _Work, answers: list[list[Any]]) -> None:
            work.chosen = merge_rankings(answers)

        alive = [work for work in works if work.candidates and not work.failure]
        asked = [(work, [ask(text, self._program.names(work.candidates)) for text in work.chunks]) for work in alive]
        await self._ask(asked, take, result)

    async def _ask(
        self,
        asked: Sequence[tuple[_Work, Sequence[_Call]]],
        take: Callable[[_Work, list[list[Any]]], None],
        result: BatchResult,
    ) -> None:
        """Answer every call once, from the store or by the model, and hand each document its answers."""
        calls = {call.key: call for _, questions in asked for call in questions}
        asked_now = {key: task for key, task in self._asked.items() if key in calls}
        outputs: dict[str, list[Any] | Failure] = dict(await asyncio.to_thread(self._answers, list(calls)))
        # What was being asked before the look-up may be stored since: too late for it, and no reason to ask again.
        self._asked = {key: task for key, task in asked_now.items() if key not in outputs} | self._asked
        missing = [call for key, call in calls.items() if key not in outputs]
        new = sum(call.key not in self._asked for call in missing)
        result.calls += new
        result.reused += len(calls) - new
        for call, outcome in zip(missing, await self._answer(missing), strict=True):
            if isinstance(outcome, StageResult):
                result.stages.append(outcome)
                outputs[call.key] = outcome.output
            else:
                self._asked.pop(call.key, None)  # a failure is not stored: the next to ask, asks again
                outputs[call.key] = outcome
        for work, questions in asked:
            answers = [outputs[call.key] for call in questions]
            failed = next((answer for answer in answers if isinstance(answer, Failure)), None)
            if failed:
                work.failure = self._failure(work, failed)
            else:
                work.stages += [call.key for call in questions]
                take(work, [answer for answer in answers if not isinstance(answer, Failure)])

    async def _answer(self, calls: Sequence[_Call]) -> list[StageResult | Failure]:
        """Ask what nobody asks already, and await all; the first error cancels what this batch asked."""
        own = []
        for call in calls:
            if call.key not in self._asked:
                self._asked[call.key] = asyncio.create_task(self._call(call))
                own.append(call.key)
        try:
            return list(await asyncio.gather(*(self._asked[call.key] for call in calls)))
        except BaseException:
            for key in own:
                if task := self._asked.pop(key, None):
                    task.cancel()
            raise

    async def _call(self, call: _Call) -> StageResult | Failure:
        assert self._model is not None
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

    def _failure(self, work: _Work, failed: Failure) -> Failure:
        """Say of a document what failed for one of its questions."""
        document = work.document
        return replace(failed, document=document.id, source=document.source, key=document_key(self._key, document))

    def _result(self, work: _Work) -> DocumentResult:
        program = self._program
        return DocumentResult(
            document=work.document.id,
            key=document_key(self._key, work.document),
            source=work.document.source,
            chunks=len(work.chunks),
            predictions=decide(program.taxonomy, work.candidates, work.chosen, top_k=program.spec.top_k),
            stages=tuple(work.stages),
        )


def document_key(program: str, document: Document) -> str:
    """Identify a document's part of a run by the program's key: done means done with this program and this text."""
    return content_key("document", program, document.id, document.text)


def _shorten(error: Exception, completion: Completion) -> str:
    reason = "the answer was cut at its maximum length" if completion.truncated else str(error).splitlines()[0]
    return f"{reason}; it began: {' '.join(completion.content.split())[:120]!r}"
