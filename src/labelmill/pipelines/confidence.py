"""Whether the scores of a run are probabilities, by the program that made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def claims_probabilities(program: Mapping[str, Any]) -> bool:
    """Say whether a program's scores are meant as probabilities.

    They are where it was calibrated, its Rank reads P(yes), or it combined votes into probabilities. The scores of a
    fusion lie between 0 and 1 as well, and are none.

    Args:
        program: The specification that is stored with a run.
    """
    if made := program.get("combine"):
        return bool(made.get("probabilities"))
    return bool(program.get("calibration")) or program.get("rank") == "pointwise"


def are_probabilities(scores: NDArray[np.float64]) -> bool:
    """Say whether all scores lie between 0 and 1; those of candidates that a model did not judge are below 0."""
    return bool(np.all((scores >= 0) & (scores <= 1)))
