"""What an embedder is, as this package sees it; the same seam as the retrievers', which it may not import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    """Turns texts into unit vectors; see `labelmill.retrievers.base.Embedder`, which every one of these satisfies."""

    name: str
    fingerprint: str

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: shape (n, d), rows of length 1; no text at all gives shape (0, d)."""
        ...
