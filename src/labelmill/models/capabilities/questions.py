"""Short requests that show what a server can do; what it refuses is an answer too, and is noted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from labelmill.errors import ModelRefused, ModelUnavailable
from labelmill.models.capabilities.probe import WRONG_KEY, Probe, mapping, parsed

_FIRST_SECONDS = 15.0
_ALTERNATIVES = 20
_WORD = "quokkazig"
"""No model says that of itself."""
_ANSWER = {"word": _WORD}
_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "probe",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"word": {"type": "string", "enum": [_WORD]}},
            "required": ["word"],
            "additionalProperties": False,
        },
    },
}
_QUESTION = "Name an animal, as indented JSON over several lines."
_FILLER = " ".join(map(str, range(1, 61)))
"""About 170 tokens."""
_HITS = re.compile(r"^vllm:prefix_cache_hits_total(?:\{[^}]*\})? (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Model:
    """A model as its server lists it: who runs it, and the context where that is told, else 0."""

    owner: str
    context_tokens: int


async def models(probe: Probe) -> dict[str, Model]:
    """List the server's models by name; find out whether its base URL wants a ``/v1``.

    Raises:
        ModelUnavailable: No answer.
        ModelRefused: A wrong key, or no OpenAI-compatible server.
    """
    status, text = await probe.get(f"{probe.url}/models", _FIRST_SECONDS)
    if status != 200 and not probe.url.endswith("/v1"):
        deeper = await probe.get(f"{probe.url}/v1/models", _FIRST_SECONDS)
        if deeper[0] in {200, *WRONG_KEY}:
            (status, text), probe.url = deeper, f"{probe.url}/v1"
    value = parsed(text)
    if status in WRONG_KEY:
        raise ModelRefused(f"{probe.url} answered {status}: {probe.clean(text)}. Set OPENAI_API_KEY.")
    if status == 429 or status >= 500:
        raise ModelUnavailable(f"{probe.url} answered {status}: {probe.clean(text)}. Try again when it is ready.")
    if status != 200 or not isinstance(value.get("data"), list):
        raise ModelRefused(
            f"{probe.url}/models answered {status} and no list of models. Check that the URL ends in /v1."
        )
    entries = [mapping(entry) for entry in value["data"]]
    return {probe.clean(str(entry["id"])): _model(probe, entry) for entry in entries if entry.get("id")}


def _model(probe: Probe, entry: dict[str, Any]) -> Model:
    owner = entry.get("owned_by")
    context = entry.get("max_model_len") or mapping(entry.get("meta")).get("n_ctx")
    return Model(probe.clean(owner) if isinstance(owner, str) else "", context if isinstance(context, int) else 0)


async def version(probe: Probe) -> str:
    """Ask for the server's version; empty where it tells none."""
    _, text = await probe.get(f"{probe.root}/version")
    told = parsed(text).get("version")
    return probe.clean(told) if isinstance(told, str) else ""


async def context(probe: Probe) -> int:
    """Ask llama.cpp for its context; 0 where the server is another."""
    _, text = await probe.get(f"{probe.root}/props")
    told = mapping(parsed(text).get("default_generation_settings")).get("n_ctx")
    return told if isinstance(told, int) else 0


async def prefix_hits(probe: Probe) -> float | None:
    """Read how many tokens the prefix cache has saved so far; None where the server does not count them."""
    status, text = await probe.get(f"{probe.root}/metrics")
    try:
        counts = [float(count) for count in _HITS.findall(text)]
    except ValueError:
        return None
    return sum(counts) if status == 200 and counts else None


async def scoring(probe: Probe, model: str) -> bool:
    """Try ``/generative_scoring``."""
    body = {"model": model, "query": "a", "items": [" b"], "label_token_ids": [1, 2]}
    rows = (await probe.post(f"{probe.root}/generative_scoring", body)).get("data")
    return isinstance(rows, list) and isinstance(mapping((rows or [None])[0]).get("score"), float | int)


