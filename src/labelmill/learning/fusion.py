"""Learned fusion: from what lanes and scorers say of a candidate to the log-odds that it applies.

Two models, each good where the other is not, are averaged in log-odds: a regularised logistic regression, which
tens of documents determine, and boosted trees, which see what a line does not (a lane that is right only where
another agrees). Which of them, or both, is chosen by cross-validation; see `labelmill.learning.fusing`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

_Finite = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
_Positive = Annotated[float, Field(ge=1e-12, le=1e12, allow_inf_nan=False)]


class Linear(BaseModel):
    """Logistic regression on standardised columns: intercept + sum of weight * (value - mean) / scale.

    Attributes:
        intercept: Log-odds of an average candidate.
        weights: One per column.
        means: Of each column over the candidates that it was learned from.
        scales: Their standard deviations; 1 where a column is constant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    intercept: _Finite
    weights: tuple[_Finite, ...]
    means: tuple[_Finite, ...]
    scales: tuple[_Positive, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Linear:
        if not len(self.weights) == len(self.means) == len(self.scales):
            raise ValueError(f"{len(self.weights)} weights, {len(self.means)} means and {len(self.scales)} scales")
        return self

    def log_odds(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the log-odds of candidates, shape (n,), from their columns, shape (n, columns)."""
        standardised = (values - np.array(self.means)) / np.array(self.scales)
        # Row by row, and not as a matrix product, whose last bits depend on the number of rows.
        return np.asarray((standardised * np.array(self.weights)).sum(axis=1) + self.intercept)


class Trees(BaseModel):
    """Boosted trees: the sum of one leaf's value per tree.

    All trees lie in the same lists, one after the other. Of node i: where ``columns[i]`` is -1 it is a leaf of
    ``values[i]``; else a candidate goes on to ``left[i]`` where its column is at most ``values[i]``, and to the node
    after i otherwise.

    Attributes:
        baseline: Log-odds before the first tree.
        roots: Where each tree begins.
        columns: The column that a node looks at.
        values: The node's threshold, or the leaf's value.
        left: The next node of a smaller value; 0 at a leaf.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline: _Finite
    roots: tuple[int, ...]
    columns: tuple[Annotated[int, Field(ge=-1)], ...]
    values: tuple[_Finite, ...]
    left: tuple[int, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Trees:
        nodes = len(self.columns)
        if not nodes == len(self.values) == len(self.left):
            raise ValueError(f"{nodes} columns, {len(self.values)} values and {len(self.left)} left nodes")
        if list(self.roots) != sorted(set(self.roots)) or self.roots[:1] != ((0,) if nodes else ()):
            raise ValueError("roots must rise, from 0")
        for root, end in pairwise((*self.roots, nodes)):
            if end > nodes or end <= root or self.columns[end - 1] >= 0:
                raise ValueError(f"the tree at node {root} does not end with a leaf")
            for node in range(root, end):
                # Every step goes on, so that no walk is endless, and stays within the tree.
                if self.columns[node] >= 0 and not node + 1 < self.left[node] < end:
                    raise ValueError(f"node {node} leads out of its tree, to {self.left[node]}")
        return self

    def log_odds(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the log-odds of candidates, shape (n,), from their columns, shape (n, columns)."""
        columns, thresholds, left = np.array(self.columns), np.array(self.values), np.array(self.left)
        rows = np.arange(len(values))[:, None]
        at = np.broadcast_to(np.array(self.roots, dtype=np.int64), (len(values), len(self.roots)))
        while np.any(inner := columns[at] >= 0):
            smaller = values[rows, np.maximum(columns[at], 0)] <= thresholds[at]
            at = np.where(inner, np.where(smaller, left[at], at + 1), at)
        return np.asarray(thresholds[at].sum(axis=1) + self.baseline)


class LearnedFusion(BaseModel):
    """A probability from evidence.

    Attributes:
        columns: What is known of a candidate, in the order of the matrix.
        linear: The regression, where it takes part.
        trees: The trees, where they take part.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[str, ...] = Field(min_length=1)
    linear: Linear | None = None
    trees: Trees | None = None

    @model_validator(mode="after")
    def _consistent(self) -> LearnedFusion:
        if self.linear is None and self.trees is None:
            raise ValueError("a fusion needs a linear part, or trees, or both")
        if self.linear and len(self.linear.weights) != len(self.columns):
            raise ValueError(f"{len(self.columns)} columns and {len(self.linear.weights)} weights")
        if self.trees and max(self.trees.columns, default=-1) >= len(self.columns):
            raise ValueError(f"the trees look at column {max(self.trees.columns)} of {len(self.columns)}")
        return self

    def log_odds(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the log-odds that candidates apply.

        Args:
            values: Shape (n, columns).

        Returns:
            Shape (n,); what a candidate gets does not depend on the others.
        """
        if values.shape[1] != len(self.columns):
            raise ValueError(f"the fusion knows {len(self.columns)} columns, not {values.shape[1]}")
        parts = [part.log_odds(values) for part in (self.linear, self.trees) if part is not None]
        return np.asarray(sum(parts) / len(parts))


def probabilities(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn log-odds into probabilities."""
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -500, 500))))
