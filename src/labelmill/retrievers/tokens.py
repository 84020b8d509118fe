"""Vectors of tokens in a byte a dimension, and the file of those of every name that labels go by.

Bytes for two reasons. They take a quarter of the room. And the product of two such vectors is a whole number that
float32 holds exactly, so that it is the same in every shape of product, on every processor: what a candidate scores
cannot depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.base import TokenEmbedder
from labelmill.retrievers.views import View

_STEPS = 127
_WIDEST_EXACT = 2**24 // _STEPS**2  # 1,040 dimensions
_TEXTS_PER_CALL = 4096


@dataclass(frozen=True, slots=True)
class Tokens:
    """Unit vectors of tokens, quantised row by row.

    Attributes:
        rows: int8, shape (tokens, d).
        scales: What a row is multiplied with to be the vector, float32, shape (tokens,).
    """

    rows: NDArray[np.int8]
    scales: NDArray[np.float32]

    def factors(self, part: slice | NDArray[np.intp]) -> NDArray[np.float32 | np.float64]:
        """Give rows as operands of a product in floating point that is exact whatever its order."""
        exact = np.float32 if self.rows.shape[1] <= _WIDEST_EXACT else np.float64
        return self.rows[part].astype(exact)


def quantise(vectors: NDArray[np.float32]) -> Tokens:
    """Round vectors to a byte a dimension, by a scale for each row: shape (tokens, d)."""
    peaks = np.abs(vectors).max(axis=1, initial=1e-12)
    scales = (peaks / _STEPS).astype(np.float32)
    return Tokens(np.rint(vectors / scales[:, None]).astype(np.int8), scales)


@dataclass(frozen=True, slots=True)
class NameTokens:
    """The tokens of every text of a view, equal texts once.

    Attributes:
        tokens: Their vectors, opened as a memory map.
        weights: How telling each token is: its inverse document frequency among the texts, float32, shape (tokens,).
        ends: Where each distinct text's tokens end, int64, shape (distinct texts,).
        texts: Which distinct text each text of the view is, intp, shape (texts,).
    """

    tokens: Tokens
    weights: NDArray[np.float32]
    ends: NDArray[np.int64]
    texts: NDArray[np.intp]

    @classmethod
    def build(cls, view: View, embedder: TokenEmbedder, folder: Path, told: Callable[[int, int], None]) -> None:
        """Write the tokens of the view's texts into a folder, as npy; told how many texts are done, and of how many."""
        distinct = list(dict.fromkeys(view.texts))
        ends, weights = _weigh(embedder, distinct)
        scales = np.empty(len(weights), dtype=np.float32)
        start, rows = 0, None
        for done, found in _quantised(embedder, distinct):
            told(done, len(distinct))
            if rows is None:  # the first tell the width
                shape = len(weights), found.rows.shape[1]
                rows = np.lib.format.open_memmap(folder / "rows.npy", mode="w+", dtype=np.int8, shape=shape)
            end = start + len(found.scales)
            rows[start:end], scales[start:end] = found.rows, found.scales
            start = end
        for name, values in (("scales", scales), ("weights", weights), ("ends", ends)):
            np.save(folder / f"{name}.npy", values)
        told(len(distinct), len(distinct))

    @classmethod
    def open(cls, view: View, folder: Path) -> NameTokens:
        """Open what `build` wrote.

        Raises:
            ValueError: The files do not fit each other.
        """
        scales, weights, ends = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("scales", "weights", "ends")
        )
        rows = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
        numbers: dict[str, int] = {}
        texts = np.array([numbers.setdefault(text, len(numbers)) for text in view.texts], dtype=np.intp)
        if not len(rows) == len(scales) == len(weights) == ends[-1] or len(ends) != len(numbers):
            raise ValueError("its files do not fit each other")
        return cls(Tokens(rows, scales), weights, ends, texts)


def _quantised(embedder: TokenEmbedder, texts: list[str]) -> Iterator[tuple[int, Tokens]]:
    """Embed the texts by and by; give how many were done before, and the tokens of the next."""
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        yield start, quantise(np.concatenate(embedder.embed_tokens(texts[start : start + _TEXTS_PER_CALL])))


def _weigh(embedder: TokenEmbedder, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Say where each text's tokens end, and what each token weighs: the idf of BM25, which is never negative."""
    numbered = [
        ids
        for start in range(0, len(texts), _TEXTS_PER_CALL)
        for ids in embedder.tokenise(texts[start : start + _TEXTS_PER_CALL])
    ]
    kinds, tokens = np.unique(np.concatenate(numbered), return_inverse=True)
    ends = np.cumsum([len(ids) for ids in numbered], dtype=np.int64)
    owners = np.repeat(np.arange(len(texts)), [len(ids) for ids in numbered])
    pairs = np.unique(owners * max(len(kinds), 1) + tokens)  # a token counts once in a text
    frequencies = np.bincount(pairs % max(len(kinds), 1), minlength=len(kinds))
    idf = np.log1p((len(texts) - frequencies + 0.5) / (frequencies + 0.5))
    return ends, idf[tokens].astype(np.float32)
