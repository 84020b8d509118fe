"""DSPy signatures of making a taxonomy: summarise, propose, update, review, and the questions of kind and of fit.

After the first phase of TnT-LLM (Wan et al. 2024, arXiv 2403.12173). There, an update writes all labels anew. Here it
says what is to change, by number: what stays cannot get lost, answers are short, and that nothing is to change can be
told from the answer.
"""

from __future__ import annotations

from typing import Any, Literal

import dspy
from pydantic import BaseModel, Field

from labelmill.prompts.card import TaskCard

GENERATING_VERSION = 1
"""Raised whenever the wording below changes; part of the key of every stored answer."""


# Models read these docstrings. What they write in these fields is trusted in nothing: see `generating.drafting`. So the
# bounds are for servers, which hold a model to a schema while it writes: a small one would fill its whole answer with
# one text. An answer beyond them is read all the same.
_NAME: dict[str, Any] = {"maxLength": 80}
_TEXT: dict[str, Any] = {"maxLength": 300}
_NUMBERS: dict[str, Any] = {"maxItems": 50}


class ProposedLabel(BaseModel):
    """A label."""

    name: str = Field(description="one to five words", json_schema_extra=_NAME)
    description: str = Field(default="", description="one sentence: what the label means", json_schema_extra=_TEXT)
    include: str = Field(default="", description="which documents belong to it", json_schema_extra=_TEXT)
    exclude: str = Field(
        default="", description="which similar documents do not, and where they belong", json_schema_extra=_TEXT
    )
    documents: list[int] = Field(
        default_factory=list, description="numbers of the documents that belong to it", json_schema_extra=_NUMBERS
    )


class ChangedLabel(BaseModel):
    """A label that gets another name or other words; an empty text leaves what there is."""

    label: int = Field(description="its number")
    name: str = Field(default="", json_schema_extra=_NAME)
    description: str = Field(default="", json_schema_extra=_TEXT)
    include: str = Field(default="", json_schema_extra=_TEXT)
    exclude: str = Field(default="", json_schema_extra=_TEXT)


class MergedLabels(BaseModel):
    """Labels that mean the same."""

    labels: list[int] = Field(description="their numbers; the first one stays", json_schema_extra=_NUMBERS)
    reason: str = Field(default="", json_schema_extra=_TEXT)


def summarise_signature(card: TaskCard, use_case: str) -> type[dspy.Signature]:
    """Make the signature of the summary: a text in, a sentence out."""
    instructions = "\n".join(
        [
            f"Read {card.document}. Say in at most 20 words what it is about, as this purpose needs it: {use_case}",
            "Leave out names of persons, numbers and courtesies.",
            *card.guidance,
        ]
    )
    return _signature({"text": (str, card.document)}, {"summary": (str, "at most 20 words")}, instructions)


def propose_signature(card: TaskCard, use_case: str, most: int) -> type[dspy.Signature]:
    """Make the signature of the first labels: numbered documents in, labels out."""
    instructions = "\n".join([_purpose(card, use_case, most), "Propose labels for the numbered documents.", *_RULES])
    outputs: Any = {"labels": (list[ProposedLabel], "the labels, the most frequent first")}
    return _signature({"documents": (str, "one document a line, each with its number")}, outputs, instructions)


def update_signature(card: TaskCard, use_case: str, most: int) -> type[dspy.Signature]:
    """Make the signature of an update: labels and further documents in, what is to change out."""
    instructions = "\n".join(
        [
            _purpose(card, use_case, most),
            "There are labels, and further documents. Say for each document which label fits it, and change the labels",
            "where the documents show that they must: add a label for documents that none fits, merge labels that mean",
            "the same, correct names and descriptions. Leave alone what is good: empty lists are a good answer.",
            *_RULES,
        ]
    )
    outputs: Any = {
        "fits": (list[int], "for each document in order the number of the label that fits it best, or 0 for none"),
        "added": (list[ProposedLabel], "labels that are missing"),
        "changed": (list[ChangedLabel], "labels that need other words"),
        "merged": (list[MergedLabels], "labels that mean the same"),
    }
    return _signature(_LABELS | {"documents": (str, "one a line, each with its number")}, outputs, instructions)


def review_signature(card: TaskCard, use_case: str, most: int) -> type[dspy.Signature]:
    """Make the signature of the review: all labels in, what is to change out."""
    instructions = "\n".join(
        [
            _purpose(card, use_case, most),
            "Review the labels as a whole. Merge those that mean the same, correct names that do not say what a label",
            "means, and drop labels that are of no use for the purpose. Leave alone what is good.",
            *_RULES,
        ]
    )
    outputs: Any = {
        "changed": (list[ChangedLabel], "labels that need other words"),
        "merged": (list[MergedLabels], "labels that mean the same"),
        "dropped": (list[int], "numbers of labels that are of no use"),
    }
    return _signature(_LABELS, outputs, instructions)


def kind_signature(use_case: str) -> type[dspy.Signature]:
    """Make the signature of the check of siblings: labels under one broader label in, those of another kind out."""
    instructions = "\n".join(
        [
            f"The labels stand beside each other in a taxonomy for this purpose: {use_case}",
            "Labels beside each other should be alike in kind: all topics, for example, or all complaints, and each",
            "narrower than the broader label. List the numbers of those that are not like the others.",
            "Answer with an empty list if all are.",
        ]
    )
    inputs = {"broader": (str, "the label above them"), "labels": (str, "one label a line, each with its number")}
    return _signature(inputs, {"odd": (list[int], "numbers of the labels that are not like the others")}, instructions)


def better_signature(card: TaskCard, use_case: str) -> type[dspy.Signature]:
    """Make the signature of pairwise judgement: a text and two labels in, which of them fits better out."""
    purpose = f" The labels are for this purpose: {use_case}" if use_case else ""
    instructions = "\n".join(
        [
            f"Read {card.document} and two labels.{purpose}",
            "Answer 1 if the first label says better what the document is about, 2 if the second does,",
            "and 0 if neither says it.",
        ]
    )
    answer: Any = Literal[0, 1, 2]
    inputs = {"text": (str, card.document), "first": (str, "a label"), "second": (str, "a label")}
    return _signature(inputs, {"better": (answer, "1, 2, or 0 for neither")}, instructions)


_LABELS: dict[str, Any] = {"labels": (str, "one label a line, each with its number")}
_RULES = (
    "Labels must not overlap, and must be alike in kind and in breadth. A name says what a label means, in one to five",
    "words; no label is called Other or Miscellaneous.",
)


def _purpose(card: TaskCard, use_case: str, most: int) -> str:
    return (
        f"The labels are to sort documents, each of which is {card.document}, at most {most} labels, "
        f"for this purpose: {use_case}"
    )


def _signature(inputs: dict[str, Any], outputs: dict[str, Any], instructions: str) -> type[dspy.Signature]:
    fields = {name: (kind, dspy.InputField(desc=says)) for name, (kind, says) in inputs.items()}
    fields |= {name: (kind, dspy.OutputField(desc=says)) for name, (kind, says) in outputs.items()}
    signature: type[dspy.Signature] = dspy.Signature(fields, instructions)
    return signature
