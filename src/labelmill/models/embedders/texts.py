"""What every embedder does to a text before it tokenises it."""

from __future__ import annotations


def encodable(text: str) -> str:
    """Replace what UTF-8 cannot hold (half a surrogate pair, which JSON can smuggle in), so that no text is refused."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
