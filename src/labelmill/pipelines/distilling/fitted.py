"""What comes of fitting a student, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.students.features import Features
from labelmill.retrievers.students.linear import Found, LinearModel
from labelmill.retrievers.students.trees import NamedTrees, TreeModel

CANDIDATES = 20
"""Labels that a student ranks."""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A student, and what it is like.

    Attributes:
        model: What it knows.
        features: What it looks at.
        labels: Positions of the labels that it knows, in its order, shape (L,).
        unseen: Rows of the lessons that were judged without having been seen, shape (D,).
        found: What was then said of each: labels as positions in the taxonomy, and scores.
        figures: How it was fitted.
    """

    model: LinearModel | TreeModel | NamedTrees
    features: Features
    labels: NDArray[np.int32]
    unseen: NDArray[np.intp]
    found: list[Found]
    figures: dict[str, Any]

    @property
    def width(self) -> int:
        """Of the embedder's vectors; 0 without one."""
        return int(self.figures["width"])
