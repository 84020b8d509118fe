"""What a language model's answer adds to the evidence: from both to the log-odds that a candidate applies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

_Finite = Annotated[float, Field(allow_inf_nan=False)]

COLUMNS = ("fusion", "shown", "chosen", "place", "judged")
"""The fusion's log-odds; whether the model was shown it; whether listwise Rank chose it; 1 / its place among those;
the log-odds of pointwise Rank's yes."""

_LEAST = 1e-4


class Blend(BaseModel):
    """A regression on the fusion's log-odds and a model's answer; an answer's weight is never negative.

    Attributes:
        intercept: Log-odds where everything else is 0.
        weights: One per column of `COLUMNS`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    intercept: _Finite
    weights: tuple[_Finite, _Finite, _Finite, _Finite, _Finite]

    def log_odds(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the log-odds of candidates, shape (n,), from their columns, shape (n, 5)."""
        return np.asarray((values * np.array(self.weights)).sum(axis=1) + self.intercept)


def answer_columns(
    fusion: NDArray[np.float64],
    shown: int,
    chosen: Sequence[int] | None = None,
    probabilities: Sequence[float] | None = None,
) -> NDArray[np.float64]:
    """Lay out the columns of a document's candidates, shape (n, 5).

    Args:
        fusion: Their log-odds, in the order in which the model was shown them, shape (n,).
        shown: How many it was shown.
        chosen: Indexes that listwise Rank chose, the best first.
        probabilities: What pointwise Rank gave the first.
    """
    values = np.zeros((len(fusion), len(COLUMNS)))
    values[:, 0] = fusion
    values[:shown, 1] = 1
    for place, index in enumerate(chosen or (), start=1):
        values[index, 2:4] = 1, 1 / place
    if probabilities is not None:
        judged = np.clip(np.array(probabilities, dtype=np.float64), _LEAST, 1 - _LEAST)
        values[: len(judged), 4] = np.log(judged) - np.log1p(-judged)
    return values


def fit_blend(values: NDArray[np.float64], correct: NDArray[np.bool_], *, ridge: float = 1.0) -> Blend:
    """Fit the regression: penalised towards the fusion alone, so that an answer must earn its weight.

    Args:
        values: Shape (n, 5); the fusion's log-odds are cross-fitted.
        correct: Whether each candidate is gold, shape (n,).
        ridge: Of the penalty on the distance from (1, 0, 0, 0, 0).
    """
    from scipy.optimize import minimize

    target = np.zeros(len(COLUMNS) + 1)
    target[1] = 1.0
    padded = np.concatenate([np.ones((len(values), 1)), values], axis=1)
    penalty = np.array([0.0, *[ridge] * len(COLUMNS)])

    def loss(numbers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = padded @ numbers
        found = np.logaddexp(0, np.where(correct, -odds, odds)).sum() + (penalty * (numbers - target) ** 2).sum() / 2
        slope = padded.T @ (1 / (1 + np.exp(-np.clip(odds, -500, 500))) - correct) + penalty * (numbers - target)
        return float(found), slope

    # What a model says for a candidate may not count against it; having been shown it may.
    bounds = [(None, None), (0, None), (None, None), (0, None), (0, None), (0, None)]
    numbers = minimize(loss, target, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = [float(f"{number:.7g}") for number in numbers]
    return Blend.model_validate({"intercept": weights[0], "weights": weights[1:]})
