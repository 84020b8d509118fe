"""What a decision promises, and the decision itself: which of a document's candidates become its labels.

A promise holds for fresh documents of the same kind as the gold: exchangeable with it, in statistical terms. It says
nothing of documents of another kind. `labelmill.learning.deciding` finds the decision that keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from labelmill.errors import InputError

PromiseKind = Literal["f1", "precision", "recall", "cost"]

NOTHING = 2.0
"""The threshold that no probability reaches."""

_WRITTEN = re.compile(r"(precision|recall|cost)\s*(>=|<=)\s*([0-9.eE+-]+)", re.ASCII)
_DIRECTION = {"precision": ">=", "recall": ">=", "cost": "<="}
_REMEDY = "Write f1, precision>=0.9, recall>=0.8 or cost<=1.5 (wrong labels per document)."


class Promise(BaseModel):
    """What the labels of fresh documents shall hold to.

    Attributes:
        kind: ``f1``: the best micro F1 on the gold, which promises nothing. ``precision``: the share of right ones
            among all labels that documents are given. ``recall``: the mean over documents of the share of their gold
            labels that they are given. ``cost``: the mean number of wrong labels that a document is given.
        level: The least precision or recall, between 0 and 1; the highest cost, above 0; 0 with ``f1``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: PromiseKind = "f1"
    level: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _possible(self) -> Promise:
        if self.kind == "f1" and self.level:
            raise ValueError(f"f1 is maximised and takes no level, not {self.level:g}")
        if self.kind in {"precision", "recall"} and not 0 < self.level < 1:
            raise ValueError(f"a {self.kind} of {self.level:g} cannot be promised: it must lie between 0 and 1")
        if self.kind == "cost" and not self.level:
            raise ValueError("a cost of 0 wrong labels cannot be promised by any number of documents")
        return self

    def __str__(self) -> str:
        """Write it as `parse_promise` reads it."""
        return self.kind if self.kind == "f1" else f"{self.kind}{_DIRECTION[self.kind]}{self.level:.10g}"


class Decision(BaseModel):
    """Which of a document's ranked candidates become its labels; a document whose candidates all fall short gets none.

    Attributes:
        threshold: Least probability of a label; `NOTHING` where none is ever given.
        top_k: Labels of a document at most: the first of its ranking.
        promise: What it was chosen for, as `parse_promise` reads it.
        statement: What that means, in a sentence: level, confidence, documents, test.
        group_thresholds: Least probability of the labels of a group, in place of `threshold`.
        group_labels: The ids of each such group's labels; all other labels stand under `threshold`.
        figures: What it does on the gold: ``precision``, ``recall`` and ``f1`` (micro), ``coverage`` (share of
            documents with a label) and ``labels`` (per document).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(ge=0, le=NOTHING, allow_inf_nan=False)
    top_k: int = Field(ge=1)
    promise: str = "f1"
    statement: str = ""
    group_thresholds: Mapping[str, Annotated[float, Field(ge=0, le=NOTHING, allow_inf_nan=False)]] = {}
    group_labels: Mapping[str, tuple[str, ...]] = {}
    figures: Mapping[str, Annotated[float, Field(allow_inf_nan=False)]] = {}

    @field_validator("promise")
    @classmethod
    def _readable(cls, promise: str) -> str:
        try:
            return str(parse_promise(promise))
        except InputError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _disjoint(self) -> Decision:
        if unlike := self.group_thresholds.keys() ^ self.group_labels.keys():
            raise ValueError(f"the group {min(unlike)!r} has a threshold and no labels, or labels and no threshold")
        seen: dict[str, str] = {}
        for group, labels in self.group_labels.items():
            for label in labels:
                if seen.setdefault(label, group) != group:
                    raise ValueError(f"the label {label!r} is in the groups {seen[label]!r} and {group!r}")
        return self

    def thresholds(self, labels: Sequence[str]) -> NDArray[np.float64]:
        """Give each label's least probability, shape (L,), for label ids in any order, such as a taxonomy's."""
        special = {label: self.group_thresholds[group] for group, ids in self.group_labels.items() for label in ids}
        if not special:
            return np.full(len(labels), self.threshold)
        return np.array([special.get(label, self.threshold) for label in labels])


def parse_promise(text: str) -> Promise:
    """Read a promise: ``f1``, ``precision>=0.9``, ``recall>=0.8`` or ``cost<=1.5``.

    Raises:
        InputError: If it is none, points the wrong way, or has an impossible level.
    """
    written = text.strip()
    if written == "f1":
        return Promise()
    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise InputError(f"{text!r} is no promise", remedy=_REMEDY)
    kind, direction, number = found.groups()
    if direction != _DIRECTION[kind]:
        raise InputError(f"{text!r} promises nothing: {kind} is limited by {_DIRECTION[kind]}", remedy=_REMEDY)
    try:
        return Promise.model_validate({"kind": kind, "level": float(number)})
    except ValueError as error:
        reason = f"a level of {number} cannot be promised" if kind != "cost" else f"a cost of {number} cannot be kept"
        raise InputError(f"{text!r} is no promise: {reason}", remedy=_REMEDY) from error
