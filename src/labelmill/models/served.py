"""One language model behind one or several servers: balanced, persistent, patient with restarts.

What goes wrong with a request is of three kinds. *Again*: no connection, 408, 429, 5xx, a time-out, an answer that is
none; repeated with growing pauses. *This request only*: everything else that the server rejects. *All*: a wrong key,
an unknown model. A server that is gone is not the request's fault: it waits, goes to another server, or both.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from labelmill.errors import ModelRefused, ModelUnavailable
from labelmill.models.balance import Balance, Place, ServerState
from labelmill.models.client import Completion, read_completion
from labelmill.models.limit import AdaptiveLimit
from labelmill.models.server import Server, Trouble

ATTEMPTS = 5
TIMEOUT_SECONDS = 300.0
PATIENCE_SECONDS = 3600.0
MOST_AT_ONCE = 256
"""Requests in flight at one server at most: what vLLM computes at once by default."""

_LOSSES = 3
"""How often a server may be lost under a request before the request counts as what kills it."""

_SUSPECT = 2
"""From so many losses on, requests are sent one after another, lest the one that kills takes the others with it."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 30.0
"""Seconds after 429, where the server names no other."""

_WORK_UNKNOWN = 100
"""Tokens that an answer is taken for where the server does not count."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        value: The JSON object.
        seconds: From sending to the whole answer, the last attempt alone.
        attempts: How often it was sent.
    """

    value: dict[str, Any]
    seconds: float
    attempts: int


