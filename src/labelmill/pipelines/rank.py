"""Rank: the order of candidates. `fuse` of Retrieve gives one; listwise Rank asks a model which candidates apply."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import dspy

from labelmill.pipelines.nearest import Nearest, shown_to, with_pool
from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.card import TaskCard
from labelmill.prompts.signatures import number_candidates, rank_demonstrations, rank_signature
from labelmill.prompts.wire import Template, Templates, fingerprint, parse

_TOKENS_AROUND = 24
_TOKENS_PER_NUMBER = 5
"""A number of two or three digits and its comma take about four."""


class Rank(dspy.Module):
    """Ask a model for the numbers of the candidates that apply.

    Args:
        card: The wording of the task.
        listed: How many candidates it is shown at most.
    """

    def __init__(self, card: TaskCard, listed: int) -> None:
        """Make the predictor, with the card's examples as demonstrations."""
        super().__init__()
        self.listed = listed
        self.max_tokens = _TOKENS_AROUND + _TOKENS_PER_NUMBER * listed
        self._card = card
        self.predict = dspy.Predict(rank_signature(card, listed), max_tokens=self.max_tokens, temperature=0.0)
        self.predict.demos = rank_demonstrations(card, listed)
        self.nearest: Nearest | None = None
        self._templates = Templates()

    def forward(self, text: str, names: Sequence[str]) -> dspy.Prediction:
        """Choose among candidate names, with the language model that DSPy is configured with.

        Returns:
            A prediction whose ``chosen`` are indexes into `names`, from 0, the best first.
        """
        with dspy.context(adapter=ADAPTER):
            signature = _narrowed(self._card, len(names), self.predict.signature)
            inputs = {"text": text, "candidates": number_candidates(names)}
            answer = self.predict(**inputs, signature=signature, **shown_to(self, text))
        return dspy.Prediction(chosen=clean_numbers(answer.chosen, len(names)))

    def fingerprint(self) -> str:
        """Identify the wording, the demonstrations and the schema."""
        return with_pool(fingerprint(self.predict, max_tokens=self.max_tokens), self.nearest)

    def request(self, text: str, names: Sequence[str], model: str) -> bytes:
        """Write the request for a text and its candidates, as JSON."""
        candidates, length = len(names), self.max_tokens
        narrow = None if candidates == self.listed else partial(_narrowed, self._card, candidates)
        template = self._templates.of(
            self.predict,
            (model, candidates, length),
            lambda: Template.of(self.predict, model, max_tokens=length, narrow=narrow),
        )
        return template.body({"text": text, "candidates": number_candidates(names)}, **shown_to(self, text))

    def read(self, content: str, names: Sequence[str], *, truncated: bool) -> list[int]:
        """Parse an answer into indexes into `names`, from 0, the best first.

        Of a truncated answer the last number is left out: it may have been cut between two digits.
        """
        full = len(names) == self.listed
        signature = self.predict.signature if full else _signature(self._card, len(names))
        numbers = list(parse(signature, content)["chosen"])
        return clean_numbers(numbers[:-1] if truncated else numbers, len(names))


def _narrowed(card: TaskCard, candidates: int, signature: type[dspy.Signature]) -> type[dspy.Signature]:
    """Narrow the answer's type to this many candidates, keeping instructions that an optimiser has changed."""
    narrowed: type[dspy.Signature] = _signature(card, candidates).with_instructions(signature.instructions)
    return narrowed


@lru_cache(maxsize=256)
def _signature(card: TaskCard, candidates: int) -> type[dspy.Signature]:
    return rank_signature(card, candidates)


def clean_numbers(numbers: Sequence[int], candidates: int) -> list[int]:
    """Turn answered numbers, from 1, into distinct indexes from 0; what names no candidate is dropped."""
    return [number - 1 for number in dict.fromkeys(numbers) if 1 <= number <= candidates]
