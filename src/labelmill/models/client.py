"""The one seam to a language model: a request body in, a completion out, over any OpenAI-compatible server."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from labelmill.errors import ModelError, ModelRefused, ModelRejected, ModelUnavailable
from labelmill.models.address import is_this_machine

if TYPE_CHECKING:
    import openai

_RETRIED = {408, 409, 425, 429}
_FATAL = {401, 403, 404}
_TIMEOUT_SECONDS = 300.0


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
    """

    content: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    attempts: int = 1
    truncated: bool = False


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

    async def complete(self, body: dict[str, Any]) -> Completion:
        """Answer one chat completion request.

        Raises:
            ModelUnavailable: No answer now, nor after the retries.
            ModelRejected: This request cannot be answered.
            ModelRefused: No request can be.
        """
        ...


class ServedModel:
    """A model behind an OpenAI-compatible server; vLLM is the reference.

    The key is kept in memory only. The proxies of the environment hold, but not for a server on this machine. Use it
    as an asynchronous context manager.

    Args:
        url: Base URL of the server, with its ``/v1``.
        model: The model's name; empty to ask the server, which must then serve exactly one.
        attempts: How often a request is sent before it counts as failed.
        identity: What the answers depend on, where more is known than the model's name.
        key: Sent to the server as a bearer token; None for that in ``OPENAI_API_KEY``, or ``EMPTY`` where none is set.
    """

    def __init__(
        self, url: str, model: str = "", *, attempts: int = 5, identity: str = "", key: str | None = None
    ) -> None:
        """Remember where to send."""
        self.url = url.rstrip("/")
        self.model = model
        self._attempts = attempts
        self._identity = identity
        self._key = os.environ.get("OPENAI_API_KEY", "").strip() if key is None else key

    @property
    def identity(self) -> str:
        """What the answers depend on: the model's name, where no more is known."""
        return self._identity or self.model

    async def __aenter__(self) -> Self:
        """Open the connections and see that the server has the model."""
        from openai import AsyncOpenAI, DefaultAioHttpClient

        # stamina warns of every retry; where nobody has configured logging, Python would print that to the console.
        logging.getLogger("stamina").addHandler(logging.NullHandler())
        self._client = AsyncOpenAI(
            base_url=self.url,
            api_key=self._key or "EMPTY",
            http_client=DefaultAioHttpClient(trust_env=not is_this_machine(self.url)),
            max_retries=0,  # stamina retries, and counts
            timeout=_TIMEOUT_SECONDS,
        )
        try:
            await self._find_model()
        except BaseException:
            await self._client.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._client.close()

    async def complete(self, body: dict[str, Any]) -> Completion:
        """Answer one request, trying again while the server is unavailable; see `ChatModel`."""
        import stamina

        attempt = 0
        async for retry in stamina.retry_context(
            on=ModelUnavailable, attempts=self._attempts, timeout=None, wait_initial=0.5, wait_max=30.0
        ):
            with retry:
                attempt = retry.num
                start = time.perf_counter()
                answer = await self._send("/chat/completions", body)
        try:
            return _completion(answer, time.perf_counter() - start, attempt)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise ModelRefused(
                f"{self.url}/chat/completions did not answer a chat completion. Check that the URL ends in /v1."
            ) from error

    async def _find_model(self) -> None:
        listed = await self._send("/models", None)
        served = [str(entry.get("id")) for entry in listed.get("data") or []]
        if not self.model and len(served) == 1:
            self.model = served[0]
        if self.model not in served:
            several = "serves several models" if served else "serves no model"
            asked = f"does not serve {self.model!r}" if self.model else several
            raise ModelRefused(f"{self.url} {asked}; it has: {', '.join(served) or 'none'}. Use --lm MODEL@{self.url}.")

    async def _send(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        import openai

        try:
            if body is None:
                answer = await self._client.get(path, cast_to=object)
            else:
                answer = await self._client.post(path, body=body, cast_to=object)
        except openai.APIStatusError as error:
            raise self._status_error(error.status_code, _said(error)) from error
        except openai.APIConnectionError as error:  # time-outs are among these
            raise ModelUnavailable(
                f"No answer from {self.url} ({type(error.__cause__ or error).__name__}). "
                "Check that the server runs and that the URL ends in /v1."
            ) from error
        except ValueError as error:
            raise ModelRefused(f"{self.url}{path} did not answer JSON. Check that the URL ends in /v1.") from error
        if not isinstance(answer, dict):
            raise ModelRefused(f"{self.url}{path} did not answer a JSON object. Check that the URL ends in /v1.")
        return answer

    def _status_error(self, status: int, message: str) -> ModelError:
        """Sort an HTTP status into the three kinds; the key never appears in the message."""
        if self._key:
            message = message.replace(self._key, "***")
        line = f"{self.url} answered {status}: {' '.join(message.split())[:300]}"
        if status in _FATAL:
            remedy = "Check the model's name and the URL." if status == 404 else "Set OPENAI_API_KEY."
            return ModelRefused(f"{line}. {remedy}")
        if status in _RETRIED or status >= 500:
            return ModelUnavailable(line)
        return ModelRejected(line)


def _completion(answer: dict[str, Any], seconds: float, attempts: int) -> Completion:
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
    )


def _said(error: openai.APIStatusError) -> str:
    """Take a server's own words out of its error, where it gives them in the usual place."""
    message = _mapping(error.body).get("message")
    return message if isinstance(message, str) else str(error.message)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    """Read a number of tokens; servers that do not count give none, and the answer stands."""
    return value if isinstance(value, int) else 0
