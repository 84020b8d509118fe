"""Finding out what a running server can do, by trying it."""

from __future__ import annotations

from dataclasses import replace

from labelmill.errors import ModelRefused
from labelmill.models.capabilities import questions
from labelmill.models.capabilities.found import Capabilities
from labelmill.models.capabilities.probe import Probe


async def examine(url: str, model: str = "", key: str | None = None) -> Capabilities:
    """Try what a server can do, with six short requests at most; a language model reads about 500 tokens in all.

    Args:
        url: The server's base URL, with or without its ``/v1``.
        model: Which of its models; empty for the only one.
        key: Sent as a bearer token; None for that in ``OPENAI_API_KEY``.

    Raises:
        InputError: The URL holds a secret, or is none.
        ModelUnavailable: No answer.
        ModelRefused: Wrong key, no such model, or no OpenAI-compatible server.
    """
    async with Probe.open(url, key) as probe:
        listed = await questions.models(probe)
        known = Capabilities(url=probe.url, model=_chosen(probe, model, tuple(listed)), models=tuple(listed))
        entry = listed[known.model]
        known = replace(
            known,
            server=entry.owner,
            version=await questions.version(probe),
            context_tokens=entry.context_tokens or await questions.context(probe),
        )
        known = await _try_chat(probe, known)
        if not known.chat:
            known = replace(known, embedding_size=await questions.embedding_size(probe, known.model))
        return replace(known, notes=tuple(probe.notes))


def _chosen(probe: Probe, model: str, models: tuple[str, ...]) -> str:
    if not model and len(models) == 1:
        return models[0]
    if model in models:
        return model
    asked = f"does not serve {model!r}" if model else "serves several models" if models else "serves no model"
    raise ModelRefused(f"{probe.url} {asked}; it has: {', '.join(models) or 'none'}. Use MODEL@{probe.url}.")


async def _try_chat(probe: Probe, known: Capabilities) -> Capabilities:
    """Try a language model; nothing is found out where it answers no chat."""
    metered = await questions.prefix_hits(probe) is not None
    # Only a whole block of tokens is cached: 16 in most servers, up to 128 on CPUs. Elsewhere a few words do.
    chat = questions.Chat(probe, known.model, long=metered)
    logprobs = await chat.logprobs()
    if not chat.answered:
        return replace(known, prefix_metrics=metered)
    schema, whitespace = await chat.structure()
    hits = await questions.prefix_hits(probe)
    return replace(
        known,
        chat=True,
        logprobs=logprobs,
        json_schema=schema,
        free_whitespace=whitespace,
        scoring=await questions.scoring(probe, known.model),
        tokenize=await questions.tokenizes_chats(probe, known.model),
        prefix_metrics=metered,
        prefix_caching=bool(hits) if metered else True if chat.cached else None,
        cached_tokens=chat.cached is not None,
    )
