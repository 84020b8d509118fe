"""Whole documents as vectors, for what learns from labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.base import Embedder


def embed_documents(embedder: Embedder, texts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """Embed documents as the means of their chunks.

    Returns:
        Shape (texts, d), rows of length 1, or of zeros where a document has no chunk.

    Raises:
        TypeError: A document is a text instead of its chunks, which would be read letter by letter.
    """
    if any(isinstance(chunks, str) for chunks in texts):
        raise TypeError("a document is a list of chunks, not a text: cut it as documents are cut")
    vectors = embedder.embed([chunk for chunks in texts for chunk in chunks])
    ends = np.cumsum([0, *(len(chunks) for chunks in texts)], dtype=np.intp).tolist()
    means = np.empty((len(texts), vectors.shape[1]), dtype=np.float32)
    for place, (start, end) in enumerate(pairwise(ends)):
        total = vectors[start:end].sum(axis=0)
        means[place] = total / max(float(np.linalg.norm(total)), 1e-12)
    return means
