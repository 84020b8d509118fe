"""The DSPy programs that describe labels, and what is demanded of their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from labelmill.corpus.fields import clean
from labelmill.keys import content_key
from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.card import TaskCard
from labelmill.prompts.describing import DESCRIBING_VERSION, description_signature, usage_signature
from labelmill.prompts.wire import Template, Templates, fingerprint, parse

_DESCRIPTION_TOKENS = 400
_LONGEST_DESCRIPTION = 600
_ENTRIES = 8
_LONGEST_ENTRY = 200

_TOKENS_OF_A_PHRASE = 24
_LONGEST_PHRASE = 100


class Writer(dspy.Module):
    """A program that writes of one label; a bulk run takes `request` and `read` apart and sends the request itself.

    Args:
        signature: What goes in and comes out.
        max_tokens: Length of an answer at most.

    Attributes:
        stage: ``describe`` or ``phrases``.
    """

    stage = ""

    def __init__(self, signature: type[dspy.Signature], max_tokens: int) -> None:
        """Make the predictor."""
        super().__init__()
        self.predict = dspy.Predict(signature, max_tokens=max_tokens, temperature=0.0)
        self._max_tokens = max_tokens
        self._templates = Templates()

    def forward(self, **inputs: str) -> dspy.Prediction:
        """Write of a label, with the language model that DSPy is configured with."""
        with dspy.context(adapter=ADAPTER):
            return self.predict(**inputs)

    def fingerprint(self) -> str:
        """Identify the wording and the schema."""
        return content_key(DESCRIBING_VERSION, fingerprint(self.predict, max_tokens=self._max_tokens))

    def request(self, inputs: Mapping[str, str], model: str) -> bytes:
        """Write the request, as JSON."""
        template = self._templates.of(
            self.predict, model, lambda: Template.of(self.predict, model, max_tokens=self._max_tokens)
        )
        return template.body(inputs)

    def read(self, content: str, *, truncated: bool) -> list[Any]:
        """Parse an answer into what is kept of it.

        Raises:
            AdapterParseError: It cannot be read, or says nothing that can be used.
        """
        raise NotImplementedError

    def _refuse(self, content: str, problem: str) -> AdapterParseError:
        return AdapterParseError(type(ADAPTER).__name__, self.predict.signature, content, message=problem)


class DescriptionWriter(Writer):
    """Write what a label means, what belongs to it and what does not.

    Args:
        card: The wording of the task.
    """

    stage = "describe"

    def __init__(self, card: TaskCard) -> None:
        """Make the predictor."""
        super().__init__(description_signature(card), _DESCRIPTION_TOKENS)

    def read(self, content: str, *, truncated: bool) -> list[Any]:
        """Give the description, what belongs, and what does not; see `Writer.read`."""
        answer = parse(self.predict.signature, content)
        description = fold(answer["description"])
        if not description:
            raise self._refuse(content, "the description is empty")
        if len(description) > _LONGEST_DESCRIPTION or truncated:
            said = f"the description has more than {_LONGEST_DESCRIPTION} characters"
            raise self._refuse(content, "the answer was cut at its maximum length" if truncated else said)
        return [description, _entries(answer["includes"]), _entries(answer["excludes"])]


class UsageWriter(Writer):
    """Write short phrases by which documents may speak of a label.

    Args:
        card: The wording of the task.
        count: How many.
    """

    stage = "phrases"

    def __init__(self, card: TaskCard, count: int) -> None:
        """Make the predictor."""
        super().__init__(usage_signature(card, count), 40 + _TOKENS_OF_A_PHRASE * count)
        self._count = count

    def read(self, content: str, *, truncated: bool) -> list[Any]:
        """Give the phrases; of a truncated answer all but the last, which may be half of one. See `Writer.read`."""
        phrases = list(parse(self.predict.signature, content)["phrases"])
        kept = clean_usages(phrases[:-1] if truncated else phrases)[: self._count]
        if not kept:
            raise self._refuse(content, "there is no phrase of a few words in it")
        return list(kept)


def fold(text: object) -> str:
    """Put a text on one line, and replace what no file takes."""
    return " ".join(clean(str(text)).split())


def clean_usages(phrases: list[str]) -> list[str]:
    """Fold white space, and drop what is empty, repeated or far too long for a phrase; order stays."""
    folded = [phrase for phrase in map(fold, phrases) if phrase and len(phrase) <= _LONGEST_PHRASE]
    return list({phrase.casefold(): phrase for phrase in reversed(folded)}.values())[::-1]


def _entries(texts: list[str]) -> list[str]:
    """Keep the first few entries of a list that are short, each once."""
    folded = [text for text in map(fold, texts) if any(map(str.isalnum, text)) and len(text) <= _LONGEST_ENTRY]
    return list(dict.fromkeys(folded))[:_ENTRIES]
