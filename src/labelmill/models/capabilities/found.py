"""What a server can do, what labelmill makes of that, and both in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SCORING, LOGPROBS, NONE = "scoring", "logprobs", "none"
"""How pointwise Rank can be done."""

_FEWEST_ALTERNATIVES = 5
"""Of the next token: below that, yes and no are seldom both among them."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server can do with one of its models.

    Attributes:
        url: The base URL.
        model: The model that was tried.
        models: All that the server says it has.
        server: What runs it, as it says itself (``vllm``, ``llamacpp``); empty where it does not.
        version: Of that; empty where it does not say.
        context_tokens: The longest prompt together with its answer; 0 where it does not say.
        chat: Whether it answers chat completions.
        json_schema: Whether an answer can only be what its JSON schema admits.
        free_whitespace: Whether such an answer may be padded with whitespace; None where that was not to be seen.
        logprobs: With how many alternatives it gives the next token's log-probabilities; 0 for not at all.
        scoring: Whether it has ``/generative_scoring``.
        tokenize: Whether its ``/tokenize`` takes a chat.
        prefix_metrics: Whether ``/metrics`` counts the hits of the prefix cache.
        prefix_caching: Whether what prompts share is read once only; None where that was not to be seen.
        cached_tokens: Whether an answer says how much of its prompt was in the cache.
        embedding_size: The length of the vectors of ``/embeddings``; 0 where there are none, or chat works.
        notes: What the server said where a try failed.
    """

    url: str
    model: str
    models: tuple[str, ...] = ()
    server: str = ""
    version: str = ""
    context_tokens: int = 0
    chat: bool = False
    json_schema: bool = False
    free_whitespace: bool | None = None
    logprobs: int = 0
    scoring: bool = False
    tokenize: bool = False
    prefix_metrics: bool = False
    prefix_caching: bool | None = None
    cached_tokens: bool = False
    embedding_size: int = 0
    notes: tuple[str, ...] = ()

    @property
    def pointwise(self) -> str:
        """How pointwise Rank is done: by ``scoring``, by ``logprobs``, or ``none``."""
        if not self.chat or self.logprobs < _FEWEST_ALTERNATIVES:
            return NONE
        return SCORING if self.scoring and self.tokenize else LOGPROBS

    @property
    def hit_rate(self) -> str:
        """Where the prefix cache's hit rate is read: in ``answers``, in ``metrics``, or ``none``."""
        return "answers" if self.cached_tokens else "metrics" if self.prefix_metrics else NONE

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What will not work, or not well, and what to do about it; one line each."""
        if not self.chat:
            use = f"Use it with --embedder {self.model}@{self.url}." if self.embedding_size else "It is of no use here."
            return (f"It answers no chat completions. {use}",)
        return tuple(line for fails, line in _SHORTCOMINGS if fails(self))


_SHORTCOMINGS: tuple[tuple[Callable[[Capabilities], bool], str], ...] = (
    (
        lambda c: not c.json_schema,
        "JSON schemas do not hold: answers that cannot be read are asked for once more, then the document fails.",
    ),
    (
        lambda c: c.free_whitespace is True,
        "Structured answers may be padded with whitespace up to their maximum length; labelmill serve forbids it.",
    ),
    (lambda c: c.pointwise == NONE, "Pointwise Rank does not work: the next token's probabilities are not given."),
    (lambda c: c.pointwise == LOGPROBS, "Pointwise Rank sends one request a candidate, since there is no scoring."),
    (lambda c: c.prefix_caching is False, "The prefix cache is off. For vLLM: --enable-prefix-caching."),
    (
        lambda c: not c.cached_tokens,
        "Answers do not say how much of a prompt was cached. For vLLM: --enable-prompt-tokens-details.",
    ),
    (lambda c: not c.context_tokens, "It does not say how long a prompt may be."),
)


def describe(found: Capabilities) -> list[tuple[str, str]]:
    """Put capabilities into words, for a table: what, and how it is at this server."""
    context = f"{found.context_tokens:,} tokens" if found.context_tokens else "not told"
    rows = [
        ("server", " ".join(part for part in (found.url, found.server, found.version) if part)),
        ("model", found.model),
        ("all models", ", ".join(found.models)),
        ("context", context),
        ("chat completions", _yes(found.chat)),
    ]
    if found.embedding_size:
        rows.append(("embeddings", f"vectors of {found.embedding_size}"))
    if found.chat:
        rows += _chat_rows(found)
    return rows + [("said", note) for note in found.notes]


def _chat_rows(found: Capabilities) -> list[tuple[str, str]]:
    ways = {SCORING: "yes, all candidates of a document in one request", LOGPROBS: "yes, one request a candidate"}
    rates = {"answers": "from every answer", "metrics": "from /metrics, for the whole server"}
    return [
        ("JSON schema", "holds" if found.json_schema else "does not hold"),
        ("whitespace in structured answers", _yes(found.free_whitespace, "free", "none")),
        ("log-probabilities", f"{found.logprobs} alternatives" if found.logprobs else "no"),
        ("/generative_scoring", _yes(found.scoring)),
        ("/tokenize", _yes(found.tokenize)),
        ("prefix cache", _yes(found.prefix_caching, "works", "is off")),
        ("prefix cache in /metrics", _yes(found.prefix_metrics)),
        ("cached tokens in answers", _yes(found.cached_tokens)),
        ("labelmill: listwise Rank", "yes" if found.json_schema else "yes, with answers that may not be readable"),
        ("labelmill: pointwise Rank", ways.get(found.pointwise, "no")),
        ("labelmill: hit rate", rates.get(found.hit_rate, "not measured")),
    ]


def _yes(value: bool | None, yes: str = "yes", no: str = "no") -> str:
    return "not seen" if value is None else yes if value else no
