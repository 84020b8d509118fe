"""Fitting a student to lessons: features, targets, weights, and what it says of documents that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError
from labelmill.learning.pruning import prune
from labelmill.learning.ridge import choose_strength, fit_ridge, keep_weights
from labelmill.pipelines.distilling.lessons import Lessons
from labelmill.retrievers.base import Embedder, best_labels
from labelmill.retrievers.students.features import Features, TfIdf
from labelmill.retrievers.students.linear import Found, LinearModel, squash
from labelmill.retrievers.students.trees import TreeModel

FeatureWish = Literal["tfidf", "embedding", "both"]
KindWish = Literal["auto", "linear", "omikuji"]

CANDIDATES = 20
"""Labels that a student ranks."""

_MOST_LABELS = 5_000
_MOST_CELLS = 200_000_000
"""Of documents times labels, up to which a linear student is fitted: some 3 GB."""

_ROWS_AT_ONCE = 512
_COPIES = 4
"""Times that a document is shown to trees, each with labels drawn by their probabilities."""

_HELD_OUT = 5
"""One part of so many is left out of trees that are made to be judged."""

_LEAST_WEIGHT = 0.1

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A student, and what it is like.

    Attributes:
        model: What it knows.
        features: What it looks at.
        labels: Positions of the labels that it knows, in its order, shape (L,).
        unseen: Rows of the lessons that were judged without having been seen, shape (D,).
        found: What was then said of each: labels as positions in the taxonomy, and scores.
        figures: How it was fitted.
    """

    model: LinearModel | TreeModel
    features: Features
    labels: NDArray[np.int32]
    unseen: NDArray[np.intp]
    found: list[Found]
    figures: dict[str, Any]

    @property
    def width(self) -> int:
        """Of the embedder's vectors; 0 without one."""
        return int(self.figures["width"])


def fit_student(
    lessons: Lessons,
    wish: FeatureWish,
    embedder: Embedder,
    kind: KindWish,
    *,
    pruned: bool = True,
    weighted: bool = True,
    told: Told = lambda _: None,
) -> Fitted:
    """Fit a student; with ``auto``, a linear one where labels are few enough.

    Args:
        lessons: What it is to learn.
        wish: What it looks at.
        embedder: For vectors.
        kind: What it is.
        pruned: Whether a linear one leaves out labels that are confidently wrong, by confident learning.
        weighted: Whether to it documents of which the teacher is unsure count for less; trees see labels drawn anew.
        told: Told what is being done.

    Raises:
        InputError: The documents have nothing in common that could be looked at.
    """
    labels = np.unique(lessons.label[lessons.target > 0])
    features = Features(
        TfIdf.learn(lessons.chunks) if wish != "embedding" else None, embedder if wish != "tfidf" else None
    )
    rows = rows_of(features, lessons.chunks, told)
    if not rows.shape[1]:
        raise InputError(
            "no two of the documents have a word in common",
            remedy="Words are not found in scripts without blanks between them: say --features embedding there.",
        )
    words = len(features.tfidf.slots) if features.tfidf else 0
    cells = len(labels) * len(lessons)
    few = len(labels) <= _MOST_LABELS and cells <= _MOST_CELLS
    figures: dict[str, Any] = {"labels": len(labels), "words": words, "width": rows.shape[1] - words}
    if kind == "linear" or (kind == "auto" and few):
        weights = certain_of(lessons) if weighted else np.ones(len(lessons), dtype=np.float32)
        model, unseen, found, more = _fit_linear(lessons, labels, rows, weights, pruned, told)
    else:
        model, unseen, found, more = _fit_trees(lessons, labels, rows, told)
    own = [(labels[best].astype(np.intp), scores) for best, scores in found]
    return Fitted(model, features, labels, unseen, own, figures | more)


def rows_of(features: Features, chunks: Any, told: Told) -> Any:
    """Make rows of many documents, telling how far it is."""
    from scipy import sparse

    parts = []
    for start in range(0, len(chunks), _ROWS_AT_ONCE):
        told(f"reading documents: {start:,} of {len(chunks):,}")
        parts.append(features.rows(chunks[start : start + _ROWS_AT_ONCE]))
    return sparse.vstack(parts, format="csr")


def certain_of(lessons: Lessons) -> NDArray[np.float32]:
    """Weigh documents by how sure the teacher is of their labels: 1 in the mean, shape (N,).

    The F1 that the teacher expects of the labels that it finds likelier than not, so that a document of which it knows
    nothing counts a tenth of one of which it is certain.
    """
    likely = lessons.target >= 0.5
    count = partial(np.bincount, lessons.row, minlength=len(lessons))
    right, number, whole = count(lessons.target * likely), count(likely), count(lessons.target)
    sure = np.maximum(2 * right / np.maximum(number + whole, 1e-9), _LEAST_WEIGHT)
    return np.asarray(sure / sure.mean(), dtype=np.float32)


_Fit = tuple[LinearModel | TreeModel, NDArray[np.intp], list[Found], dict[str, Any]]


def _fit_linear(
    lessons: Lessons, labels: NDArray[np.int32], rows: Any, weights: NDArray[np.float32], pruned: bool, told: Told
) -> _Fit:
    targets = np.zeros((len(lessons), len(labels)), dtype=np.float32)
    kept = lessons.target > 0
    targets[lessons.row[kept], np.searchsorted(labels, lessons.label[kept])] = lessons.target[kept]
    told("choosing the strength of the penalty")
    strength = choose_strength(rows, targets, weights)
    told("fitting")
    fit = fit_ridge(rows, targets, weights, strength, told)
    figures: dict[str, Any] = {"strength": strength}
    if pruned:
        told("fitting without what is confidently wrong")
        clean = prune(targets, fit.left_out)
        figures |= {"pruned_yes": clean.yes, "pruned_no": clean.no}
        if clean.yes + clean.no:
            fit = fit_ridge(rows, clean.targets, weights, strength, told)
    told("keeping weights")
    model = LinearModel(keep_weights(rows, fit.coefficients), fit.base)
    found = []
    for scores in fit.left_out:
        best = best_labels(np.round(scores, 6), CANDIDATES)
        found.append((best, squash(scores[best])))
    figures["weights"] = len(model.arrays()["data"])
    return model, np.arange(len(lessons)), found, figures


def _fit_trees(lessons: Lessons, labels: NDArray[np.int32], rows: Any, told: Told) -> _Fit:
    rng = np.random.default_rng(0)
    held = np.arange(len(lessons)) % _HELD_OUT == 0
    own = np.searchsorted(labels, lessons.label)
    starts = np.searchsorted(lessons.row, np.arange(len(lessons) + 1))

    def train(places: NDArray[np.intp]) -> TreeModel:
        shown, given = [], []
        for place in np.repeat(places, _COPIES).tolist():
            here = slice(int(starts[place]), int(starts[place + 1]))
            drawn = own[here][rng.random(here.stop - here.start) < lessons.target[here]]
            if len(drawn):
                shown.append(place)
                given.append(drawn)
        return TreeModel.train(rows[np.array(shown, dtype=np.intp)], given, len(labels))

    told("training trees without a fifth of the documents")
    unseen = np.flatnonzero(held)
    found = train(np.flatnonzero(~held)).find(rows[unseen], CANDIDATES)
    told("training trees")
    return train(np.arange(len(lessons))), unseen, found, {"copies": _COPIES}
