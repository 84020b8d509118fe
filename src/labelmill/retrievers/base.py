"""The seam of the Retrieve stage: what a retriever is given, what it gives, and what an embedder is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hits:
    """The best labels for one document in one lane, best first.

    Attributes:
        labels: Positions in the taxonomy, int32, shape (k,).
        scores: float32, shape (k,), not increasing; ties are broken by position.
        queries: Index of the query that gave each score, int32, shape (k,).
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    queries: NDArray[np.int32]

    @classmethod
    def empty(cls) -> Hits:
        """Nothing found."""
        return cls(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int32))


def best_labels(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Select the indexes of the k largest scores, best first, ties by index.

    The cut itself is by (score, index) too, so that the selection is one well-defined set.

    Args:
        scores: Shape (n,); minus infinity never qualifies.
        k: How many at most.
    """
    if k < len(scores):
        cut = np.partition(scores, len(scores) - k)[len(scores) - k]
        chosen = np.flatnonzero(scores >= cut)
    else:
        chosen = np.arange(len(scores))
    chosen = chosen[scores[chosen] > -np.inf]
    return chosen[np.lexsort((chosen, -scores[chosen]))][:k]


class Retriever(Protocol):
    """Finds labels for queries."""

    name: str

    def retrieve(self, queries: Sequence[Sequence[str]], k: int) -> list[Hits]:
        """Find the best labels for each document's queries.

        Args:
            queries: For each document its queries (none, one or many). A label's score is the maximum over them.
            k: How many labels a document gets at most; labels without any score are left out.

        Returns:
            One `Hits` per document, in order. What a document gets does not depend on the others in the batch.
        """
        ...


class Scorer(Protocol):
    """Looks closer at the candidates that retrievers found; finds none of its own.

    Attributes:
        name: ``late`` or ``overlap``, for example.
        fingerprint: Changes whenever a candidate would get other numbers.
    """

    name: str
    fingerprint: str

    @property
    def columns(self) -> tuple[str, ...]:
        """What it says of a candidate, one number each; names that are fit to be read."""
        ...

    def score(
        self, texts: Sequence[Sequence[str]], candidates: Sequence[NDArray[np.int32]]
    ) -> list[NDArray[np.float32]]:
        """Score each document's candidates.

        Args:
            texts: For each document its chunks.
            candidates: For each document positions in the taxonomy, shape (k,).

        Returns:
            For each document float32, shape (k, columns), finite. It does not depend on the others in the batch.
        """
        ...


class Embedder(Protocol):
    """Turns texts into unit vectors.

    Attributes:
        name: What the user calls it: ``minilm``.
        fingerprint: Changes whenever the same text would get another vector; part of every cache key.
    """

    name: str
    fingerprint: str

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: shape (n, d), rows of length 1. A text's vector does not depend on the others in the call."""
        ...


@runtime_checkable
class TokenEmbedder(Embedder, Protocol):
    """Has a vector for every token, too: what late interaction needs."""

    def embed_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Embed each token of texts, in its context and to the text's end.

        Returns:
            For each text shape (tokens, d), rows of length 1; none for marks that only frame it. They do not depend
            on the others in the call.
        """
        ...

    def tokenise(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Number the tokens that `embed_tokens` has rows for: for each text shape (tokens,), equal for equal tokens."""
        ...
