"""What a report says, as plain values: `labelmill.pipelines.report` gathers them, `labelmill.report.page` shows them.

Shares lie between 0 and 1 here, and are shown in percent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Why = Literal["best", "worst", "random"]
Verdict = Literal["right", "wrong", "missed"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number.

    Attributes:
        name: What it is called.
        value: The number.
        low: Lower end of its 95% interval.
        high: Upper end of it.
        share: Whether it is a share, to be shown in percent; else a count per document.
    """

    name: str
    value: float
    low: float
    high: float
    share: bool = True


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs of document and label with about the same probability; all but `count` from 0 to 1.

    Attributes:
        count: How many.
        probability: Their mean probability.
        observed: The share of them that is right.
        low: Lower end of its 95% interval.
        high: Upper end of it.
    """

    count: int
    probability: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Whether probabilities mean what they say.

    Attributes:
        bins: The lowest first.
        error: The expected calibration error, with its interval.
        depth: How many candidates of each document are looked at.
    """

    bins: tuple[Bin, ...]
    error: Figure
    depth: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage lost of the gold labels.

    Attributes:
        name: What a label is after the stage.
        fate: What became of those that were lost.
        lost: How many.
        ceiling: The recall that is still possible after it.
    """

    name: str
    fate: str
    lost: int
    ceiling: float


@dataclass(frozen=True, slots=True)
class Loss:
    """What a label or a document lost.

    Attributes:
        name: The label's name or the document's id.
        lost: How many of its gold labels.
        gold: How many it has.
        where: How many were lost at which stage, in words.
        example: What became of the first one, in words.
    """

    name: str
    lost: int
    gold: int
    where: str
    example: str


@dataclass(frozen=True, slots=True)
class Stages:
    """The stage ledger.

    Attributes:
        gold: How many gold labels there are.
        found: How many were found.
        stages: What each stage lost.
        labels: Those lost most often.
        documents: Those that lost most.
        notes: How to read it.
    """

    gold: int
    found: int
    stages: tuple[Stage, ...]
    labels: tuple[Loss, ...]
    documents: tuple[Loss, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """The final sets that a threshold would give.

    Attributes:
        threshold: The least score of a label; minus infinity for none.
        precision: Of all labels given, the share that is right.
        recall: Of all gold labels, the share that is given.
        f1: Their harmonic mean.
        labels: Labels per document.
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    labels: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Precision and recall by threshold.

    Attributes:
        cuts: The highest threshold first.
        best: The one of the highest F1.
        in_use: What the program's own gives.
        top_k: Labels of a final set at most.
        score: What the scores are: ``probability`` or ``score``.
        notes: How to read it.
    """

    cuts: tuple[Cut, ...]
    best: Cut
    in_use: Cut
    top_k: int
    score: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sides:
    """A metric over frequent and over rare labels apart.

    Attributes:
        name: The metric's name.
        head: Over the frequent labels.
        tail: Over the rare ones.
    """

    name: str
    head: Figure
    tail: Figure


@dataclass(frozen=True, slots=True)
class Kept:
    """A promise, and whether these documents bear it out.

    Attributes:
        promise: As it was written.
        statement: What it means.
        measured: What was promised, measured on these documents; None where the promise does not hold for this run.
        kept: Whether that is as good as promised.
        verdict: The same in a sentence.
        learned: What the decision did on the gold that it was learned from.
    """

    promise: str
    statement: str
    measured: Figure | None
    kept: bool | None
    verdict: str
    learned: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What in a text speaks for a label.

    Attributes:
        query: Words of the text, or of a phrase that a model made up.
        label: The label's name.
        verdict: Whether the label is right, wrong, or was missed.
    """

    query: str
    label: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Given:
    """A label that a document was given.

    Attributes:
        name: Its name.
        score: Its probability, or its score.
        right: Whether it is gold.
        queries: What speaks for it.
    """

    name: str
    score: float
    right: bool
    queries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A document, what it was given, and what it lacks.

    Attributes:
        document: Its id.
        why: Why it is shown.
        text: The whole text.
        f1: Of its final set.
        given: Its final set, the best first.
        missed: The other gold labels: the name, and what became of it.
        evidence: What to highlight, the most telling first.
    """

    document: str
    why: Why
    text: str
    f1: float
    given: tuple[Given, ...]
    missed: tuple[tuple[str, str], ...]
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report says.

    Attributes:
        run: The run's name.
        documents: Documents with gold labels, which all figures are over.
        program: The program in words, by stage.
        material: Taxonomy, corpus, model: what and how much.
        cost: What the run took.
        warnings: What a reader of the figures should know.
        main: The main metrics, by group.
        metrics: All metrics, by group.
        counts: What the metrics are over.
        stages: Where gold labels were lost.
        thresholds: None where nothing was ranked.
        sides: Frequent labels against rare ones.
        score: What the scores are: ``probability`` or ``score``.
        reliability: None where scores are no probabilities.
        promise: None where nothing was promised.
        examples: Documents.
    """

    run: str
    documents: int
    program: tuple[tuple[str, str], ...]
    material: tuple[tuple[str, str], ...]
    cost: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    main: tuple[tuple[str, tuple[Figure, ...]], ...]
    metrics: tuple[tuple[str, tuple[Figure, ...]], ...]
    counts: tuple[tuple[str, str], ...]
    stages: Stages
    thresholds: Thresholds | None
    sides: tuple[Sides, ...]
    score: str = "score"
    reliability: Reliability | None = None
    promise: Kept | None = None
    examples: tuple[Example, ...] = ()
