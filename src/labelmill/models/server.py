"""One OpenAI-compatible server: one exchange over HTTP, its errors sorted, whether it lives. Nothing is sent twice.

aiohttp and not the `openai` package, whose client takes nine times the CPU per request (1.8 ms against 0.2 ms), which
is what bounds a bulk run against a fast server.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from labelmill.errors import ModelError, ModelRefused, ModelRejected, ModelUnavailable
from labelmill.models.address import is_this_machine

if TYPE_CHECKING:
    import aiohttp

_BUSY = {429}
_SLOW = {408, 503, 504}
_RETRIED = {409, 425}
_FATAL = {401, 403, 404}
_SECONDS_TO_CONNECT = 10.0
_SECONDS_TO_PROBE = 10.0
_SECONDS_FOR_A_PAGE = 30.0
_SECONDS_KEPT_ALIVE = 3.0
"""Less than the 5 s after which uvicorn closes an idle connection, else now and then a request meets a closed one."""

_LONGEST_WAIT = 300.0
"""What a server may ask for in ``Retry-After``, in seconds, at most."""


class Trouble(ModelUnavailable):
    """An exchange that brought no answer, and may bring one if it is repeated.

    Args:
        message: One line.
        kind: ``gone`` (no connection, one that broke, or 5xx: perhaps the server died), ``slow`` (a time-out, its own
            or a proxy's, or a full queue), ``busy`` (429) or ``garbled`` (an answer that is none).
        wait: Seconds until it may be repeated, where the server says so.
    """

    def __init__(self, message: str, kind: str, wait: float | None = None) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.kind = kind
        self.wait = wait


class Server:
    """A server at one address.

    Args:
        url: Its base URL, with its ``/v1``.
        key: Sent as a bearer token; never part of a message.
        timeout: Seconds for an answer.

    Raises:
        ModelRefused: The address is no URL.
    """

    def __init__(self, url: str, *, key: str, timeout: float) -> None:
        """Remember where to send."""
        self.url = url.rstrip("/")
        self.context_tokens: int | None = None
        self._root = self.url.removesuffix("/v1")
        self._key = key
        self._timeout = timeout
        self._proxy = _proxy(self.url)
        self._health: str | None = None

    async def open(self) -> None:
        """Make the connections' pool."""
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_SECONDS_KEPT_ALIVE),
            headers={"Authorization": f"Bearer {self._key or 'EMPTY'}", "Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=_SECONDS_TO_CONNECT),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def get(self, path: str) -> Any:
        """Ask for a JSON value; see `post`."""
        return self._json(path, await self._exchange("GET", path, None))

    async def text(self, path: str) -> str:
        """Ask for a text, such as ``/metrics``; see `post`."""
        return (await self._exchange("GET", path, None)).decode(errors="replace")

    async def post(self, path: str, body: bytes) -> tuple[dict[str, Any], float]:
        """Send one request.

        Args:
            path: From the server's root; ``/v1/…`` is below the base URL, wherever that is.
            body: JSON.

        Returns:
            The JSON object that was answered, and after how many seconds.

        Raises:
            Trouble: No answer now.
            ModelRejected: This request cannot be answered.
            ModelRefused: No request can be.
        """
        start = time.perf_counter()
        content = await self._exchange("POST", path, body)
        answer = self._json(path, content)
        if not isinstance(answer, dict):
            raise Trouble(f"{self._address(path)} did not answer a JSON object. {_CHECK_V1}", "garbled")
        return answer, time.perf_counter() - start

    async def models(self) -> list[str]:
        """Name the models it serves.

        Raises:
            ModelRefused: It is no OpenAI-compatible server.
        """
        try:
            listed = await self.get("/v1/models")
        except Trouble as trouble:
            if trouble.kind == "garbled":
                raise ModelRefused(str(trouble)) from trouble
            raise
        entries = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(entries, list):
            raise ModelRefused(f"{self._address('/v1/models')} did not answer a list of models. {_CHECK_V1}")
        known = [entry for entry in entries if isinstance(entry, dict)]
        longest = [entry.get("max_model_len") for entry in known]
        self.context_tokens = next((length for length in longest if isinstance(length, int)), None)
        return [str(entry.get("id")) for entry in known]

    async def alive(self) -> bool:
        """Tell whether it answers at all: by its health, or where it has no such page, by its list of models."""
        import aiohttp

        for path in [self._health] if self._health else ["/health", "/v1/models"]:
            try:
                limit = aiohttp.ClientTimeout(total=_SECONDS_TO_PROBE)
                async with self._session.get(self._address(path), timeout=limit, allow_redirects=False) as answer:
                    status = answer.status
            except (aiohttp.ClientError, OSError, ValueError):
                return False
            if path == "/health" and status in {404, 405, 501}:
                continue
            if status < 500:  # also one that asks for a key or for patience lives
                self._health = path
                return True
            return False
        return False

    async def _exchange(self, method: str, path: str, body: bytes | None) -> bytes:
        import aiohttp

        seconds = self._timeout if body is not None else min(self._timeout, _SECONDS_FOR_A_PAGE)
        limit = None if body is not None else aiohttp.ClientTimeout(total=seconds, sock_connect=_SECONDS_TO_CONNECT)
        try:
            async with self._session.request(
                method, self._address(path), data=body, allow_redirects=False, timeout=limit or self._session.timeout
            ) as answer:
                content = await answer.read()
        except aiohttp.InvalidURL as error:
            raise ModelRefused(f"{self.url} is no URL that can be asked. {_CHECK_V1}") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
                raise Trouble(f"No answer from {self.url} within {seconds:g} s. {_CHECK}", "slow") from error
            raise Trouble(f"No answer from {self.url} ({type(error).__name__}). {_CHECK}", "gone") from error
        if answer.status >= 300:
            raise self._status_error(answer, content)
        return content

    def _json(self, path: str, content: bytes) -> Any:
        try:
            return orjson.loads(content)
        except ValueError as error:
            raise Trouble(f"{self._address(path)} did not answer JSON. {_CHECK_V1}", "garbled") from error

    def _address(self, path: str) -> str:
        return self.url + path.removeprefix("/v1") if path.startswith("/v1/") else self._root + path

    def _status_error(self, answer: aiohttp.ClientResponse, content: bytes) -> ModelError:
        """Sort an HTTP status into the three kinds; the key never appears in the message."""
        status, wait = answer.status, _seconds(answer.headers.get("Retry-After"))
        page = bool(_MARKUP.match(content))
        said = ("" if page else _said(content)) or answer.reason or "no reason"
        if self._key:
            said = said.replace(self._key, "***")
        line = f"{self.url} answered {status}: {' '.join(said.split())[:300]}"
        if status in _FATAL:
            wrong_address = _CHECK_V1 if page else f"Check the model's name. {_CHECK_V1}"
            return ModelRefused(f"{line.rstrip('.')}. {wrong_address if status == 404 else 'Set OPENAI_API_KEY.'}")
        if status in _BUSY:
            return Trouble(line, "busy", wait)
        if status in _SLOW:
            return Trouble(line, "slow", wait)
        if status >= 500 or status in _RETRIED:
            return Trouble(line, "gone", wait)
        if status < 400:
            return ModelRefused(f"{line}. It sends elsewhere: give the URL that answers itself.")
        return ModelRejected(f"{line.rstrip('.')}. {_SHORTER}" if status == 400 and _TOO_LONG.search(said) else line)


_CHECK = "Check that the server runs and that the URL ends in /v1."
_CHECK_V1 = "Check that the URL ends in /v1."
_SHORTER = "Lower --chunk-characters."
_TOO_LONG = re.compile(r"context.(length|size|window)|max\w*.{0,20}.length|too long", re.IGNORECASE)
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<[!?a-zA-Z]")
"""A page, as of a web server: nothing that it says belongs into one line."""


def _proxy(url: str) -> str | None:
    """Find the environment's proxy for a URL, once and not for every request, as aiohttp itself would.

    Raises:
        ModelRefused: It is no URL.
    """
    from urllib.request import getproxies, proxy_bypass

    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    except ValueError as error:
        raise ModelRefused(f"{url} is no URL: {error}. {_CHECK_V1}") from error
    if scheme not in {"http", "https"} or not host:
        raise ModelRefused(f"{url} is no URL of a server: it begins with http://HOST or https://HOST. {_CHECK_V1}")
    proxy = None if is_this_machine(url) or proxy_bypass(host) else getproxies().get(scheme)
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _said(content: bytes) -> str:
    """Take a server's own words out of its error, where it gives them in one of the usual places."""
    text = content[:10_000].decode(errors="replace")
    try:
        value = orjson.loads(content)
    except ValueError:
        return text
    for place in (value.get("error"), value) if isinstance(value, dict) else ():
        if isinstance(place, str):
            return place
        said = place.get("message", place.get("detail")) if isinstance(place, dict) else None
        if said is not None:
            return said if isinstance(said, str) else json.dumps(said)
    return text


def _seconds(wait: str | None) -> float | None:
    """Read ``Retry-After`` where it is a number of seconds; a date, which no model server sends, is left out."""
    try:
        seconds = float(wait or "")
    except ValueError:
        return None
    return min(seconds, _LONGEST_WAIT) if seconds >= 0 else None
