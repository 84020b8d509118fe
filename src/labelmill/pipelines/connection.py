"""How a program reaches its language model: looked up once, opened for each job."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from labelmill.errors import InputError
from labelmill.models.client import ChatModel
from labelmill.models.served import MOST_AT_ONCE, PATIENCE_SECONDS, TIMEOUT_SECONDS, ServedModel
from labelmill.models.spec import ModelSpec

_OF_A_GIVEN_MODEL = 32
"""Questions at once that any `ChatModel` is taken to bear."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A way to a language model.

    Attributes:
        open: Makes the asynchronous context in which the model answers.
        model: Its name; empty where there is none.
        identity: What its answers depend on.
        concurrency: Questions that may be put to it at once.
    """

    open: Callable[[], AbstractAsyncContextManager[ChatModel | None]]
    model: str = ""
    identity: str = ""
    concurrency: int = 1

    @classmethod
    async def find(
        cls,
        lm: str | Sequence[str] | ChatModel,
        resources: ExitStack,
        *,
        concurrency: int | None = None,
        timeout: float = TIMEOUT_SECONDS,  # noqa: ASYNC109 - for the model's answers, not for this
        patience: float = PATIENCE_SECONDS,
    ) -> Connection:
        """Find a model.

        Args:
            lm: ``none``, ``embedded``, ``MODEL@URL`` or a URL; several of the latter for servers of one model; or any
                `ChatModel`.
            resources: What an embedded model's server ends with.
            concurrency: Requests in flight at each server at most; by default what it takes.
            timeout: Seconds for an answer.
            patience: Seconds to wait while no server is up.

        Raises:
            InputError: The specification is none, or several name different models.
            ModelError: The server does not say what its model is.
        """
        if not isinstance(lm, str) and not isinstance(lm, Sequence):
            return cls(lambda: _given(lm), lm.model, lm.identity, concurrency or _OF_A_GIVEN_MODEL)
        specs = [ModelSpec.parse(text) for text in ([lm] if isinstance(lm, str) else lm)]
        kinds = {spec.kind for spec in specs}
        if len(specs) != 1 and kinds != {"server"}:
            raise InputError("several language models", remedy="Give --lm once, or several times with URLs.")
        if kinds == {"none"}:
            return cls(lambda: _given(None))
        limits: dict[str, Any] = {"timeout": timeout, "patience": patience}
        if kinds == {"embedded"}:
            return _embedded(resources, limits | {"concurrency": concurrency})
        limits["concurrency"] = concurrency or MOST_AT_ONCE
        urls = [spec.url for spec in specs]
        names = {spec.model for spec in specs if spec.model}
        if len(names) > 1:
            raise InputError(f"--lm names several models: {', '.join(sorted(names))}", remedy="Run each on its own.")
        name = names.pop() if names else ""
        if not name:
            async with ServedModel(urls) as served:
                name = served.model
        return cls(lambda: ServedModel(urls, name, **limits), name, name, len(set(urls)) * limits["concurrency"])


def _embedded(resources: ExitStack, limits: dict[str, Any]) -> Connection:
    from labelmill.models.embedded import embedded_server

    server = resources.enter_context(embedded_server())
    limits["concurrency"] = limits["concurrency"] or server.slots
    return Connection(
        lambda: ServedModel(server.base_url, server.model, key="EMPTY", identity=server.fingerprint, **limits),
        server.model,
        server.fingerprint,
        limits["concurrency"],
    )


@asynccontextmanager
async def _given(model: ChatModel | None) -> AsyncIterator[ChatModel | None]:
    yield model
