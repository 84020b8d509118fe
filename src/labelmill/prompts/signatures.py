"""DSPy signatures of Infer and of every kind of Rank, worded by the task card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import dspy

from labelmill.prompts.card import TaskCard
from labelmill.prompts.numbers import numbers_to

PROMPT_VERSION = 1
"""Raised whenever the wording below changes; part of the key of every stored answer."""


def infer_signature(card: TaskCard) -> type[dspy.Signature]:
    """Make the signature of Infer: a text in, short phrases out."""
    instructions = "\n".join(
        [
            f"Read {card.document}. List short phrases, each of which names {card.label}.",
            "Write each phrase as a catalogue would name it: a few words, nothing that the text does not say.",
            "List every one once, the most important first. Answer with an empty list if there is none.",
            *card.guidance,
        ]
    )
    signature: type[dspy.Signature] = dspy.Signature(
        {
            "text": (str, dspy.InputField(desc=card.document)),
            "phrases": (list[str], dspy.OutputField(desc=f"short phrases, each naming {card.label}")),
        },
        instructions,
    )
    return signature


def rank_signature(card: TaskCard, candidates: int) -> type[dspy.Signature]:
    """Make the signature of listwise Rank: a text and numbered candidates in, the numbers that apply out.

    The type of the answer admits the numbers 1 to `candidates` and nothing else, so no label outside the taxonomy
    can be answered, whatever the model writes.
    """
    numbers: Any = list[Literal[tuple(range(1, candidates + 1))]]  # type: ignore[misc]
    instructions = "\n".join(
        [
            f"Read {card.document} and the numbered candidates. Each candidate is {card.label}, or it does not apply.",
            "Answer with the numbers of the candidates that apply, the best first, each once.",
            "Leave out every candidate that the text does not support. Answer with an empty list if none applies.",
            *card.guidance,
        ]
    )
    signature: type[dspy.Signature] = dspy.Signature(
        {
            "text": (str, dspy.InputField(desc=card.document)),
            "candidates": (str, dspy.InputField(desc="one candidate a line, each with its number")),
            "chosen": (numbers, dspy.OutputField(desc="numbers of the candidates that apply, the best first")),
        },
        instructions,
    )
    return signature


def pointwise_signature(card: TaskCard) -> type[dspy.Signature]:
    """Make the signature of pointwise Rank: a text and one candidate in, yes or no out.

    The description of the answer is the question that stands behind the candidate; it repeats what may be answered,
    since a model without demonstrations otherwise begins a sentence.
    """
    instructions = "\n".join(
        [
            f"Read {card.document} and one candidate. The candidate is {card.label}, or it does not apply.",
            "Answer yes where the text supports the candidate, and no where it does not. Write that one word only.",
            *card.guidance,
        ]
    )
    answer: Any = Literal["yes", "no"]
    signature: type[dspy.Signature] = dspy.Signature(
        {
            "text": (str, dspy.InputField(desc=card.document)),
            "candidate": (str, dspy.InputField(desc="one candidate")),
            "applies": (answer, dspy.OutputField(desc="Does it apply, yes or no?")),
        },
        instructions,
    )
    return signature


def whole_signature(card: TaskCard, names: Sequence[str]) -> type[dspy.Signature]:
    """Make the signature of whole Rank: a text in, out of all labels the numbers of those that apply.

    The labels stand in the description of the answer: before the demonstrations and the document, so that every request
    begins alike, and apart from the instructions, so that no optimiser rewrites them.
    """
    instructions = "\n".join(
        [
            f"Read {card.document} and the numbered labels. Each label is {card.label}, or it does not apply.",
            "Answer with the numbers of the labels that apply, the best first, each once.",
            "Leave out every label that the text does not support. Answer with an empty list if none applies.",
            *card.guidance,
        ]
    )
    numbers: Any = list[numbers_to(len(names))]  # type: ignore[misc]
    described = f"{WHOLE_LIST}\n{number_candidates(names)}"
    signature: type[dspy.Signature] = dspy.Signature(
        {
            "text": (str, dspy.InputField(desc=card.document)),
            "chosen": (numbers, dspy.OutputField(desc=described)),
        },
        instructions,
    )
    return signature


WHOLE_LIST = "numbers of the labels that apply, the best first; the labels are:"
"""What stands before the labels."""


def infer_demonstrations(card: TaskCard) -> list[dspy.Example]:
    """Turn the card's examples into demonstrations of Infer."""
    return [
        dspy.Example(text=example.text, phrases=list(example.phrases)).with_inputs("text") for example in card.examples
    ]


def rank_demonstrations(card: TaskCard, candidates: int) -> list[dspy.Example]:
    """Turn the card's examples into demonstrations of Rank: the labels of all examples are the candidates of each.

    Args:
        card: The wording, with its examples.
        candidates: How many there may be at most; labels beyond are left out.
    """
    pool = list(dict.fromkeys(label for example in card.examples for label in example.labels))[:candidates]
    return [
        dspy.Example(
            text=example.text,
            candidates=number_candidates(pool),
            chosen=[pool.index(label) + 1 for label in example.labels if label in pool],
        ).with_inputs("text", "candidates")
        for example in card.examples
        if example.labels
    ]


def pointwise_demonstrations(card: TaskCard) -> list[dspy.Example]:
    """Turn the card's examples into demonstrations of pointwise Rank, as many with yes as with no.

    Each example gives its first label, which applies, and a label of another example, which does not: the next
    example's that it does not have itself. Where there is none, neither is shown, so that no answer is the usual one.
    Which of the two comes first alternates.
    """
    shown = []
    for place, example in enumerate(card.examples):
        others = [*card.examples[place + 1 :], *card.examples[:place]]
        wrong = next((label for other in others for label in other.labels if label not in example.labels), None)
        if wrong is None or not example.labels:
            continue
        pair = [(example.labels[0], "yes"), (wrong, "no")]
        shown += [
            dspy.Example(text=example.text, candidate=one_line(name), applies=applies).with_inputs("text", "candidate")
            for name, applies in (pair if place % 2 == 0 else pair[::-1])
        ]
    return shown


def whole_demonstrations(card: TaskCard, names: Sequence[str]) -> list[dspy.Example]:
    """Turn the card's examples into demonstrations of whole Rank; those with no label of this name are left out.

    Args:
        card: The wording, with its examples.
        names: Of all labels, in order; of two with one name the first is meant.
    """
    place = {one_line(name): number for number, name in reversed(list(enumerate(names, start=1)))}
    chosen = [[place[one_line(name)] for name in each.labels if one_line(name) in place] for each in card.examples]
    return [
        dspy.Example(text=example.text, chosen=numbers).with_inputs("text")
        for example, numbers in zip(card.examples, chosen, strict=True)
        if numbers
    ]


def number_candidates(names: Sequence[str]) -> str:
    """Write candidates one a line, each with its number; a line break within a name becomes a space."""
    return "\n".join(f"{number}. {one_line(name)}" for number, name in enumerate(names, start=1))


def one_line(name: str) -> str:
    """Fold white space, so that no name can pass itself off as a part of the prompt."""
    return " ".join(name.split())
