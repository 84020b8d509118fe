"""What a linear student knows: one weight for each feature and label, those that matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.base import best_labels

_STEEP = 6.0
"""Of the curve from what least squares give, mostly 0..1 and now and then beyond, to what is strictly within."""

_DIGITS = 6

ARRAYS = {"data": np.float32, "indices": np.int32, "indptr": np.int64, "base": np.float32}

Found = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Labels of a document, best first, and their scores in 0..1."""


class LinearModel:
    """Sparse weights, CSR of shape (F, L), and what each label gets without any feature, shape (L,)."""

    def __init__(self, weights: Any, base: NDArray[np.float32]) -> None:
        """Keep both."""
        self._weights, self._base = weights, base

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], features: int, labels: int) -> LinearModel:
        """Take the arrays of a file.

        Raises:
            ValueError: They do not fit each other, or the numbers of features and labels.
        """
        from scipy import sparse

        data, indices, indptr, base = (arrays[name] for name in ARRAYS)
        # Checked before anything multiplies: the library that does so looks at no bounds.
        if not (len(indptr) == features + 1 and indptr[0] == 0 and indptr[-1] == len(data) == len(indices)):
            raise ValueError("its weights are not those of its features")
        if (np.diff(indptr) < 0).any() or len(base) != labels:
            raise ValueError("its weights are not those of its labels")
        if len(indices) and not (indices.min() >= 0 and indices.max() < labels):
            raise ValueError("its weights are for labels that it does not have")
        if not (np.isfinite(data).all() and np.isfinite(base).all()):
            raise ValueError("its weights are not finite")
        return cls(sparse.csr_array((data, indices, indptr), shape=(features, labels)), base)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give what `of` takes."""
        kept = (self._weights.data, self._weights.indices, self._weights.indptr, self._base)
        return {name: value.astype(kind) for (name, kind), value in zip(ARRAYS.items(), kept, strict=True)}

    def find(self, rows: Any, k: int) -> list[Found]:
        """Find the best labels of each row of features; a row's do not depend on the others."""
        found = []
        for labels, scores in self.scores(rows, k):
            best = best_labels(np.round(scores, _DIGITS), k)
            found.append((labels[best], squash(scores[best])))
        return found

    def scores(self, rows: Any, k: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Score labels for each row of features, as least squares have it: those among which the best k are.

        These are the labels that some feature speaks for or against, and of the others the k that get most without any:
        of a million labels, some thousand. Labels ascend.
        """
        product = rows @ self._weights
        product.sort_indices()
        for start, end in pairwise(product.indptr.tolist()):
            spoken = product.indices[start:end].astype(np.intp)
            scores = self._base[spoken] + product.data[start:end]
            silent = np.sort(self._first_without(spoken, k))
            place = np.searchsorted(spoken, silent)
            yield np.insert(spoken, place, silent), np.insert(scores, place, self._base[silent])

    def _first_without(self, spoken: NDArray[np.intp], k: int) -> NDArray[np.intp]:
        """Find the k labels that get most without any feature, but for those, ascending, that features speak of."""
        looked_at = k
        while True:
            first = self._by_base[:looked_at]
            place = np.minimum(np.searchsorted(spoken, first), max(len(spoken) - 1, 0))
            silent = first[spoken[place] != first] if len(spoken) else first
            if len(silent) >= k or looked_at >= len(self._by_base):
                return silent[:k]
            looked_at *= 4

    @cached_property
    def _by_base(self) -> NDArray[np.intp]:
        rounded = np.round(self._base, _DIGITS)
        return np.lexsort((np.arange(len(rounded)), -rounded))


def squash(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Bring what least squares say into 0..1, in the same order."""
    return np.asarray(1 / (1 + np.exp(-_STEEP * (np.round(scores, _DIGITS).astype(np.float64) - 0.5))))