async def tokenizes_chats(probe: Probe, model: str) -> bool:
    """Try ``/tokenize`` with a chat."""
    body = {"model": model, "messages": [{"role": "user", "content": "a"}]}
    return bool((await probe.post(f"{probe.root}/tokenize", body)).get("tokens"))


async def embedding_size(probe: Probe, model: str) -> int:
    """Embed one word; 0 where the server embeds nothing."""
    answer = await probe.post(f"{probe.url}/embeddings", {"model": model, "input": ["a"], "encoding_format": "float"})
    rows = answer.get("data")
    vector = mapping((rows or [None])[0]).get("embedding") if isinstance(rows, list) else None
    return len(vector) if isinstance(vector, list) else 0


class Chat:
    """Asks one question in several ways, so that a prefix cache has something to find.

    Attributes:
        answered: Whether there was an answer at all.
        cached: The most tokens that an answer said were cached; None where none said anything.
    """

    def __init__(self, probe: Probe, model: str, *, long: bool) -> None:
        """Make the prompt, long enough for a prefix cache or as short as can be."""
        self.answered = False
        self.cached: int | None = None
        self._probe = probe
        self._model = model
        question = f"{_FILLER}\n\n{_QUESTION}" if long else _QUESTION
        self._body = {"model": model, "temperature": 0, "messages": [{"role": "user", "content": question}]}

    async def logprobs(self) -> int:
        """Count the alternatives of the next token that the server gives."""
        asked = {"max_tokens": 1, "logprobs": True}
        choice = await self._ask(asked | {"top_logprobs": _ALTERNATIVES})
        choice = choice or await self._ask(asked | {"top_logprobs": 5}) or await self._ask({"max_tokens": 1})
        content = mapping(choice.get("logprobs")).get("content")
        first = mapping(content[0]) if isinstance(content, list) and content else {}
        tokens = first.get("top_logprobs")
        return len(tokens) if isinstance(tokens, list) else 0

    async def structure(self) -> tuple[bool, bool | None]:
        """Try a schema that admits one odd word only: does it hold, and is whitespace free in it?"""
        content = _content(await self._ask({"max_tokens": 40, "response_format": _SCHEMA}))
        if re.sub(r"\s", "", content) != re.sub(r"\s", "", json.dumps(_ANSWER)):
            return parsed(content) == _ANSWER, None
        if re.search(r"\s\s|\n", content):
            return True, True
        return True, await self._pads()

    async def _pads(self) -> bool | None:
        """Make the server want nothing but line breaks: where the grammar has no place for them, none comes."""
        token = await self._line_break()
        if token is None:
            return None
        forced = {"max_tokens": 4, "response_format": _SCHEMA, "logit_bias": {str(token): 100}}
        content = _content(await self._ask(forced))
        # Without the brace at the beginning the bias has overruled the grammar, and nothing is shown.
        return "\n" in content if content.startswith("{") else None

    async def _line_break(self) -> int | None:
        body = {"model": self._model, "prompt": "\n", "content": "\n", "add_special_tokens": False}
        tokens = (await self._probe.post(f"{self._probe.root}/tokenize", body)).get("tokens")
        return tokens[0] if isinstance(tokens, list) and len(tokens) == 1 and isinstance(tokens[0], int) else None

    async def _ask(self, more: dict[str, Any]) -> dict[str, Any]:
        answer = await self._probe.post(f"{self._probe.url}/chat/completions", self._body | more)
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices:
            return {}
        self.answered = True
        details = mapping(mapping(answer.get("usage")).get("prompt_tokens_details"))
        if isinstance(count := details.get("cached_tokens"), int):
            self.cached = max(self.cached or 0, count)
        return mapping(choices[0])


def _content(choice: dict[str, Any]) -> str:
    content = mapping(choice.get("message")).get("content")
    return content if isinstance(content, str) else ""
