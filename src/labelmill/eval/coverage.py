"""How much the final sets hold: how many documents have one, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.rankings import Rankings


def covered(rankings: Rankings) -> NDArray[np.float64]:
    """Say which documents have a final set that is not empty: 1 or 0, shape (D,)."""
    return np.asarray(rankings.selected.any(axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class SetSizes:
    """Mean and median number of labels in the final sets, empty ones included; labels, not fractions.

    Attributes:
        sizes: The distinct sizes, ascending, shape (s,).
        having: Which documents have each size, sparse, shape (s, D).
    """

    names: ClassVar[tuple[str, ...]] = ("set_size_mean", "set_size_median")
    ceiling: ClassVar[float] = np.inf

    sizes: NDArray[np.float64]
    having: Any

    @classmethod
    def of(cls, rankings: Rankings) -> SetSizes:
        """Group the documents by the size of their final set."""
        from scipy.sparse import csr_matrix

        sizes, codes = np.unique(rankings.selected.sum(axis=1), return_inverse=True)
        having = csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(len(sizes), len(codes)))
        return cls(sizes.astype(np.float64), having)

    @property
    def width(self) -> int:
        """A count and a running count per size."""
        return 2 * len(self.sizes)

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average the sizes, and find the one in the middle: of an even number the mean of both."""
        counts = np.asarray(self.having @ np.ascontiguousarray(weights.T)).T
        total = counts.sum(axis=1)
        upto = np.cumsum(counts, axis=1)
        # The middle documents, counted from 0, of n: (n - 1) // 2 and n // 2.
        lower, upper = (self.sizes[(upto <= place[:, None]).sum(axis=1)] for place in ((total - 1) // 2, total // 2))
        return np.stack([counts @ self.sizes / total, (lower + upper) / 2], axis=1)
