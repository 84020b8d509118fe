"""What a batch brings to the store: answers of a model, documents that are done, and what was spent on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labelmill.records import Prediction


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a model answered at one stage, and what that cost.

    Attributes:
        key: Hash of everything that went in.
        stage: ``infer`` or ``rank``.
        model: The model's name.
        output: The parsed answer: phrases, or chosen numbers.
        prompt_tokens: Tokens read, cached ones included.
        cached_tokens: Tokens of the prompt that came out of the prefix cache.
        completion_tokens: Tokens written.
        seconds: Of the last attempt.
        attempts: How often it was sent.
    """

    key: str
    stage: str
    model: str
    output: list[Any]
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """A document that is done.

    Attributes:
        document: Its id.
        key: Hash of the run's key and the text.
        source: ``file:line``.
        chunks: How many pieces it was read in.
        predictions: The ranking, best first; perhaps empty. All its candidates, where `retrieval` is given.
        stages: Keys of the model answers that went into it.
        retrieval: Key of its candidates: what was asked of which lanes over which taxonomy, and for how many; empty
            where nobody should take them over.
    """

    document: str
    key: str
    source: str
    chunks: int
    predictions: Sequence[Prediction]
    stages: Sequence[str] = ()
    retrieval: str = ""


@dataclass(frozen=True, slots=True)
class Spending:
    """What a batch used of a model at one stage, whatever became of it.

    Attributes:
        stage: ``infer`` or ``rank``.
        requests: Sent, those repeated and those in vain included.
        prompt_tokens: Tokens read, cached ones included.
        cached_tokens: Tokens of the prompts that came out of the prefix cache.
        completion_tokens: Tokens written.
        seconds: Of all requests together, though many are under way at once.
    """

    stage: str
    requests: int
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
