"""An embedder that remembers: equal texts are embedded once, within a call and across calls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from labelmill.models.embedders.base import Embedder, TokenEmbedder

_LONGEST = 256
"""Characters of the longest text that is remembered: windows and names repeat, whole documents do not."""


class MemoEmbedder:
    """An embedder with a bounded memory of its latest vectors.

    The windows of a corpus share most of their words, and neighbouring documents share windows. A full memory of
    50,000 vectors of 384 dimensions takes about 90 MB. Threads may share one: their calls take turns.

    Args:
        embedder: Embeds what is not remembered.
        capacity: How many vectors are kept; those longest unused go first.
    """

    def __init__(self, embedder: Embedder, capacity: int = 50_000) -> None:
        """Start with an empty memory."""
        self.name = embedder.name
        self.fingerprint = embedder.fingerprint
        self._embedder = embedder
        self._capacity = capacity
        self._memory: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._turn = Lock()  # around the embedder too: what one thread embeds, the next need not
        if isinstance(embedder, TokenEmbedder):  # else there are no such methods here either; nothing is remembered
            self.embed_tokens = embedder.embed_tokens
            self.tokenise = embedder.tokenise

    def __len__(self) -> int:
        """Count the remembered vectors."""
        return len(self._memory)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts as the embedder itself does: shape (n, d), in order."""
        with self._turn:
            if not texts:
                return self._embedder.embed([])  # it knows the width
            rows = {text: self._memory[text] for text in dict.fromkeys(texts) if text in self._memory}
            unknown = [text for text in dict.fromkeys(texts) if text not in rows]
            if unknown:
                rows.update(zip(unknown, self._embedder.embed(unknown), strict=True))
            self._remember(rows)
        return np.stack([rows[text] for text in texts])

    def _remember(self, rows: dict[str, NDArray[np.float32]]) -> None:
        """Put these at the young end, then drop from the old end what is too much."""
        for text, row in rows.items():
            if text in self._memory:
                self._memory.move_to_end(text)
            elif len(text) <= _LONGEST:
                self._memory[text] = row.copy()  # a view would keep its whole batch alive
        while len(self._memory) > self._capacity:
            self._memory.popitem(last=False)
