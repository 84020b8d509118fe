"""What a student's answers are worth: compared with gold, or with its teacher, on documents that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.calibrating import CalibrationFit, fit_calibration
from labelmill.learning.cascading import KINDS, certainty
from labelmill.learning.folds import draw_parts
from labelmill.learning.promises import Decision
from labelmill.retrievers.students.linear import Found

Table = Mapping[str, NDArray[np.float64]]
"""Of D documents: certainties of each kind, labels given, those that are right, labels of the reference."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """A student's rankings of D documents as flat arrays, n candidates, with what the reference says.

    Attributes:
        scores: Shape (n,).
        groups: The candidate's document, from 0, ascending, shape (n,).
        probable: How probable each is in the reference: 0 or 1 in gold, shape (n,).
        correct: Whether it is in the reference's final set, shape (n,).
        wanted: Labels of the reference's final set, those that were not found included, shape (D,).
    """

    scores: NDArray[np.float64]
    groups: NDArray[np.int64]
    probable: NDArray[np.float64]
    correct: NDArray[np.bool_]
    wanted: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        found: Sequence[Found],
        probable: Sequence[Mapping[int, float]],
        final: Sequence[frozenset[int]],
    ) -> Answers:
        """Lay out rankings beside the reference: its probabilities by label's position, and its final sets."""
        sizes = [len(labels) for labels, _ in found]
        pairs = [(place, label) for place, (labels, _) in enumerate(found) for label in labels.tolist()]
        return cls(
            np.concatenate([scores for _, scores in found]),
            np.repeat(np.arange(len(found)), sizes),
            np.array([probable[place].get(label, 0.0) for place, label in pairs]),
            np.array([label in final[place] for place, label in pairs], dtype=np.bool_),
            np.array([len(labels) for labels in final], dtype=np.int64),
        )

    def calibrate(self, seed: int = 0) -> CalibrationFit:
        """Fit probabilities, cross-fitted over documents.

        Where the reference is itself a probability, what is right is drawn by it: the calibration then means what the
        teacher's probabilities mean.
        """
        drawn = np.random.default_rng(seed).random(len(self.probable)) < self.probable
        return fit_calibration(self.scores, drawn, self.groups, draw_parts(self.groups, seed=seed))

    def table(self, probabilities: NDArray[np.float64], decision: Decision) -> Table:
        """Say of each document what a decision gives it, and how certain that is."""
        documents = len(self.wanted)
        starts = np.searchsorted(self.groups, np.arange(documents + 1)).tolist()
        columns: dict[str, list[float]] = {kind: [] for kind in KINDS}
        counts = np.zeros((2, documents))
        for place in range(documents):
            here = slice(starts[place], starts[place + 1])
            own = probabilities[here].round(6)
            given = (own >= decision.threshold) & (np.arange(len(own)) < decision.top_k)
            counts[:, place] = given.sum(), (given & self.correct[here]).sum()
            for kind in KINDS:
                columns[kind].append(certainty(kind, own, given))
        table = {kind: np.array(values) for kind, values in columns.items()}
        return table | {"given": counts[0], "right": counts[1], "wanted": self.wanted.astype(np.float64)}
