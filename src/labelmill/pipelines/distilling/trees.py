"""Fitting trees to lessons, beside what all labels are called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.pipelines.distilling.fitted import CANDIDATES, Fitted, Told
from labelmill.pipelines.distilling.lessons import Lessons
from labelmill.pipelines.distilling.naming import asked, choose_share, likeness
from labelmill.retrievers.students.features import Features
from labelmill.retrievers.students.linear import LinearModel
from labelmill.retrievers.students.trees import BESIDE_NAMES, NamedTrees, TreeModel

_COPIES = 4
"""Times that a document is shown to trees, each with labels drawn by their probabilities."""

_HELD_OUT = 5
"""One part of so many is left out of trees that are made to be judged."""


def fit_trees(
    lessons: Lessons, labels: NDArray[np.int32], features: Features, rows: Any, names: Any, *, told: Told
) -> Fitted:
    """Fit trees; arguments as `fit_linear` has them.

    Raises:
        InputError: There is nothing that trees could learn from.
        MissingExtraError: Omikuji is not installed.
    """
    rng = np.random.default_rng(0)
    held = np.arange(len(lessons)) % _HELD_OUT == 0
    own = np.minimum(np.searchsorted(labels, lessons.label), len(labels) - 1)
    target = np.where(labels[own] == lessons.label, lessons.target, 0)
    starts = np.searchsorted(lessons.row, np.arange(len(lessons) + 1))

    def train(places: NDArray[np.intp]) -> TreeModel:
        shown, given = [], []
        for place in np.repeat(places, _COPIES).tolist():
            here = slice(int(starts[place]), int(starts[place + 1]))
            drawn = own[here][rng.random(here.stop - here.start) < target[here]]
            if len(drawn):
                shown.append(place)
                given.append(drawn)
        return TreeModel.train(rows[np.array(shown, dtype=np.intp)], given, len(labels))

    told("training trees without a fifth of the documents")
    unseen = np.flatnonzero(held)
    judged = train(np.flatnonzero(~held))
    share = 0.0
    if names is not None:
        told("choosing what names count")
        share = _choose(lessons, labels, rows, names, unseen, judged)
    told("training trees")
    trees = train(np.arange(len(lessons)))
    model: TreeModel | NamedTrees = trees
    apart: TreeModel | NamedTrees = judged
    figures: dict[str, Any] = {"labels_with_lessons": len(labels), "copies": _COPIES, "names": share}
    if share:
        # The trees' labels first, in their own order; then those that are known by name alone.
        rest = np.setdiff1d(np.arange(names.shape[1], dtype=np.int32), labels)
        labels = np.concatenate([labels, rest])
        called = LinearModel((share * names[:, labels]).tocsr(), np.zeros(len(labels), dtype=np.float32))
        model, apart = NamedTrees(trees, called), NamedTrees(judged, called)
    figures["labels"] = len(labels)
    found = [(labels[best].astype(np.intp), scores) for best, scores in apart.find(rows[unseen], CANDIDATES)]
    return Fitted(model, features, labels, unseen, found, figures)


def _choose(
    lessons: Lessons, labels: NDArray[np.int32], rows: Any, names: Any, unseen: NDArray[np.intp], judged: TreeModel
) -> float:
    places = unseen[asked(len(unseen))]
    said = judged.find(rows[places], BESIDE_NAMES)

    def scores(share: float) -> Iterator[NDArray[np.float32]]:
        for (best, likely), alike in zip(said, likeness(rows[places], names), strict=True):
            together = share * alike
            together[labels[best]] += likely.astype(np.float32)
            yield together

    return choose_share(lessons, places, scores)
