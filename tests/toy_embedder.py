"""An embedder without a model: hashed character n-grams; quick, deterministic, and near for texts that share letters."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WIDTH = 64


class HashedGrams:
    """Counts of a text's 1-3-grams, hashed into a few columns, scaled to length 1; no text has a zero vector."""

    name = "toy"

    def __init__(self, fingerprint: str = "toy-1") -> None:
        self.fingerprint = fingerprint
        self.texts = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: shape (n, 64)."""
        self.texts += len(texts)
        rows = np.zeros((len(texts), WIDTH))
        for row, text in zip(rows, texts, strict=True):
            padded = f" {text.casefold()} "
            grams = [padded[at : at + size] for size in (1, 2, 3) for at in range(len(padded) - size + 1)]
            np.add.at(row, [zlib.crc32(gram.encode()) % WIDTH for gram in grams], 1.0)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class HashedWords(HashedGrams):
    """A token is a word: its vector is that of its letters, moved a little by the word before it."""

    def embed_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Embed each word of texts: for each text shape (words, 64)."""
        return [self._words(text.split()) for text in texts]

    def tokenise(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Number the words of texts: for each text shape (words,)."""
        return [np.array([zlib.crc32(w.casefold().encode()) for w in text.split()], dtype=np.int64) for text in texts]

    def _words(self, words: list[str]) -> NDArray[np.float32]:
        alone = self.embed(words)
        moved = alone + 0.1 * np.roll(alone, 1, axis=0)
        return moved / np.linalg.norm(moved, axis=1, keepdims=True)
