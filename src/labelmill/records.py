"""What flows through labelmill: documents, labels, candidates, predictions. Values only, no behaviour.

Labels are named by their id where they leave the program and by their *position* in the taxonomy (an int) where
arrays are at work; nothing in between joins or splits a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Document:
    """A text to label.

    Attributes:
        id: Unique within its corpus.
        text: The whole text; chunking happens later.
        labels: Gold labels, each an id or a unique name of the taxonomy; None where the corpus has none.
        source: ``file:line`` (or the file alone), for messages.
    """

    id: str
    text: str
    labels: tuple[str, ...] | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that got no predictions, and why.

    Attributes:
        document: The document's id, or ``file:line`` where it has none.
        stage: Where it failed: ``read``, ``infer``, ``retrieve``, ``rank``.
        kind: A stable word for counting: ``empty-text``, ``duplicate-id``, ``too-long``, ``unparseable``, ...
        message: One line for a person.
        source: ``file:line`` of the document.
        attempts: How often it was tried.
        key: Identifies what failed, its content included: what was repaired is tried again.
    """

    document: str
    stage: str
    kind: str
    message: str
    source: str = ""
    attempts: int = 1
    key: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """One entry of a taxonomy.

    Attributes:
        id: Unique within the taxonomy.
        name: The preferred name; any script, any character.
        aliases: Other names.
        description: What the label means.
        parents: Ids of broader labels.
        prior: How frequent the label is expected to be, where known.
        fields: Every further field of the source, as text (``kind`` of ESCO, for example), for ``--labels-where``.
    """

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    parents: tuple[str, ...] = ()
    prior: float | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaneHit:
    """What one lane (a retriever and a kind of query) says of one candidate.

    Attributes:
        lane: The lane's name, ``aliases.minilm/windows`` for example.
        rank: From 1, within the lane.
        score: The lane's own score; comparable within the lane only.
        query: The query that found it: a window of the text or a model's phrase; empty for the text itself.
    """

    lane: str
    rank: int
    score: float
    query: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A label that the retrievers propose for a document.

    Attributes:
        label: Position in the taxonomy.
        score: The fused score; higher is better.
        evidence: What each lane says that has it among its best.
        found: Whether Retrieve found it; else a model that was shown all labels named it.
    """

    label: int
    score: float
    evidence: tuple[LaneHit, ...] = ()
    found: bool = True


@dataclass(frozen=True, slots=True)
class Prediction:
    """A label for a document, with its place in the ranking.

    Attributes:
        label: The label's id.
        name: The label's name.
        rank: From 1, within the document.
        score: Higher is better; a probability only where the program is calibrated.
        selected: Whether the decision put it into the document's final set.
        retrieval_rank: Its rank before the Rank stage; 0 where Retrieve did not find it, and a model named it.
        evidence: What each lane said of it.
        retrieval_score: Its fused score, before the Rank stage.
    """

    label: str
    name: str
    rank: int
    score: float
    selected: bool
    retrieval_rank: int
    evidence: tuple[LaneHit, ...] = ()
    retrieval_score: float = 0.0
