"""One server that is asked for what it can do: requests that are not repeated, and notes of what it refuses."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from labelmill.errors import InputError, ModelRefused, ModelUnavailable
from labelmill.models.address import holds_secret, is_this_machine

if TYPE_CHECKING:
    import aiohttp

WRONG_KEY = frozenset({401, 403})

_BUSY = frozenset({408, 425, 429, 502, 503, 504})
_SECONDS = 180.0
_NOTED = 200


class Probe:
    """Asks one server; see `open`.

    Attributes:
        url: The base URL, with its ``/v1`` where the server needs it.
        notes: What the server said where it refused something.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        """Remember whom to ask."""
        self.url = url
        self.notes: list[str] = []
        self._session = session
        self._key = key

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, key: str | None = None) -> AsyncIterator[Probe]:
        """Open connections to a server; see `examine`."""
        import aiohttp

        try:
            secret = holds_secret(url)
        except ValueError:
            raise InputError(f"{url!r} is no URL", remedy="Use http://host:port/v1.") from None
        if secret:  # and none in this message either
            raise InputError(
                "the URL holds a user name, a password, a query or a fragment", remedy="Set OPENAI_API_KEY instead."
            )
        if key is None:
            key = os.environ.get("OPENAI_API_KEY", "").strip()
        headers = {"Authorization": f"Bearer {key or 'EMPTY'}"}
        async with aiohttp.ClientSession(headers=headers, trust_env=not is_this_machine(url)) as session:
            yield cls(session, url.rstrip("/"), key)

    @property
    def root(self) -> str:
        """Where vLLM's own paths begin."""
        return self.url.removesuffix("/v1")

    async def get(self, url: str, seconds: float = _SECONDS) -> tuple[int, str]:
        """Give the status and the text of what lies at a URL."""
        return await self._send("GET", url, None, seconds)

    async def post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """Give the answer to a request; empty, with a note, where it was refused or is no JSON object.

        Raises:
            ModelUnavailable: No answer, or the server is too busy for one.
            ModelRefused: A wrong key.
        """
        status, text = await self._send("POST", url, body, _SECONDS)
        value = parsed(text)
        if status in _BUSY:
            raise ModelUnavailable(f"{url} answered {status}: {self.clean(text)}. Try again when it is less busy.")
        if status in WRONG_KEY and url.startswith(f"{self.url}/"):  # elsewhere it may be closed to everybody
            raise ModelRefused(f"{url} answered {status}: {self.clean(text)}. Set OPENAI_API_KEY.")
        if status != 200 or not value:
            self._note(url, status, value, text)
            return {}
        return value

    async def _send(self, method: str, url: str, body: dict[str, Any] | None, seconds: float) -> tuple[int, str]:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            # A redirect would take the key elsewhere.
            async with self._session.request(
                method, url, json=body, timeout=timeout, allow_redirects=False
            ) as response:
                return response.status, (await response.read()).decode("utf-8", "replace")
        except (aiohttp.ClientError, OSError, ValueError) as error:  # time-outs are OSErrors
            raise ModelUnavailable(
                f"No answer from {self.url} ({type(error).__name__}). "
                "Check that the server runs and that the URL ends in /v1."
            ) from error

    def _note(self, url: str, status: int, value: dict[str, Any], text: str) -> None:
        said = mapping(value.get("error")).get("message") or value.get("message") or value.get("detail") or text
        note = f"{url.removeprefix(self.root)}: {status} {self.clean(str(said))}".rstrip()
        if note not in self.notes:
            self.notes.append(note)

    def clean(self, text: str) -> str:
        """Make a server's words fit for one line, and black out the key in case that they repeat it."""
        if self._key:
            text = text.replace(self._key, "***")
        line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
        return line if len(line) <= _NOTED else f"{line[:_NOTED]}…"


def parsed(text: str) -> dict[str, Any]:
    """Read a JSON object; empty where it is something else."""
    try:
        return mapping(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def mapping(value: object) -> dict[str, Any]:
    """Take a value for a mapping; empty where it is something else."""
    return value if isinstance(value, dict) else {}
