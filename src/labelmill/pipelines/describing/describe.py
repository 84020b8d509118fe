"""Describe: drafts of descriptions and labelling instructions, by a model or of telling words alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from labelmill.models.client import ChatModel
from labelmill.models.served import PATIENCE_SECONDS, TIMEOUT_SECONDS
from labelmill.pipelines.budget import Budget
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.describing.asking import DescribeProgress, OnDescribe, ask_of
from labelmill.pipelines.describing.documents import LabelledDocuments
from labelmill.pipelines.describing.showing import show_to_model
from labelmill.pipelines.describing.telling import Telling
from labelmill.pipelines.describing.writers import DescriptionWriter
from labelmill.pipelines.loop import run_to_end
from labelmill.pipelines.optimise.journal import Journal
from labelmill.prompts.card import TaskCard
from labelmill.records import Failure, Label
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.drafts import FIELDS, Draft, DraftField, has_text
from labelmill.taxonomy.names import normalise

__all__ = ["DescribeProgress", "Described", "OnDescribe", "describe"]

WORDS = "words"
"""The source of what no model has written."""

_WORDS = 8
_ENOUGH = 2
"""Documents of which words can be telling."""

_EVIDENCE = 20
"""Ids of documents to name at most."""


@dataclass(frozen=True, slots=True)
class Described:
    """The drafts, and what there are none for.

    Attributes:
        drafts: In the order of the taxonomy; one with a problem is the only one of its label.
        labels: How many labels wanted a text.
        without_documents: How many of them have no documents, or too few to say anything of.
        not_asked: How many the model was not asked about, since the budget was spent.
        progress: What it cost; None where no model was asked.
    """

    drafts: tuple[Draft, ...]
    labels: int
    without_documents: int = 0
    not_asked: int = 0
    progress: DescribeProgress | None = None

    @property
    def failed(self) -> int:
        """How many labels have a problem in place of drafts."""
        return sum(1 for draft in self.drafts if draft.problem)


def describe(
    taxonomy: Taxonomy,
    known: LabelledDocuments,
    *,
    lm: str | Sequence[str] | ChatModel = "none",
    task: TaskCard = TaskCard(),  # noqa: B008 - frozen
    chosen: Sequence[int] | None = None,
    only_missing: bool = True,
    instructions: bool = True,
    examples: int = 4,
    journal: str | Path | None = None,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    concurrency: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    patience: float = PATIENCE_SECONDS,
    on_progress: OnDescribe = lambda _: None,
) -> Described:
    """Draft what is missing of labels, from documents that have them.

    Nothing of the taxonomy is changed: see `labelmill.taxonomy.drafts.accept`.

    Args:
        taxonomy: The labels.
        known: Documents with their labels.
        lm: ``none``, or a model as for `Labeler`. Without one, a description is a list of telling words, and there are
            no instructions.
        task: What a document and a label are called.
        chosen: Positions of the labels to describe; by default all.
        only_missing: Draft only what a label does not have.
        instructions: Draft what belongs and what does not, too.
        examples: Documents with the label that the model is shown at most.
        journal: A file for the model's answers: after a kill, the same call asks for none of them again.
        budget: What the answers may cost at most, those of the journal included.
        concurrency: Requests in flight at each server at most.
        timeout: Seconds for an answer.
        patience: Seconds to wait for servers while none answers.
        on_progress: Told after every label.

    Raises:
        ModelError: The model does not answer; what it has answered is in the journal.
    """
    fields: tuple[DraftField, ...] = FIELDS if instructions and lm not in ("none", ["none"]) else ("description",)
    wanted: dict[int, list[DraftField]] = {}
    for label in range(len(taxonomy)) if chosen is None else chosen:
        if missing := [each for each in fields if not (only_missing and has_text(taxonomy[label], each))]:
            wanted[label] = missing
    telling = Telling(known, taxonomy)
    if lm in ("none", ["none"]):
        return _of_words(taxonomy, known, telling, list(wanted))
    labels = [label for label in wanted if known.of(label)]
    shown = [show_to_model(label, taxonomy, known, telling, examples) for label in labels]
    limits: dict[str, Any] = {"concurrency": concurrency, "timeout": timeout, "patience": patience}
    with ExitStack() as resources, Journal(journal) as kept:
        connection = run_to_end(partial(Connection.find, lm, resources, **limits))
        writer = DescriptionWriter(task)
        asked = ask_of(writer, [each.inputs for each in shown], connection, kept, budget, on_progress)
    drafts: list[Draft] = []
    refuse = _Refusal(taxonomy, asked.answers)
    for label, each, answer in zip(labels, shown, asked.answers, strict=True):
        if answer is None:
            continue
        evidence = tuple(known.documents[place].id for place in each.places)
        blank = Draft(
            taxonomy[label].id, taxonomy[label].name, "description", "", f"model {connection.model}", evidence
        )
        problem = f"{answer.kind}: {answer.message}" if isinstance(answer, Failure) else refuse.problem(answer)
        if isinstance(answer, Failure) or problem:
            drafts.append(replace(blank, problem=problem))
        else:
            texts = refuse.texts(taxonomy[label], answer)
            drafts += [replace(blank, field=field, text=texts[field]) for field in wanted[label] if texts[field]]
    not_asked = sum(1 for answer in asked.answers if answer is None)
    return Described(tuple(drafts), len(wanted), len(wanted) - len(labels), not_asked, asked.progress)


def _of_words(taxonomy: Taxonomy, known: LabelledDocuments, telling: Telling, labels: Sequence[int]) -> Described:
    """Describe labels by the words that their documents have and others have not; they are marked as such."""
    drafts = []
    for position in labels:
        label = taxonomy[position]
        enough = len(known.of(position)) >= _ENOUGH
        words = telling.words(position, _WORDS, (label.name, *label.aliases)) if enough else []
        if words:
            evidence = tuple(known.documents[place].id for place in telling.typical(position, _EVIDENCE))
            text = f"Telling words: {', '.join(words)}."
            drafts.append(Draft(label.id, label.name, "description", text, WORDS, evidence))
    return Described(tuple(drafts), len(labels), len(labels) - len(drafts))


class _Refusal:
    """Finds answers that are well-formed and of no use: other labels' names, the same for several labels."""

    def __init__(self, taxonomy: Taxonomy, answers: Sequence[list[Any] | Failure | None]) -> None:
        self._names = {normalise(label.name) for label in taxonomy}
        given = [normalise(str(answer[0])) for answer in answers if isinstance(answer, list)]
        self._often = {text for text, times in Counter(given).items() if times > 1}

    def problem(self, answer: list[Any]) -> str:
        """Say what is wrong with a description; nothing, where it can be shown to a person."""
        text = normalise(str(answer[0]))
        if text.rstrip(".") in self._names:
            return f"unusable: the description is the name of a label, {answer[0]!r}"
        if text in self._often:
            return f"unusable: several labels were given this description: {answer[0]!r}"
        return ""

    def texts(self, label: Label, answer: list[Any]) -> dict[DraftField, str]:
        """Write an answer as texts; an entry that is a label's name tells nothing of what belongs."""
        own = {normalise(text) for text in (label.name, *label.aliases)}
        includes = [text for text in answer[1] if normalise(text) not in self._names | own]
        excludes = [text for text in answer[2] if normalise(text) not in own and text not in includes]
        return {"description": str(answer[0]), "includes": "\n".join(includes), "excludes": "\n".join(excludes)}
