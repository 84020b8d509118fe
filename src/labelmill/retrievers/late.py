"""Late interaction: how well each token of a label's names is met somewhere in the document.

MaxSim of ColBERT (Khattab and Zaharia, SIGIR 2020), with the roles turned: the label asks, the document answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.base import TokenEmbedder
from labelmill.retrievers.tokens import NameTokens, Tokens, quantise
from labelmill.retrievers.views import View

LATE_VERSION = 1
"""Raised whenever the same tokens would give other numbers."""

_CHUNKS = 16
_LABEL_BLOCK, _TEXT_BLOCK = 4096, 512
"""Tokens whose product is taken at once: 8 MB. Products are exact, so that where they are cut changes no number."""


class LateInteraction:
    """For every token of a name the largest cosine with a token of the document; then their mean, or their least.

    A label's ``name_…`` is of its name, its ``best_…`` the best of its name and aliases; ``…_weighted`` is the mean
    weighted by how telling the tokens are, ``…_min`` the cosine of the token that is met worst. A name without any
    token, and every name where the document has none, gets 0.

    Args:
        view: Names and aliases.
        names: Their tokens.
        embedder: What made them, and embeds the documents.

    Attributes:
        fingerprint: The embedder's and the formulas'. The taxonomy is no part of it.
    """

    columns = ("name_mean", "name_weighted", "best_mean", "best_weighted", "best_min")

    def __init__(self, view: View, names: NameTokens, embedder: TokenEmbedder) -> None:
        """Keep the tokens, and where each label's texts begin."""
        self.name = f"late.{embedder.name}"
        self.fingerprint = f"late{LATE_VERSION}-{embedder.fingerprint}"
        self._embedder = embedder
        self._names = names
        self._starts = np.unique(view.owners, return_index=True)[1]
        self._ends = np.append(self._starts[1:], len(view.owners))

    def score(
        self, texts: Sequence[Sequence[str]], candidates: Sequence[NDArray[np.int32]]
    ) -> list[NDArray[np.float32]]:
        """Score each document's candidates; see `Scorer`."""
        return [self._score_one(chunks, labels) for chunks, labels in zip(texts, candidates, strict=True)]

    def _score_one(self, chunks: Sequence[str], labels: NDArray[np.int32]) -> NDArray[np.float32]:
        counts = self._ends[labels] - self._starts[labels]
        texts = self._names.texts[_spans(self._starts[labels], counts)]
        lengths = np.diff(self._names.ends, prepend=0)[texts]
        tokens = _spans(self._names.ends[texts] - lengths, lengths)
        scores = _reduce(self._met(tokens, chunks), self._names.weights[tokens], lengths)
        first = np.cumsum(counts) - counts
        best = np.maximum.reduceat(scores, first, axis=0) if len(labels) else scores
        return np.column_stack([scores[first, :2], best]).astype(np.float32)

    def _met(self, tokens: NDArray[np.intp], chunks: Sequence[str]) -> NDArray[np.float32]:
        """Find each label token's largest cosine with a token of the chunks, or 0: shape (tokens,)."""
        best = np.full(len(tokens), -np.inf, dtype=np.float32)
        for start in range(0, len(chunks), _CHUNKS):
            text = quantise(np.concatenate(self._embedder.embed_tokens(chunks[start : start + _CHUNKS])))
            for at in range(0, len(tokens), _LABEL_BLOCK):
                part = slice(at, at + _LABEL_BLOCK)
                np.maximum(best[part], _largest(self._names.tokens, tokens[part], text), out=best[part])
        best[np.isinf(best)] = 0
        return best * self._names.tokens.scales[tokens]


def _largest(names: Tokens, tokens: NDArray[np.intp], text: Tokens) -> NDArray[np.float32]:
    """Give the maximum over the text's tokens for each of some tokens of names, yet to be scaled by the latter."""
    best = np.full(len(tokens), -np.inf, dtype=np.float32)
    rows = names.factors(tokens)
    for start in range(0, len(text.scales), _TEXT_BLOCK):
        part = slice(start, start + _TEXT_BLOCK)
        products = (rows @ text.factors(part).T) * text.scales[part]
        np.maximum(best, products.max(axis=1), out=best)
    return best


def _reduce(met: NDArray[np.float32], weights: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Reduce tokens to texts: mean, weighted mean and minimum, shape (texts, 3); a text without tokens gets 0."""
    reduced = np.zeros((len(lengths), 3))
    spoken = lengths > 0
    if not spoken.any():
        return reduced
    starts = (np.cumsum(lengths) - lengths)[spoken]
    exact = met.astype(np.float64)
    reduced[spoken, 0] = np.add.reduceat(exact, starts) / lengths[spoken]
    reduced[spoken, 1] = np.add.reduceat(exact * weights, starts) / np.add.reduceat(weights.astype(np.float64), starts)
    reduced[spoken, 2] = np.minimum.reduceat(exact, starts)
    return reduced


def _spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """List start, start + 1, … of each span, one span after the other."""
    before = np.cumsum(lengths) - lengths
    places: NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    return places
