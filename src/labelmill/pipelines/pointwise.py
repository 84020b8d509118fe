"""Pointwise Rank: one question a candidate, whose answer is the probability of yes as the next token."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import dspy

from labelmill.models.judging import read_probabilities
from labelmill.pipelines.nearest import Nearest, shown_to, with_pool
from labelmill.prompts.card import TaskCard
from labelmill.prompts.rendering import fingerprint
from labelmill.prompts.signatures import one_line, pointwise_demonstrations, pointwise_signature
from labelmill.prompts.wire import Template, Templates
from labelmill.prompts.yes_no import YES_NO

MAX_TOKENS = 1
TOP_LOGPROBS = 20
"""The most that OpenAI-compatible servers give."""

_ASKED: dict[str, Any] = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}


class PointwiseRank(dspy.Module):
    """Ask a model of each candidate whether it applies.

    Call it as any DSPy module; a bulk run sends `requests` itself, all candidates of a document together.

    Args:
        card: The wording of the task.
    """

    def __init__(self, card: TaskCard) -> None:
        """Make the predictor, with demonstrations made of the card's examples."""
        super().__init__()
        self.predict = dspy.Predict(pointwise_signature(card), max_tokens=MAX_TOKENS, temperature=0.0, **_ASKED)
        self.predict.demos = pointwise_demonstrations(card)
        self.nearest: Nearest | None = None
        self._templates = Templates()

    def forward(self, text: str, names: Sequence[str]) -> dspy.Prediction:
        """Judge candidate names, with the language model that DSPy is configured with.

        Returns:
            A prediction whose ``probabilities`` are one for each of `names`: P(yes) / (P(yes) + P(no)).

        Raises:
            ModelRejected: The model answers neither yes nor no, whatever the candidate.
        """
        with dspy.context(adapter=YES_NO), _one_token_is_enough():
            shown = shown_to(self, text)
            answers = [self.predict(text=text, candidate=one_line(name), **shown) for name in names]
        probabilities, _ = read_probabilities([_next_token(answer) for answer in answers])
        return dspy.Prediction(probabilities=probabilities)

    def fingerprint(self) -> str:
        """Identify the wording and the demonstrations."""
        return with_pool(fingerprint(self.predict, max_tokens=MAX_TOKENS, adapter=YES_NO, **_ASKED), self.nearest)

    def requests(self, text: str, names: Sequence[str], model: str) -> list[bytes]:
        """Write the request for each candidate; they are the same up to the candidate."""
        template = self._templates.of(self.predict, model, lambda: self._template(model))
        shown = shown_to(self, text)
        return [template.body({"text": text, "candidate": one_line(name)}, **shown) for name in names]

    def _template(self, model: str) -> Template:
        return Template.of(self.predict, model, max_tokens=MAX_TOKENS, adapter=YES_NO, **_ASKED)


def merge_probabilities(judged: Sequence[Sequence[float]]) -> list[float]:
    """Merge what pointwise Rank found for each chunk of a document: a label applies where it applies to any.

    Args:
        judged: For each chunk the probability of every candidate, in the same order.
    """
    return [max(of_chunks) for of_chunks in zip(*judged, strict=True)]


def _next_token(answer: dspy.Prediction) -> Mapping[str, float]:
    """Read the first token's log-probabilities, by token, where the server gave any."""
    positions = (getattr(answer, "logprobs", None) or {}).get("content") or [{}]
    return {entry["token"]: entry["logprob"] for entry in positions[0].get("top_logprobs") or []}


_one_token = ContextVar("_one_token", default=False)


@contextmanager
def _one_token_is_enough() -> Iterator[None]:
    """Keep DSPy from warning of every single answer that it ends at its maximum length, which here it should."""
    logging.getLogger("dspy.clients.lm").addFilter(_says_news)  # adding it again changes nothing
    token = _one_token.set(True)
    try:
        yield
    finally:
        _one_token.reset(token)


def _says_news(record: logging.LogRecord) -> bool:
    return not (_one_token.get() and "truncated" in str(record.msg))
