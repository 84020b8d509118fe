"""Turning scores into probabilities that mean what they say, learned from tens of gold documents.

A `Calibration` is one increasing function of the score's log-odds, so it never reorders a ranking:

- ``none``: the score itself.
- ``platt``: a line in log-odds (Platt 1999), two numbers.
- ``beta``: a log(s) - b log(1 - s) + c (Kull et al. 2017, AISTATS), three numbers, for scores whose two ends are
  distorted unlike; with a = b it is ``platt``.
- ``isotonic``: centred isotonic regression (Oron and Flournoy 2017): each pool of adjacent violators is one knot at its
  mean, joined by lines in log-odds and continued with slope 1, so that it is strict where plain isotonic regression is
  flat.

Which of them is chosen by the log loss on documents that it was not fitted on.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

CalibrationKind = Literal["none", "platt", "beta", "isotonic"]

LEAST = 1e-6
"""Every probability lies in LEAST..1 - LEAST: none is ever certain, and its log-odds are finite."""

_Open = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Calibration(BaseModel):
    """An increasing function from scores in 0..1 to probabilities.

    Attributes:
        kind: Which of the functions of this module.
        slope: What multiplies log(s); with ``platt``, the log-odds of s.
        upper_slope: What multiplies -log(1 - s); the same as `slope` with ``platt``.
        intercept: The log-odds at s = 0.5, but for the slopes' share.
        knots: Pairs of score and probability, both rising, for ``isotonic``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: CalibrationKind = "none"
    slope: _Positive = 1.0
    upper_slope: _Positive = 1.0
    intercept: _Finite = 0.0
    knots: tuple[tuple[_Open, _Open], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Calibration:
        if (self.kind == "isotonic") != bool(self.knots):
            raise ValueError(f"a calibration of kind {self.kind!r} {'lacks' if not self.knots else 'has no'} knots")
        for (score, probability), (next_score, next_probability) in pairwise(self.knots):
            if not (score < next_score and probability < next_probability):
                raise ValueError(
                    f"knots must rise in both numbers: ({score}, {probability}) is followed by "
                    f"({next_score}, {next_probability})"
                )
        if self.kind == "platt" and self.slope != self.upper_slope:
            raise ValueError(f"platt has one slope, not slope={self.slope} and upper_slope={self.upper_slope}")
        if self.kind in {"none", "isotonic"} and (self.slope, self.upper_slope, self.intercept) != (1.0, 1.0, 0.0):
            raise ValueError(f"a calibration of kind {self.kind!r} has no slope and no intercept")
        return self

    def apply(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the probability of each score, any shape; scores are clipped to 0..1, and never change their order."""
        inside = np.clip(scores, LEAST, 1 - LEAST)
        if self.kind == "none":
            return inside
        if self.kind == "isotonic":
            found = self._between_knots(log_odds(inside))
        else:
            found = self.slope * np.log(inside) - self.upper_slope * np.log1p(-inside) + self.intercept
        return np.clip(1 / (1 + np.exp(-np.clip(found, -500, 500))), LEAST, 1 - LEAST)

    def _between_knots(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate in log-odds; beyond the first and the last knot go on with slope 1."""
        at, values = log_odds(np.array(self.knots)).T
        beyond = np.minimum(places - at[0], 0) + np.maximum(places - at[-1], 0)
        return np.asarray(np.interp(places, at, values) + beyond)


def log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute log(p / (1 - p)) of numbers strictly between 0 and 1."""
    return np.asarray(np.log(probabilities) - np.log1p(-probabilities))
