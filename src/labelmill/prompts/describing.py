"""DSPy signatures that describe labels: what one means, what belongs and what does not, how documents speak of it."""

from __future__ import annotations

from collections.abc import Sequence

import dspy

from labelmill.prompts.card import TaskCard
from labelmill.prompts.signatures import number_candidates, one_line
from labelmill.records import Label

DESCRIBING_VERSION = 1
"""Raised whenever the wording below changes; part of the key of every kept answer."""

NOTHING = "(none)"
"""Stands where there is nothing to show."""


def description_signature(card: TaskCard) -> type[dspy.Signature]:
    """Make the signature that describes a label: documents with and without it in, a text and two lists out."""
    instructions = "\n".join(
        [
            f"A label is {card.label}. Write what annotators need to know of one label to give it to {card.document}.",
            "Read the label, documents that have it, documents that do not, and other labels that it is taken for.",
            "Describe the label in one or two sentences, so that they hold for all such documents and not for one.",
            "List what belongs to it. List what does not belong to it though one might think so.",
            "Say nothing that the label and the documents do not support. Do not repeat a document.",
            *card.guidance,
        ]
    )
    signature: type[dspy.Signature] = dspy.Signature(
        {
            "label": (str, dspy.InputField(desc="the label, and what is known of it")),
            "documents": (str, dspy.InputField(desc="documents that have the label, one a line")),
            "lacking": (str, dspy.InputField(desc="documents that do not have it, one a line")),
            "others": (str, dspy.InputField(desc="labels that it is taken for, one a line")),
            "description": (str, dspy.OutputField(desc="one or two sentences")),
            "includes": (list[str], dspy.OutputField(desc="what belongs, a few words each")),
            "excludes": (list[str], dspy.OutputField(desc="what does not belong, a few words each")),
        },
        instructions,
    )
    return signature


def usage_signature(card: TaskCard, count: int) -> type[dspy.Signature]:
    """Make the signature that says how documents speak of a label: a number of short phrases out."""
    instructions = "\n".join(
        [
            f"A label is {card.label}. Write {count} short phrases by which {card.document} may speak of one label.",
            "Read the label, documents that have it, and other labels that it is taken for.",
            "Write as such documents do, two to eight words a phrase, each in other words than the label's name.",
            "Each phrase speaks of this label and of no other one. Do not repeat a phrase.",
            *card.guidance,
        ]
    )
    signature: type[dspy.Signature] = dspy.Signature(
        {
            "label": (str, dspy.InputField(desc="the label, and what is known of it")),
            "documents": (str, dspy.InputField(desc="documents that have the label, one a line")),
            "others": (str, dspy.InputField(desc="labels that it is taken for, one a line")),
            "phrases": (list[str], dspy.OutputField(desc=f"{count} short phrases")),
        },
        instructions,
    )
    return signature


def show_label(label: Label, above: Sequence[str]) -> str:
    """Write a label on one line: its name, its other names, what it is part of, and what is said of it.

    Args:
        label: The label.
        above: Names of broader labels, the broadest first.
    """
    parts = [label.name]
    parts += [f"also: {'; '.join(label.aliases[:5])}"] if label.aliases else []
    parts += [f"part of: {' > '.join(above)}"] if above else []
    parts += [f"meaning: {label.description}"] if label.description else []
    return one_line(" | ".join(parts))


def show_lines(texts: Sequence[str]) -> str:
    """Write texts one a line, each with its number, or that there are none."""
    return number_candidates(texts) if texts else NOTHING
