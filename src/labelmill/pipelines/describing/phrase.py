"""Phrase: how documents speak of labels, written by a model or taken out of documents that have them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from labelmill.models.client import ChatModel
from labelmill.models.served import PATIENCE_SECONDS, TIMEOUT_SECONDS
from labelmill.pipelines.budget import Budget
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.describing.asking import DescribeProgress, OnDescribe, ask_of
from labelmill.pipelines.describing.describe import WORDS
from labelmill.pipelines.describing.documents import LabelledDocuments
from labelmill.pipelines.describing.showing import show_to_model
from labelmill.pipelines.describing.telling import Telling
from labelmill.pipelines.describing.writers import UsageWriter, clean_usages
from labelmill.pipelines.loop import run_to_end
from labelmill.pipelines.optimise.journal import Journal
from labelmill.pipelines.windows import windows
from labelmill.prompts.card import TaskCard
from labelmill.records import Failure, Label
from labelmill.retrievers.base import Embedder
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.names import normalise
from labelmill.taxonomy.usages import LabelUsages, document_key

_LONGEST = 5
"""Words of a phrase that is taken out of a document."""

_TYPICAL = 40
"""Documents of a label out of which phrases are taken."""

_COMPARED = 40
"""Phrases of a label that are compared with its name."""

_EVIDENCE = 20
_INPUTS = ("label", "documents", "others")


@dataclass(frozen=True, slots=True)
class Phrased:
    """The phrases, and what there are none for.

    Attributes:
        usages: In the order of the taxonomy; those with a problem have no phrases.
        labels: How many labels phrases were wanted for.
        without_documents: How many of them have no documents that phrases could be taken from.
        not_asked: How many the model was not asked about, since the budget was spent.
        progress: What it cost; None where no model was asked.
    """

    usages: tuple[LabelUsages, ...]
    labels: int
    without_documents: int = 0
    not_asked: int = 0
    progress: DescribeProgress | None = None

    @property
    def failed(self) -> int:
        """How many labels have a problem in place of phrases."""
        return sum(1 for each in self.usages if each.problem)


def phrase(
    taxonomy: Taxonomy,
    known: LabelledDocuments,
    count: int,
    *,
    lm: str | Sequence[str] | ChatModel = "none",
    embedder: Embedder | None = None,
    task: TaskCard = TaskCard(),  # noqa: B008 - frozen
    chosen: Sequence[int] | None = None,
    examples: int = 4,
    journal: str | Path | None = None,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    concurrency: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    patience: float = PATIENCE_SECONDS,
    on_progress: OnDescribe = lambda _: None,
) -> Phrased:
    """Find phrases by which documents speak of labels, for `Usages`.

    Args:
        taxonomy: The labels.
        known: Documents with their labels. A model can do without for some, or all: it then has the names alone.
        count: Phrases of a label at most.
        lm: ``none``, or a model as for `Labeler`. Without one, phrases are taken out of the documents.
        embedder: Without a model, tells which phrases are near to the label's name; where it is None, only how telling
            their words are counts.
        task: What a document and a label are called.
        chosen: Positions of the labels; by default all. Documents that have none of them are not read.
        examples: As the rest, as for `describe`.
        journal: See there.
        budget: See there.
        concurrency: See there.
        timeout: See there.
        patience: See there.
        on_progress: See there.

    Raises:
        ModelError: The model does not answer; what it has answered is in the journal.
    """
    labels = list(range(len(taxonomy)) if chosen is None else chosen)
    known = known.only(frozenset(labels))
    telling = Telling(known, taxonomy)
    if lm in ("none", ["none"]):
        found = list(_all_taken(taxonomy, known, telling, labels, count, embedder, on_progress))
        some = tuple(each for each in found if each.phrases)
        return Phrased(some, len(labels), len(labels) - len(some))
    shown = [show_to_model(label, taxonomy, known, telling, examples) for label in labels]
    limits: dict[str, Any] = {"concurrency": concurrency, "timeout": timeout, "patience": patience}
    with ExitStack() as resources, Journal(journal) as kept:
        connection = run_to_end(partial(Connection.find, lm, resources, **limits))
        inputs = [{name: each.inputs[name] for name in _INPUTS} for each in shown]
        asked = ask_of(UsageWriter(task, count), inputs, connection, kept, budget, on_progress)
    names = _names(taxonomy)
    written = []
    for label, each, answer in zip(labels, shown, asked.answers, strict=True):
        if answer is None:
            continue
        own: tuple[str, ...] = ()
        problem = ""
        if isinstance(answer, Failure):
            problem = f"{answer.kind}: {answer.message}"
        else:
            own = tuple(str(text) for text in answer if normalise(str(text)) not in names)
            problem = "" if own else "unusable: every phrase is the name of a label"
        written.append(_usages(taxonomy[label], own, f"model {connection.model}", known, each.places, problem))
    not_asked = sum(1 for answer in asked.answers if answer is None)
    return Phrased(tuple(written), len(labels), 0, not_asked, asked.progress)


def _all_taken(
    taxonomy: Taxonomy,
    known: LabelledDocuments,
    telling: Telling,
    labels: Sequence[int],
    count: int,
    embedder: Embedder | None,
    on_progress: OnDescribe,
) -> Iterator[LabelUsages]:
    """Take phrases out of the documents of each label that has some."""
    start, names = monotonic(), _names(taxonomy)
    some = [label for label in labels if known.of(label)]
    for done, label in enumerate(some, start=1):
        yield _taken(taxonomy, known, telling, label, count, embedder, names)
        on_progress(DescribeProgress(len(some), done, seconds=monotonic() - start))


def _taken(
    taxonomy: Taxonomy,
    known: LabelledDocuments,
    telling: Telling,
    label: int,
    count: int,
    embedder: Embedder | None,
    names: Container[str],
) -> LabelUsages:
    """Take phrases out of a label's most typical documents: runs of telling words, the nearer to its name the better.

    A phrase counts as much as its words' weights together, a word that is not telling nothing; over the root of their
    number, so that long ones do not win. Of phrases with the same telling words the best one stays.
    """
    weights = telling.weights(label)
    best: dict[frozenset[str], tuple[float, str]] = {}
    for place in telling.typical(label, _TYPICAL):
        for run in windows(known.documents[place].text, _LONGEST):
            words = run.split()
            stems = frozenset(stem for word in words if (stem := telling.stem(word.casefold())) in weights)
            score = sum(weights[stem] for stem in stems) / len(words) ** 0.5
            if stems and score > best.get(stems, (0.0, ""))[0] and normalise(run) not in names:
                best[stems] = score, run
    order = sorted(best.values(), key=lambda each: (-each[0], each[1]))[: max(_COMPARED, count)]
    if embedder and len(order) > count:
        vectors = embedder.embed([taxonomy[label].name, *(run for _, run in order)]).astype(np.float64)
        near = np.round(np.maximum(vectors[1:] @ vectors[0], 0.0), 5).tolist()
        # Each by the place that it has in one order and in the other: their scales have nothing in common.
        by_nearness = sorted(range(len(order)), key=lambda at: -near[at])
        ranks = {at: rank for rank, at in enumerate(by_nearness)}
        order = [order[at] for at in sorted(range(len(order)), key=lambda at: (at + ranks[at], at))]
    phrases = tuple(_unlike(clean_usages([run for _, run in order]), telling, count))
    return _usages(taxonomy[label], phrases, WORDS, known, known.of(label))


def _unlike(phrases: Sequence[str], telling: Telling, count: int) -> list[str]:
    """Choose phrases in order, each with other words than those before as far as there are such."""
    chosen: list[str] = []
    left: list[str] = []
    seen: list[frozenset[str]] = []
    for run in phrases:
        words = frozenset(telling.stem(word.casefold()) for word in run.split())
        if any(2 * len(words & other) > min(len(words), len(other)) for other in seen):
            left.append(run)
        else:
            chosen.append(run)
            seen.append(words)
    return [*chosen, *left][:count]


def _usages(
    label: Label,
    phrases: tuple[str, ...],
    source: str,
    known: LabelledDocuments,
    places: Sequence[int],
    problem: str = "",
) -> LabelUsages:
    documents = [known.documents[place] for place in places]
    return LabelUsages(
        label.id,
        label.name,
        phrases,
        source,
        tuple(document.id for document in documents[:_EVIDENCE]),
        tuple(dict.fromkeys(document_key(document.text) for document in documents)),
        problem,
    )


def _names(taxonomy: Taxonomy) -> set[str]:
    """List what labels are called: a phrase that is one says nothing new, or another label's."""
    return {normalise(text) for label in taxonomy for text in (label.name, *label.aliases)}
