"""How a user names a language model: ``none``, ``embedded``, ``MODEL@URL`` or a server's URL alone."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from labelmill.errors import InputError
from labelmill.models.address import holds_secret

_REMEDY = "Use none, embedded, MODEL@http://host:port/v1 or http://host:port/v1."


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A language model as the user named it.

    Attributes:
        kind: ``none``, ``embedded`` or ``server``.
        model: The model's name at the server; empty where the server is to be asked.
        url: The server's base URL with its ``/v1``; empty unless `kind` is ``server``.
    """

    kind: str
    model: str = ""
    url: str = ""

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """Read what the user wrote.

        Raises:
            InputError: It is none of the forms.
        """
        if text in {"none", "embedded"}:
            return cls(text)
        model, at, rest = text.rpartition("@http")
        url = f"http{rest}" if at else text
        try:
            parts = urlsplit(url)
            secret = holds_secret(url) or "://" in model
        except ValueError:  # half a pair of brackets, for example
            raise InputError(f"unknown language model {text!r}", remedy=_REMEDY) from None
        if secret:  # and none in this message either
            raise InputError(
                "the language model's URL holds a user name, a password, a query or a fragment",
                remedy="Set OPENAI_API_KEY instead.",
            )
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise InputError(f"unknown language model {text!r}", remedy=_REMEDY)
        if at and not model:
            raise InputError(f"the language model {text!r} has no model name before '@'", remedy=_REMEDY)
        return cls("server", model, url.rstrip("/"))
