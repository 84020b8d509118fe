"""One batch of documents through the stages: concurrent model calls, retrieval in a thread, failures as values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labelmill.corpus import chunk
from labelmill.corpus.fields import clean
from labelmill.errors import ModelRejected
from labelmill.models.client import ChatModel
from labelmill.pipelines.answering import Answered, Answering, Answers
from labelmill.pipelines.pointwise import merge_probabilities
from labelmill.pipelines.program import Program, merge_rankings
from labelmill.pipelines.questions import Cost, Question, Questions
from labelmill.pipelines.retrieve import Queries
from labelmill.pipelines.todo import document_key
from labelmill.records import Candidate, Document, Failure, Prediction
from labelmill.store import DocumentResult, StageResult

Retrievals = Callable[[Iterable[str]], Mapping[str, list[Candidate]]]
"""Looks up candidates that were retrieved before, by key; gives those that there are."""


def nothing_stored(_keys: Iterable[str]) -> dict[str, Any]:
    """Nothing was stored before."""
    return {}


BY_STUDENT = "student"
"""What stands in place of the keys of answers, of a document that a student answered alone."""

_AT_ONCE = 32
"""What any server that batches takes."""


def search(program: Program, asked: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Sequence[list[Candidate] | str]:
    """Retrieve candidates for documents, each given by its chunks and phrases; or say why there are none."""
    queries = [program.queries(chunks, phrases) for chunks, phrases in asked]
    try:
        return program.retrieve.retrieve(queries, program.spec.candidates)
    except ModelRejected:  # by an embedder's server, which does not say for whose text
        return [_search_one(program, query) for query in queries]


def _search_one(program: Program, queries: Queries) -> list[Candidate] | str:
    try:
        return program.retrieve.retrieve([queries], program.spec.candidates)[0]
    except ModelRejected as error:
        return clean(str(error))


@dataclass(slots=True)
class BatchResult:
    """What became of a batch: each document is in `documents` or in `failures`, never in both, never in neither.

    Attributes:
        documents: Those that are done.
        failures: Those that failed, and why.
        stages: The answers that were not stored before.
        calls: How many questions the model was asked.
        reused: How many answers were there already.
        tokens: Read and written for what the model was asked.
        by_student: Documents that a student answered alone.
    """

    documents: list[DocumentResult] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    stages: list[StageResult] = field(default_factory=list)
    calls: int = 0
    reused: int = 0
    tokens: int = 0
    by_student: int = 0


@dataclass(slots=True)
class _Work:
    """A document on its way through the stages."""

    document: Document
    chunks: list[str]
    phrases: list[str] = field(default_factory=list)
    retrieval: str = ""
    candidates: list[Candidate] = field(default_factory=list)
    chosen: list[int] | None = None
    probabilities: list[float] | None = None
    stages: list[str] = field(default_factory=list)
    failure: Failure | None = None
    answer: list[Prediction] | None = None


class Execution:
    """Runs batches of one program.

    Args:
        program: The stages.
        model: The language model; None where the program has no use for one.
        concurrency: Questions that are put to the model at once at most, over all batches.
        answers: Looks up what the model answered before.
        retrievals: Looks up what was retrieved before.
        on_cost: Told what each question cost, as soon as that is known.

    Attributes:
        at_once: Questions to have ready for a model that does not say what it takes at once.
    """

    def __init__(
        self,
        program: Program,
        model: ChatModel | None = None,
        *,
        concurrency: int = 32,
        answers: Answers = nothing_stored,
        retrievals: Retrievals = nothing_stored,
        on_cost: Callable[[Cost], None] = lambda _: None,
    ) -> None:
        """Make what all batches share. Call it within the event loop, and make another where the program changed."""
        self._program = program
        self._retrievals = retrievals
        self._questions = Questions(program, model.model, model.identity) if model else None
        self._answering = Answering(model, concurrency, answers, on_cost) if model else None
        self._key = program.key
        self._retrieving = asyncio.Lock()
        self.at_once = min(concurrency, _AT_ONCE)

    async def label(self, documents: Sequence[Document], turn: int = 0) -> BatchResult:
        """Label a batch.

        Args:
            documents: The batch.
            turn: Of its requests: those of a smaller turn go first.

        Raises:
            ModelGone: No server answers, also after a long wait; nothing of the batch counts.
            ModelRefused: No request to the server can work.
        """
        spec = self._program.spec
        works = [_Work(item, chunk(item.text, spec.chunk_characters, spec.chunk_overlap)) for item in documents]
        result = BatchResult()
        await self._answer(works)
        left = [work for work in works if work.answer is None]
        result.by_student = len(works) - len(left)
        await self._find_shown(left)
        await self._infer(left, turn, result)
        await self._retrieve(left)
        await self._rank(left, turn, result)
        result.failures += [work.failure for work in works if work.failure]
        result.documents += [self._result(work) for work in works if not work.failure]
        return result

    def stored(self, result: BatchResult) -> None:
        """Take note that a batch is committed: its answers will be found in the store."""
        if self._answering:
            self._answering.stored(result.stages)

    def take_spent(self) -> dict[str, Cost]:
        """Give what the model cost since the last time, by stage, whatever became of it."""
        return self._answering.take_spent() if self._answering else {}

    def take_left(self) -> list[StageResult]:
        """Give the answers of batches that will not be committed, once all have ended."""
        return self._answering.take_left() if self._answering else []

    def give_back(self, spent: Mapping[str, Cost]) -> None:
        """Take back what was spent and could not be written down."""
        if self._answering:
            self._answering.give_back(spent)

    async def _answer(self, works: Sequence[_Work]) -> None:
        """Let the student answer where it is certain, if there is one."""
        shortcut = self._program.shortcut
        if shortcut is None:
            return
        async with self._retrieving:
            answers = await asyncio.to_thread(shortcut.answer, [work.chunks for work in works])
        for work, answer in zip(works, answers, strict=True):
            if answer is not None:
                work.answer, work.stages = answer, [BY_STUDENT]

    async def _find_shown(self, works: Sequence[_Work]) -> None:
        """Find what each document is shown, ahead of its questions, where it has demonstrations of its own."""
        texts = [text for work in works for text in work.chunks]
        for pool in self._program.pools:
            await asyncio.to_thread(pool.find, texts)

    async def _infer(self, works: Sequence[_Work], turn: int, result: BatchResult) -> None:
        if self._program.infer is None or self._questions is None:
            return

        def take(work: _Work, answers: list[list[Any]]) -> None:
            work.phrases = list(dict.fromkeys(phrase for answer in answers for phrase in answer))

        asked = [(work, [self._questions.infer(text) for text in work.chunks]) for work in works]
        await self._ask(asked, take, turn, result)

    async def _retrieve(self, works: Sequence[_Work]) -> None:
        alive = [work for work in works if not work.failure]
        for work in alive:
            work.retrieval = self._program.retrieval_key(work.chunks, work.phrases)
        known = await asyncio.to_thread(self._retrievals, [work.retrieval for work in alive]) if alive else {}
        for work in alive:
            work.candidates = known.get(work.retrieval, [])
        unknown = [work for work in alive if work.retrieval not in known]
        if unknown:
            # One at a time: retrieval uses every core by itself, and two at once would only double the memory.
            async with self._retrieving:
                asked = [(work.chunks, work.phrases) for work in unknown]
                found = await asyncio.to_thread(search, self._program, asked)
            for work, outcome in zip(unknown, found, strict=True):
                if isinstance(outcome, str):
                    work.failure = self._failure(work, Failure("", "retrieve", "rejected", outcome))
                else:
                    work.candidates = outcome

    async def _rank(self, works: Sequence[_Work], turn: int, result: BatchResult) -> None:
        if self._program.rank is None or self._questions is None:
            return

        def take(work: _Work, answers: list[list[Any]]) -> None:
            if self._program.spec.rank == "pointwise":
                work.probabilities = merge_probabilities(answers)
            else:
                work.chosen = merge_rankings(answers)

        asked = []
        for work in works:
            if (work.candidates or self._program.ranks_all) and not work.failure:
                names = self._program.names(work.candidates)
                asked.append((work, [self._questions.rank(text, names) for text in work.chunks]))
        await self._ask(asked, take, turn, result)

    async def _ask(
        self,
        asked: Sequence[tuple[_Work, Sequence[Question]]],
        take: Callable[[_Work, list[list[Any]]], None],
        turn: int,
        result: BatchResult,
    ) -> None:
        """Have every question answered once, and hand each document its answers."""
        assert self._answering is not None
        answered: Answered = await self._answering.answer([each for _, some in asked for each in some], turn)
        result.stages += answered.stages
        result.calls += answered.calls
        result.reused += answered.reused
        result.tokens += answered.tokens
        for work, questions in asked:
            answers = [answered.outputs[question.key] for question in questions]
            failed = next((answer for answer in answers if isinstance(answer, Failure)), None)
            if failed:
                work.failure = self._failure(work, failed)
            else:
                work.stages += [question.key for question in questions]
                take(work, [answer for answer in answers if not isinstance(answer, Failure)])

    def _failure(self, work: _Work, failed: Failure) -> Failure:
        """Say of a document what failed for one of its questions."""
        document = work.document
        return replace(failed, document=document.id, source=document.source, key=document_key(self._key, document))

    def _result(self, work: _Work) -> DocumentResult:
        return DocumentResult(
            document=work.document.id,
            key=document_key(self._key, work.document),
            source=work.document.source,
            chunks=len(work.chunks),
            predictions=self._program.decide(work.candidates, work.chosen, work.probabilities)
            if work.answer is None
            else work.answer,
            stages=tuple(work.stages),
            retrieval=work.retrieval,
        )
