"""How a user names an embedder: ``minilm``, ``use``, ``wordllama``, ``st:NAME`` or ``MODEL@URL``."""

from __future__ import annotations

from urllib.parse import urlsplit

from labelmill.errors import InputError
from labelmill.models.embedders.base import Embedder

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
    if "@http" in spec:
        return _server(spec)
    raise InputError(f"unknown embedder {spec!r}", remedy=_REMEDY)


def _server(spec: str) -> Embedder:
    from labelmill.models.embedders.server import ServerEmbedder

    model, _, url = spec.rpartition("@")
    try:
        parts = urlsplit(url)
        malformed = parts.scheme not in {"http", "https"} or not parts.hostname
    except ValueError:  # a bracket without its pair
        malformed = True
    if "@http" in model or not model or malformed:
        # A password before the host puts a second '@' there; do not repeat it.
        raise InputError("the embedder at a server is not MODEL@http://host:port/v1", remedy=_REMEDY)
    return ServerEmbedder(model, url)
