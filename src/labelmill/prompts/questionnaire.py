"""The DSPy signature of several questions on one document, each with the answers that it admits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dspy

QUESTIONNAIRE_VERSION = 1
"""Raised whenever the wording below changes; part of the key of every stored answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as a model is asked it.

    Attributes:
        name: Of the answer's field; an identifier.
        question: In words.
        answers: What may be answered.
        several: Whether several of them may be.
    """

    name: str
    question: str
    answers: tuple[str, ...]
    several: bool = False


def questionnaire_signature(document: str, questions: Sequence[Asked], guidance: Sequence[str]) -> type[dspy.Signature]:
    """Make the signature: a text in, one answer to each question out.

    The type of each answer admits what its question admits and nothing else, whatever the model writes.
    """
    instructions = "\n".join(
        [
            f"Read {document} and answer every question about it, each by what the text says and by nothing else.",
            "Answer with the given answers alone, in exactly their words.",
            *guidance,
        ]
    )
    fields: dict[str, Any] = {"text": (str, dspy.InputField(desc=document))}
    for each in questions:
        one: Any = Literal[each.answers]
        kind: Any = list[one] if each.several else one
        fields[each.name] = (kind, dspy.OutputField(desc=each.question))
    signature: type[dspy.Signature] = dspy.Signature(fields, instructions)
    return signature
