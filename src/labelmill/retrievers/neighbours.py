"""Labels of the nearest labelled documents: what examples say of a text, whatever the labels are called.

Nearest neighbours with the votes weighted by similarity; needs no word in common between a label and a text, but
examples of the label. Exact, for up to some ten thousand examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelmill.keys import content_key
from labelmill.retrievers.base import Embedder, Hits, best_labels
from labelmill.retrievers.documents import embed_documents

NEIGHBOURS_VERSION = 1
"""Raised whenever the same examples would give other numbers."""

NEAREST = 20
"""Examples that vote."""

POWER = 4.0
"""Of the cosine, in a vote; the larger, the more the very nearest count."""


_NONE = np.empty(0, dtype=np.intp)


class Neighbours:
    """A label scores the share of the votes that examples with it have; in 0..1.

    The nearest examples vote, each by the power of its cosine with the text; one at a right angle or beyond does not.
    A text's vector is the mean of its chunks' vectors, scaled to length 1.

    Args:
        embedder: Embeds examples and documents.
        texts: For each example its chunks.
        labels: For each example its labels' positions in the taxonomy.
        nearest: How many examples vote.
        power: Of the cosine.

    Attributes:
        fingerprint: The embedder's, the examples' and their labels'.
    """

    def __init__(
        self,
        embedder: Embedder,
        texts: Sequence[Sequence[str]],
        labels: Sequence[Sequence[int]],
        *,
        nearest: int = NEAREST,
        power: float = POWER,
    ) -> None:
        """Embed the examples; raises as `embed_documents` does."""
        self.name = f"neighbours.{embedder.name}"
        own = [sorted(set(given)) for given in labels]
        parts = (NEIGHBOURS_VERSION, embedder.fingerprint, [list(chunks) for chunks in texts], own, nearest, power)
        self.fingerprint = content_key(*parts)
        self._embedder = embedder
        self._nearest = nearest
        self._power = power
        self._labels = [np.array(positions, dtype=np.intp) for positions in own]
        self._vectors = embed_documents(embedder, texts)
        self._found, self._counts = np.unique(np.concatenate([_NONE, *self._labels]), return_counts=True)
        if len(self._vectors) != len(self._labels):
            raise ValueError(f"{len(self._vectors)} examples with the labels of {len(self._labels)}")

    def retrieve(
        self, queries: Sequence[Sequence[str]], k: int, without: Sequence[Sequence[int]] | None = None
    ) -> list[Hits]:
        """Find the labels of the examples nearest to each document; see `Retriever`.

        Args:
            queries: For each document its chunks; they make one query, so that every hit is of query 0.
            k: How many labels a document gets at most.
            without: For each document the places of the examples that do not count for it: its own, for one.
        """
        left_out = [()] * len(queries) if without is None else without
        vectors = embed_documents(self._embedder, queries)
        return [self._retrieve_one(vector, k, places) for vector, places in zip(vectors, left_out, strict=True)]

    def log_shares(self, labels: NDArray[np.int32], without: Sequence[int] = ()) -> NDArray[np.float32]:
        """Say how frequent labels are among the examples: the logarithm of their share, shape (k,).

        The share is (count + 1/2) / (examples + 1), so that no label is impossible (Krichevsky and Trofimov, IEEE
        Transactions on Information Theory 27, 1981).

        Args:
            labels: Positions in the taxonomy, shape (k,).
            without: The places of examples that do not count.
        """
        counts = np.zeros(len(labels))
        if len(self._found):
            places = np.minimum(np.searchsorted(self._found, labels), len(self._found) - 1)
            counts += np.where(self._found[places] == labels, self._counts[places], 0)
        for place in without:
            counts -= np.isin(labels, self._labels[place])
        total = len(self._labels) - len(without)
        shares: NDArray[np.float64] = (counts + 0.5) / (total + 1)
        return np.log(shares).astype(np.float32)

    def _retrieve_one(self, vector: NDArray[np.float32], k: int, left_out: Sequence[int]) -> Hits:
        # One product a document, not one a batch: its last bits depend on the shape.
        cosines = self._vectors @ vector
        cosines[list(left_out)] = -np.inf
        nearest = best_labels(cosines, self._nearest)
        votes = np.maximum(cosines[nearest].astype(np.float64), 0) ** self._power
        if not votes.sum() > 0:
            return Hits.empty()
        voted = np.concatenate([_NONE, *(self._labels[example] for example in nearest)])
        labels, places = np.unique(voted, return_inverse=True)
        each = np.repeat(votes, [len(self._labels[example]) for example in nearest])
        shares = (np.bincount(places, each, len(labels)) / votes.sum()).astype(np.float32)
        best = best_labels(np.where(shares > 0, shares, -np.inf).astype(np.float32), k)
        return Hits(labels[best].astype(np.int32), shares[best], np.zeros(len(best), dtype=np.int32))
