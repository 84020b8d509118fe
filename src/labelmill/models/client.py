"""The one seam to a language model: the bytes of a request in, a completion out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer and what it cost.

    Attributes:
        content: The text of the answer.
        prompt_tokens: Tokens read, cached ones included.
        cached_tokens: Tokens of the prompt that the server had in its prefix cache, where it says so.
        completion_tokens: Tokens written.
        seconds: From sending to the whole answer, the last attempt alone.
        attempts: How often it was sent.
        truncated: Whether the answer ended at its maximum length.
        next_token: Log-probabilities of the answer's first token, by token, where they were asked for.
    """

    content: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    attempts: int = 1
    truncated: bool = False
    next_token: Mapping[str, float] | None = None


class ChatModel(Protocol):
    """A language model, as the runner sees it.

    Attributes:
        model: Its name at the server.
        identity: What its answers depend on; part of the key of every stored answer. The name, where no more is known.
    """

    model: str

    @property
    def identity(self) -> str:
        """See the attributes."""
        ...

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        """Answer one chat completion request.

        Args:
            body: The request, as JSON in UTF-8.
            turn: Where not all requests can go at once, those with a smaller one go first.
            group: Requests of one group share a long prefix, and are best sent to the same place.

        Raises:
            ModelUnavailable: No answer, also after the retries.
            ModelRejected: This request cannot be answered.
            ModelRefused: No request can be.
        """
        ...


def read_completion(answer: Mapping[str, Any], seconds: float, attempts: int) -> Completion:
    """Read the JSON of a chat completion.

    Raises:
        AttributeError, IndexError, KeyError, TypeError: It is none.
    """
    choice = answer["choices"][0]
    content = choice["message"].get("content") or ""
    if not isinstance(content, str):
        raise TypeError("content is no text")
    usage = _mapping(answer.get("usage"))
    return Completion(
        content=content,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_count(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        seconds=seconds,
        attempts=attempts,
        truncated=choice.get("finish_reason") == "length",
        next_token=_next_token(choice.get("logprobs")),
    )


def _next_token(logprobs: object) -> dict[str, float] | None:
    """Read the first position's log-probabilities; of tokens that look alike, the most probable counts."""
    positions = _mapping(logprobs).get("content")
    if not isinstance(positions, list) or not positions:
        return None
    found: dict[str, float] = {}
    for entry in [_mapping(positions[0]), *(_mapping(positions[0]).get("top_logprobs") or [])]:
        token, value = _mapping(entry).get("token"), _mapping(entry).get("logprob")
        if isinstance(token, str) and isinstance(value, int | float) and math.isfinite(value):
            found[token] = max(float(value), found.get(token, -math.inf))
    return found


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    """Read a number of tokens; servers that do not count, or cannot, give none, and the answer stands."""
    return value if type(value) is int and 0 <= value < 2**31 else 0
