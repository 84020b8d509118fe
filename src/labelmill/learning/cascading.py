"""The cascade: a student answers where it is certain, and the rest goes to a dearer program; what that promises.

A document's certainty is what the student expects of its own answer: of precision, the mean probability of the labels
that it gives; of recall, their share of the probability of all; of agreement, the F1 of both. The least certainty is
the lowest at which the documents above it keep the promise, by the same test of a fixed sequence as a decision's
promise: see `labelmill.learning.keeping`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from labelmill.errors import InputError
from labelmill.learning.bets import documents_needed, play
from labelmill.learning.calibration import Calibration
from labelmill.learning.promises import Decision

Kind = Literal["precision", "recall", "agreement"]
KINDS: tuple[Kind, ...] = ("precision", "recall", "agreement")

DELTA = 0.1

LEVELS = np.arange(100, -1, -1) / 100
"""Certainties from strict to lax, shape (T,)."""

_WRITTEN = re.compile(r"\s*(precision|recall|agreement)\s*>=\s*(0?\.[0-9]+)\s*", re.ASCII)
_REMEDY = "Write agreement>=0.9 (with the program that taught it), precision>=0.8 or recall>=0.8."
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Cascade(BaseModel):
    """When a student's answer stands, and what that answer is.

    Attributes:
        kind: What certainty is of.
        certainty: At least which an answer stands.
        promise: What it was chosen for.
        statement: What that means, in a sentence.
        expected: Share of documents that go on to the program, of those that it was chosen on.
        candidates: Labels of an answer that are stored.
        calibration: Of the student's scores.
        decision: Which labels the student gives.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    certainty: _Share
    promise: str
    statement: str
    expected: _Share
    candidates: int = Field(ge=1)
    calibration: Calibration
    decision: Decision


def parse_cascade(text: str) -> tuple[Kind, float]:
    """Read what a cascade is to promise, such as ``agreement>=0.9``; raises `InputError` where it is nothing such."""
    found = _WRITTEN.fullmatch(text)
    if found is None or float(found[2]) == 0:
        raise InputError(f"{text!r} is no promise of a cascade", remedy=_REMEDY)
    kind = next(each for each in KINDS if each == found[1])
    return kind, float(found[2])


def certainty(kind: Kind, probabilities: NDArray[np.float64], given: NDArray[np.bool_]) -> float:
    """Compute what an answer expects of itself, in 0..1; without any label it is 0.

    Args:
        kind: What of.
        probabilities: Of a document's candidates, shape (k,).
        given: Which of them are its answer, shape (k,).
    """
    number = int(given.sum())
    if not number:
        return 0.0
    right, whole = float(probabilities[given].sum()), float(probabilities.sum())
    parts = {"precision": right / number, "recall": right / whole, "agreement": 2 * right / (number + whole)}
    return round(min(parts[kind], 1.0), 6)


def fit_certainty(
    kind: Kind,
    level: float,
    certainties: NDArray[np.float64],
    given: NDArray[np.float64],
    right: NDArray[np.float64],
    wanted: NDArray[np.float64],
    *,
    delta: float = DELTA,
    most: int,
    seed: int = 0,
) -> tuple[float, float]:
    """Find the lowest certainty at which answers keep a promise, for documents that the student was not taught.

    The sum of what answers gain above the level is expected to be largest where those stand that expect the level of
    themselves; there the sequence starts, and it goes on to less certain ones for as long as the promise is kept.

    Args:
        kind: What is promised: precision over all labels given, mean recall, or mean F1 with the reference.
        level: How much of it.
        certainties: Of each document, shape (D,).
        given: Labels that the student gives it, shape (D,).
        right: Those of them that the reference has, shape (D,).
        wanted: Labels that the reference has, shape (D,).
        delta: The error that is allowed.
        most: Labels that a document can be given.
        seed: Of the order of documents.

    Returns:
        The certainty, and the share of documents below it.

    Raises:
        InputError: No certainty can be shown to keep the promise.
    """
    if kind == "precision":
        gains, worst = right - level * given, level * most
    elif kind == "recall":
        gains, worst = np.where(wanted > 0, right / np.maximum(wanted, 1) - level, 0.0), level
    else:
        gains, worst = 2 * right / np.maximum(given + wanted, 1) - level, level
    order = np.random.default_rng(seed).permutation(len(gains))
    stands = certainties[order, None] >= LEVELS
    start = int(np.searchsorted(-LEVELS, -level, side="left"))
    table = gains[order, None] * stands
    kept = play(table[:, start:], worst, delta) >= 1 / delta
    if not kept[0]:
        needed = documents_needed(table[:, start], worst, delta)
        more = f"Give about {needed:,.0f} documents, or p" if np.isfinite(needed) else "P"
        raise InputError(
            f"'{kind}>={level:g}' cannot be promised with {100 * (1 - delta):g}% confidence by "
            f"{shown_by(kind, wanted):,} documents",
            remedy=f"{more}romise less.",
        )
    last = int(np.argmin(kept)) if not kept.all() else len(kept)
    found = float(LEVELS[start + last - 1])
    return found, round(float((certainties < found).mean()), 6)


def shown_by(kind: Kind, wanted: NDArray[np.float64]) -> int:
    """Count the documents that a promise is shown by: recall is of those that the reference gives labels."""
    return int(np.count_nonzero(wanted)) if kind == "recall" else len(wanted)


def state(kind: Kind, level: float, delta: float, documents: int, against: str) -> str:
    """Say in a sentence what is promised of the student's answers, and by what it was shown."""
    what = {
        "precision": f"precision >= {level:g} over all labels that the student gives",
        "recall": f"recall >= {level:g} in the mean over the documents that the student answers",
        "agreement": f"F1 >= {level:g} with its teacher in the mean over the documents that the student answers",
    }[kind]
    shown = f"{documents:,} documents with {against}"
    return f"{what}, with {100 * (1 - delta):g}% confidence, by {shown} (betting test of the mean, fixed sequence)"
