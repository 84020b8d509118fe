"""Pruning noisy labels by confident learning, label by label (Northcutt, Jiang and Chuang 2021, JAIR 70, 1373-1411).

A label is confidently wrong where a model that has not seen the document is surer of the opposite than it is, on the
average, where the opposite was said: each label has thresholds of its own, so that rare labels, of which any model is
unsure, are not thrown out for being rare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LIKELY = 0.5
_LEAST_EXAMPLES = 5
"""Of a label, yes and no, below which its thresholds mean nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """Targets without those that are confidently wrong.

    Attributes:
        targets: What is to be learned, float32, shape (N, L). In place of what was pruned stands what is said without
            the document, which is, for least squares, as if the pair were not there: fitted anew, it pulls nowhere.
        yes: How many pairs were pruned that the teacher gave.
        no: How many that it did not give.
    """

    targets: NDArray[np.float32]
    yes: int
    no: int


def prune(targets: NDArray[np.float32], left_out: NDArray[np.float32]) -> Pruned:
    """Prune soft labels.

    Args:
        targets: Probabilities that the teacher gave, shape (N, L).
        left_out: What a student says that has not seen the document, shape (N, L); clipped to 0..1.
    """
    said = np.clip(left_out, 0, 1)
    given = targets >= _LIKELY
    counts = given.sum(axis=0)
    known = (counts >= _LEAST_EXAMPLES) & (len(targets) - counts >= _LEAST_EXAMPLES)
    sure_yes = (said * given).sum(axis=0) / np.maximum(counts, 1)
    sure_no = (said * ~given).sum(axis=0) / np.maximum(len(targets) - counts, 1)
    wrong_yes = given & (said <= sure_no) & known
    wrong_no = ~given & (said >= np.maximum(sure_yes, _LIKELY)) & known
    wrong = wrong_yes | wrong_no
    return Pruned(np.where(wrong, said, targets), int(wrong_yes.sum()), int(wrong_no.sum()))
