"""What an embedder is, as this package sees it; the same seam as the retrievers', which it may not import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    """Turns texts into unit vectors; see `labelmill.retrievers.base.Embedder`, which every one of these satisfies."""

    name: str
    fingerprint: str

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: shape (n, d), rows of length 1; no text at all gives shape (0, d)."""
        ...


@runtime_checkable
class TokenEmbedder(Embedder, Protocol):
    """Has a vector for every token, too; see `labelmill.retrievers.base.TokenEmbedder`."""

    def embed_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Embed each token of texts: for each text shape (tokens, d), rows of length 1."""
        ...

    def tokenise(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Number the tokens that `embed_tokens` has rows for: for each text shape (tokens,)."""
        ...