class ServedModel:
    """A model behind OpenAI-compatible servers; vLLM is the reference.

    The key is kept in memory only. The proxies of the environment hold, but not for a server on this machine. Use it
    as an asynchronous context manager.

    Args:
        urls: Base URLs of the servers, each with its ``/v1``; one URL may stand for itself.
        model: The model's name; empty to ask the servers, which must then serve exactly one.
        attempts: How often a request is sent before it counts as failed.
        identity: What the answers depend on, where more is known than the model's name.
        key: Sent as a bearer token; None for that in ``OPENAI_API_KEY``, or ``EMPTY`` where none is set.
        concurrency: Requests in flight at each server at most; how many there are adapts below that.
        timeout: Seconds for an answer.
        patience: Seconds to wait while no server is up, once all have been.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        model: str = "",
        *,
        attempts: int = ATTEMPTS,
        identity: str = "",
        key: str | None = None,
        concurrency: int = MOST_AT_ONCE,
        timeout: float = TIMEOUT_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Remember where to send."""
        self.model = model
        self._attempts = attempts
        self._patience = patience
        self._identity = identity
        key = os.environ.get("OPENAI_API_KEY", "").strip() if key is None else key
        addresses = dict.fromkeys([urls] if isinstance(urls, str) else urls)
        self._servers = [Server(url, key=key, timeout=timeout) for url in addresses]
        self._suspects = asyncio.Lock()
        self._balance = Balance(self._servers, [AdaptiveLimit(concurrency) for _ in self._servers], patience=patience)

    @property
    def identity(self) -> str:
        """What the answers depend on: the model's name, where no more is known."""
        return self._identity or self.model

    @property
    def urls(self) -> list[str]:
        """The servers' base URLs."""
        return [server.url for server in self._servers]

    @property
    def context_tokens(self) -> int | None:
        """The longest prompt and answer together that every server takes, where they say so."""
        known = [server.context_tokens for server in self._servers if server.context_tokens]
        return min(known, default=None)

    def states(self) -> list[ServerState]:
        """Say what every server is doing."""
        return self._balance.states()

    async def __aenter__(self) -> Self:
        """Open the connections and see that the servers have the model; one of several may still be down."""
        # stamina warns of every retry; where nobody has configured logging, Python would print that to the console.
        logging.getLogger("stamina").addHandler(logging.NullHandler())
        try:
            for server in self._servers:
                await server.open()
            await self._find_model()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._close()

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        """Answer one chat completion request; see `ChatModel`."""
        path = "/v1/chat/completions"

        async def ask(place: Place) -> Completion:
            value, seconds = await place.server.post(path, body)
            try:
                completion = read_completion(value, seconds, 1)
            except (AttributeError, IndexError, KeyError, TypeError) as error:
                raise Trouble(f"{place.server.url} did not answer a chat completion.", "garbled") from error
            place.limit.answered(
                completion.prompt_tokens + completion.completion_tokens or _WORK_UNKNOWN,
                waiting=self._balance.waiting(place),
            )
            return completion

        completion, attempts = await self._persist(ask, turn, group)
        return completion if attempts == 1 else replace(completion, attempts=attempts)

    async def post(self, path: str, body: bytes, *, turn: int = 0, group: str = "", weight: int = 1) -> Answer:
        """Send a request to another endpoint, under the same rules.

        Args:
            path: From the server's root, ``/generative_scoring`` for example.
            body: JSON.
            turn: As for `complete`.
            group: As for `complete`.
            weight: How many requests the server makes of it.
        """

        async def ask(place: Place) -> tuple[dict[str, Any], float]:
            value, seconds = await place.server.post(path, body)
            place.limit.answered(_work(value), waiting=self._balance.waiting(place), weight=weight)
            return value, seconds

        (value, seconds), attempts = await self._persist(ask, turn, group, weight)
        return Answer(value, seconds, attempts)

    async def get(self, path: str) -> Any:
        """Ask the first server that is up for a JSON value."""
        value, _ = await self._persist(lambda place: place.server.get(path), -1, "")
        return value

    async def texts(self, path: str) -> list[str]:
        """Ask every server for a text, ``/metrics`` for example; those that give none are left out."""
        gathered = await asyncio.gather(*(server.text(path) for server in self._servers), return_exceptions=True)
        return [text for text in gathered if isinstance(text, str)]

    async def _persist(
        self, ask: Callable[[Place], Awaitable[_T]], turn: int, group: str, weight: int = 1
    ) -> tuple[_T, int]:
        """Ask until there is an answer, or until there have been as many attempts as there may be."""
        try:
            return await self._admitted(ask, turn, group, weight), 1
        except Trouble as trouble:  # stamina alone takes 30 µs: only those pay for it that need it
            first = trouble
        import stamina

        attempt = 1
        try:
            async for retry in stamina.retry_context(
                on=_again, attempts=self._attempts, timeout=None, wait_initial=0.5, wait_max=30.0
            ):
                with retry:
                    if retry.num == 1:
                        raise first
                    attempt = retry.num
                    return await self._admitted(ask, turn, group, weight), attempt
        except ModelUnavailable as error:
            error.attempts = attempt
            raise
        raise AssertionError("stamina ends with an answer or an error")  # pragma: no cover

    async def _admitted(self, ask: Callable[[Place], Awaitable[_T]], turn: int, group: str, weight: int) -> _T:
        """Ask one server when it has a place; what is not the request's fault costs it no attempt."""
        losses, waited = 0, 0.0
        while True:
            async with (
                self._suspects if losses >= _SUSPECT else nullcontext(),
                self._balance.place(turn, group, weight) as place,
            ):
                epoch = place.limit.epoch
                try:
                    answer = await ask(place)
                except Trouble as trouble:
                    fault = trouble
                else:
                    place.refusing_since = None
                    return answer
                lost = fault.kind in {"gone", "slow"} and not await self._balance.still_up(place)
                if fault.kind in {"busy", "slow"} and not lost:
                    place.limit.overloaded(epoch)
                if fault.kind == "busy":
                    waited += await self._pause(place, fault, waited)
            if lost:
                losses += 1
                if losses > _LOSSES:
                    raise ModelUnavailable(f"{fault} The server was lost {losses} times under this request.") from fault
            elif fault.kind != "busy":
                raise fault

    async def _pause(self, place: Place, fault: Trouble, waited: float) -> float:
        """Wait after 429, for as long as the server says; in its place, so that as many fewer are sent meanwhile.

        Raises:
            ModelUnavailable: The server has refused this request, or whatever was sent, for as long as the patience.
        """
        now = time.monotonic()
        if place.refusing_since is None:
            place.refusing_since = now
        if max(waited, now - place.refusing_since) >= self._patience:
            raise ModelUnavailable(str(fault)) from fault
        pause = min(1.0 + waited, _LONGEST_PAUSE) if fault.wait is None else max(fault.wait, _SHORTEST_PAUSE)
        await asyncio.sleep(pause * random.uniform(1.0, 1.1))  # noqa: S311 - so that not all come back at once
        return pause

    async def _find_model(self) -> None:
        """See that every server has the model; where some do not answer, one that does is enough."""
        asked = await asyncio.gather(*(server.models() for server in self._servers), return_exceptions=True)
        troubles: list[Trouble] = []
        for server, served in zip(self._servers, asked, strict=True):
            if isinstance(served, Trouble):
                troubles.append(served)
                self._balance.down(self._balance.find(server))
            elif isinstance(served, BaseException):
                raise served
            else:
                self._choose(server, served)
        if len(troubles) == len(self._servers):
            raise ModelUnavailable(str(troubles[0]))

    def _choose(self, server: Server, served: list[str]) -> None:
        """Take the one model of the first server for all, where none was named, and see that this server has it."""
        if not self.model and len(served) == 1:
            self.model = served[0]
        if self.model not in served:
            several = "serves several models" if served else "serves no model"
            asked = f"does not serve {self.model!r}" if self.model else several
            raise ModelRefused(
                f"{server.url} {asked}; it has: {', '.join(served) or 'none'}. Use --lm MODEL@{server.url}."
            )

    async def _close(self) -> None:
        await self._balance.close()
        await asyncio.gather(*(server.close() for server in self._servers))


def _again(error: Exception) -> bool | float:
    """Tell stamina whether to ask again: after the time that the server named, or after one that grows."""
    if not isinstance(error, Trouble):
        return False
    return error.wait or True


def _work(value: dict[str, Any]) -> float:
    usage = value.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return float(tokens) if isinstance(tokens, int) and tokens > 0 else _WORK_UNKNOWN
