"""Metrics that divide sums over documents by sums over documents: what was reached by what could be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Shares = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""By metric: what each document reaches and what it could reach, shape (D,) each."""


@dataclass(frozen=True, slots=True, eq=False)
class Ratios:
    """What documents reach, summed, over what they could reach, summed; NaN where nothing could be reached.

    Attributes:
        names: One name per column.
        reached: Shape (D, len(names)), not negative.
        reachable: Shape (D, len(names)), nowhere below `reached`.
    """

    ceiling: ClassVar[float] = 1.0

    names: tuple[str, ...]
    reached: NDArray[np.float64]
    reachable: NDArray[np.float64]

    @classmethod
    def of(cls, pairs: Shares) -> Self:
        """Stack named pairs of what is reached and what is reachable, of shape (D,) each.

        A metric that no document has anything to say to is left out.
        """
        said = {name: pair for name, pair in pairs.items() if pair[1].any()}
        columns = [np.stack(side, axis=1) for side in zip(*said.values(), strict=True)]
        nothing = np.empty((0, 0))
        return cls(tuple(said), *(columns or (nothing, nothing)))

    @property
    def width(self) -> int:
        """Two sums per metric."""
        return 2 * len(self.names)

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Divide the sums over documents."""
        if not self.names:
            return np.empty((len(weights), 0))
        reachable = weights @ self.reachable
        missing = np.full_like(reachable, np.nan)
        return np.asarray(np.divide(weights @ self.reached, reachable, out=missing, where=reachable > 0))
