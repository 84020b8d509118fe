"""Asking a model about gold documents; every answer is kept in a journal, so that a second time costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labelmill.errors import ModelError
from labelmill.pipelines.answering import Answering
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.loop import run_to_end
from labelmill.pipelines.optimise.journal import Entry, Journal
from labelmill.pipelines.program import Program
from labelmill.pipelines.questions import Cost, Question, Questions
from labelmill.records import Failure
from labelmill.store import StageResult

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model said of documents.

    Attributes:
        answers: For each document the answers to its questions, or None where one has no answer.
        spent: What was asked now.
        used: What all the answers cost, whenever they were given: the same after a kill.
    """

    answers: list[list[Any] | None]
    spent: Cost
    used: Cost


Ask = Callable[[Questions, int], list[Question]]
"""Makes the questions about one document, by its place."""


def ask_about(
    program: Program,
    connection: Connection,
    journal: Journal,
    documents: int,
    ask: Ask,
    on_asked: Callable[[int, int], None] = lambda *_: None,
) -> Asked:
    """Ask a model about documents, all answers to questions about one together.

    Args:
        program: Whose stages ask.
        connection: The model.
        journal: What was answered before, and where answers are kept.
        documents: How many there are.
        ask: Makes the questions.
        on_asked: Told how many documents are done, and of how many.

    Raises:
        ModelError: There is no model, or it does not answer.
    """
    spent, used = Cost(), dict[str, Entry]()

    def known(keys: Iterable[str]) -> Mapping[str, list[Any]]:
        entries = ((key, journal.get(key)) for key in keys)
        return {key: entry.output for key, entry in entries if entry is not None and not entry.problem}

    async def go() -> list[list[Any] | None]:
        found: list[list[Any] | None] = []
        async with connection.open() as model:
            if model is None:
                raise ModelError("this program needs a language model. Give one with --lm")
            questions = Questions(program, model.model, model.identity)
            answering = Answering(model, connection.concurrency, known, spent.add)
            for start in range(0, documents, _BATCH):
                batch = [ask(questions, place) for place in range(start, min(start + _BATCH, documents))]
                answered = await answering.answer([question for some in batch for question in some], start)
                for stage in answered.stages:
                    journal.put(_entry(stage))
                answering.stored(answered.stages)
                used.update({key: entry for key in answered.outputs if (entry := journal.get(key))})
                found += [_answers(answered.outputs, some) for some in batch]
                on_asked(start + len(batch), documents)
        return found

    answers = run_to_end(go)
    return Asked(answers, spent, _cost(used.values()))


def _entry(stage: StageResult) -> Entry:
    """Write an answer as the journal has it."""
    return Entry(
        stage.key,
        stage.stage,
        stage.output,
        requests=stage.attempts,
        prompt_tokens=stage.prompt_tokens,
        completion_tokens=stage.completion_tokens,
        cached_tokens=stage.cached_tokens,
    )


def _cost(entries: Iterable[Entry]) -> Cost:
    """Add up what answers cost."""
    cost = Cost()
    for each in entries:
        cost.add(Cost(each.requests, each.prompt_tokens, each.cached_tokens, each.completion_tokens))
    return cost


def _answers(outputs: Mapping[str, list[Any] | Failure], questions: Sequence[Question]) -> list[Any] | None:
    """Collect the answers to the questions about one document."""
    answers = [outputs[question.key] for question in questions]
    return None if any(isinstance(answer, Failure) for answer in answers) else answers
