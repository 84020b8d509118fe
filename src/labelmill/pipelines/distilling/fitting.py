"""Fitting a student to lessons: what it looks at, what of it counts, and which kind of student it is to be."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError
from labelmill.pipelines.distilling.fitted import Fitted, Told
from labelmill.pipelines.distilling.lessons import Lessons
from labelmill.pipelines.distilling.linear import fit_linear
from labelmill.pipelines.distilling.naming import name_columns, names_of
from labelmill.pipelines.distilling.trees import fit_trees
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.students.features import Features, TfIdf

FeatureWish = Literal["tfidf", "embedding", "both"]
KindWish = Literal["auto", "linear", "omikuji"]

_MOST_CELLS = 100_000_000
"""Of documents times labels with lessons, up to which a linear student is fitted: some 3 GB."""

_LEAST_TARGET = 0.05
"""A label that no document has more probably than that has no lesson: it is of the tail of what a teacher ranks."""

_ROWS_AT_ONCE = 512
_LEAST_WEIGHT = 0.1


def fit_student(
    lessons: Lessons,
    wish: FeatureWish,
    embedder: Embedder,
    kind: KindWish,
    *,
    pruned: bool = True,
    weighted: bool = True,
    named: bool = True,
    told: Told = lambda _: None,
) -> Fitted:
    """Fit a student; with ``auto``, a linear one where lessons and labels are few enough.

    Args:
        lessons: What it is to learn.
        wish: What it looks at.
        embedder: For vectors.
        kind: What it is.
        pruned: Whether a linear one leaves out labels that are confidently wrong, by confident learning.
        weighted: Whether to it documents of which the teacher is unsure count for less; trees see labels drawn anew.
        named: Whether one that looks at words may use what labels are called.
        told: Told what is being done.

    Raises:
        InputError: The documents have nothing in common that could be looked at.
    """
    labels = np.unique(lessons.label[lessons.target >= min(_LEAST_TARGET, float(lessons.target.max()))])
    called = names_of(lessons.taxonomy) if named and wish != "embedding" else []
    features = Features(
        TfIdf.learn(lessons.chunks, called) if wish != "embedding" else None, embedder if wish != "tfidf" else None
    )
    rows = rows_of(features, lessons.chunks, told)
    if not rows.nnz:
        raise InputError(
            "no two of the documents have a word in common",
            remedy="Words are not found in scripts without blanks between them: say --features embedding there.",
        )
    names = name_columns(features, called, rows.shape[1]) if called else None
    words = len(features.tfidf.slots) if features.tfidf else 0
    figures: dict[str, Any] = {"words": words, "width": rows.shape[1] - words}
    if kind == "linear" or (kind == "auto" and len(labels) * len(lessons) <= _MOST_CELLS):
        weights = certain_of(lessons) if weighted else np.ones(len(lessons), dtype=np.float32)
        found = fit_linear(lessons, labels, features, rows, names, weights, pruned=pruned, told=told)
    else:
        found = fit_trees(lessons, labels, features, rows, names, told=told)
    found.figures.update(figures)
    return found


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
