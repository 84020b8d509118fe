"""Dealing gold documents into parts, of which each is left out in turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def draw_parts(groups: NDArray[np.int64], folds: int = FOLDS, seed: int = 0) -> NDArray[np.int64]:
    """Deal documents into parts of about equal size.

    Args:
        groups: What must stay together: a number for the document of each candidate, or for each document, shape (n,).
        folds: How many parts; at most one per document.
        seed: Of the draw.

    Returns:
        The part of each, from 0, shape (n,).
    """
    documents, places = np.unique(groups, return_inverse=True)
    dealt = np.arange(len(documents)) % min(folds, len(documents))
    return np.asarray(np.random.default_rng(seed).permutation(dealt)[places], dtype=np.int64)
