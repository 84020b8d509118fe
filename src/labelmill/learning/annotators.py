"""What annotators' labels and a model's probabilities say together, and so which labelled documents to label again.

ActiveLab (Goh and Mueller 2022, arXiv 2301.11856) asks of each document, labelled or not, how little is known of it
with all its annotations and a model, so that a new document and another look at an old one are on one scale. It
averages over classes that exclude each other. Here each label is a question of its own, answered by Bayes' rule: the
model gives the odds, and every annotator moves them as far as he is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

_FINDS, _WRONG = 0.95, 0.1
"""Of the right labels, what an annotator gives; of those that he gives, what is wrong. Believed before any is seen."""

_HOLD = 20.0
"""Labels that speak for these beside what is seen where several annotated the same document."""

_PLAUSIBLE = 0.2
"""Share of wrong labels that are taken for a plausible one; the others could be any."""

_LEAST, _MOST = 1e-6, 1 - 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """What annotators say of m pairs of a document and a label.

    Attributes:
        document: A number for each document, shape (m,).
        probability: The model's; that of a label which it does not rank is small and not 0. Shape (m,).
        says: 1 for a label given, 0 for one not given in a document that was labelled, -1 where the annotator did not
            label the document; int8, shape (m, annotators).
        labels: How many labels there are.
    """

    document: NDArray[np.int64]
    probability: NDArray[np.float64]
    says: NDArray[np.int8]
    labels: int


def majority_of(annotators: int) -> int:
    """Count how many of a document's annotators have to give a label for it to be gold: more than half."""
    return annotators // 2 + 1


def weigh_annotations(given: Annotations) -> NDArray[np.float64]:
    """Compute the probability of each pair by the model and all annotators, shape (m,)."""
    if not len(given.document):
        return np.empty(0)
    prior = logit(np.clip(given.probability, _LEAST, _MOST))
    finds, wrong = _rates(given, prior)
    return np.asarray(expit(prior + _evidence(given, finds, wrong).sum(axis=1)))


def _evidence(given: Annotations, finds: NDArray[np.float64], wrong: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute by how much each annotator moves the log-odds of each pair, shape (m, annotators).

    A wrong label is one that the document makes plausible, as probable as the model finds it, or any one at all.
    """
    number = int(given.document.max()) + 1
    sums = np.maximum(np.bincount(given.document, given.probability, number), 1.0)[given.document]
    spread = _PLAUSIBLE * given.probability / sums + (1 - _PLAUSIBLE) / max(given.labels, 1)
    moved = np.zeros(given.says.shape)
    for place in range(given.says.shape[1]):
        says = given.says[:, place]
        seen = says >= 0
        documents = max(len(np.unique(given.document[seen])), 1)
        mistaken = np.clip(wrong[place] * (says == 1).sum() / documents * spread, _LEAST, 0.5)
        yes = np.log(finds[place]) - np.log(mistaken)
        no = np.log1p(-finds[place]) - np.log1p(-mistaken)
        moved[:, place] = np.where(says == 1, yes, np.where(says == 0, no, 0.0))
    return moved


def _rates(given: Annotations, prior: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find what each annotator finds and gets wrong, by the others and the model, where others labelled the same."""
    count = given.says.shape[1]
    finds, wrong = np.full(count, _FINDS), np.full(count, _WRONG)
    shared = (given.says >= 0).sum(axis=1) > 1
    if not shared.any():
        return finds, wrong
    moved = _evidence(given, finds, wrong)
    for place in range(count):
        here = shared & (given.says[:, place] >= 0)
        others = expit(prior + moved.sum(axis=1) - moved[:, place])[here]
        yes = given.says[here, place] == 1
        finds[place] = (others[yes].sum() + _HOLD * _FINDS) / (others.sum() + _HOLD)
        wrong[place] = ((1 - others[yes]).sum() + _HOLD * _WRONG) / (yes.sum() + _HOLD)
    return np.clip(finds, 0.5, 0.99), np.clip(wrong, 0.005, 0.9)
