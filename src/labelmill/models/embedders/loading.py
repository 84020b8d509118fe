"""How a user names an embedder: ``minilm``, ``use``, ``wordllama``, ``st:NAME`` or ``MODEL@URL``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labelmill.errors import InputError
from labelmill.models.address import holds_secret, is_this_machine
from labelmill.models.embedders.base import Embedder

if TYPE_CHECKING:
    from labelmill.models.embedders.server import ServerEmbedder

_REMEDY = "Use minilm, use, wordllama, st:NAME or MODEL@http://host:port/v1."


def load_embedder(spec: str) -> Embedder:
    """Make the embedder that the user named; no file is read and nothing is sent before its first text.

    Args:
        spec: ``minilm`` (English, the default of most programs), ``minilm-float32`` (the same, unquantised), ``use``
            (16 languages), ``wordllama`` (the fastest), ``st:NAME`` (sentence-transformers) or ``MODEL@URL``
            (an OpenAI-compatible server).

    Raises:
        InputError: It is none of these.
    """
    if spec in {"minilm", "minilm-float32"}:
        from labelmill.models.embedders.minilm import MiniLM

        return MiniLM(quantised=spec == "minilm")
    if spec == "use":
        from labelmill.models.embedders.use import UniversalSentenceEncoder

        return UniversalSentenceEncoder()
    if spec == "wordllama":
        from labelmill.models.embedders.wordllama_embedder import WordLlamaEmbedder

        return WordLlamaEmbedder()
    if spec.startswith("st:") and len(spec) > len("st:"):
        from labelmill.models.embedders.sentence_transformer import SentenceTransformerEmbedder

        return SentenceTransformerEmbedder(spec.removeprefix("st:"))
    if "://" in spec:
        return _server(spec)
    raise InputError(f"unknown embedder {spec!r}", remedy=_REMEDY)


def leaves_this_machine(spec: str) -> bool:
    """Tell whether an embedder is sent its texts at another machine than this one.

    Raises:
        InputError: It is at a server whose URL cannot be used.
    """
    return "://" in spec and not spec.startswith("st:") and not is_this_machine(_server(spec).url)


def _server(spec: str) -> ServerEmbedder:
    from labelmill.models.embedders.server import ServerEmbedder

    model, _, rest = spec.partition("@http")
    url = f"http{rest}"
    try:
        parts = urlsplit(url)
        malformed = parts.scheme not in {"http", "https"} or not parts.hostname
        secret = holds_secret(url)
    except ValueError:  # a bracket without its pair
        malformed, secret = True, False
    # Neither message repeats what was given: there may be a password in it.
    if secret:
        raise InputError(
            "the embedder's URL holds a user name, a password, a query or a fragment",
            remedy="Set OPENAI_API_KEY instead.",
        )
    if not model or "://" in model or malformed:
        raise InputError("the embedder at a server is not MODEL@http://host:port/v1", remedy=_REMEDY)
    return ServerEmbedder(model, url)
