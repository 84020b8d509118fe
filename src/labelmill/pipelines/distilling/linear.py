"""Fitting a linear student: ridge regression of the labels with lessons, drawn towards what all labels are called.

A score is a share of the likeness of text and name, plus what ridge regression makes of the rest: the penalty then
draws weights towards the names' own, and not towards zero. Labels without lessons have their names' weights alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.pruning import prune
from labelmill.learning.ridge import RidgeFit, choose_strength, fit_ridge, keep_weights
from labelmill.pipelines.distilling.fitted import CANDIDATES, Fitted, Told
from labelmill.pipelines.distilling.lessons import Lessons
from labelmill.pipelines.distilling.naming import asked, choose_share, likeness
from labelmill.retrievers.base import best_labels
from labelmill.retrievers.students.features import Features
from labelmill.retrievers.students.linear import LinearModel, squash


def fit_linear(
    lessons: Lessons,
    labels: NDArray[np.int32],
    features: Features,
    rows: Any,
    names: Any,
    weights: NDArray[np.float32],
    *,
    pruned: bool,
    told: Told,
) -> Fitted:
    """Fit a linear student.

    Args:
        lessons: N documents.
        labels: Positions of the labels with lessons, ascending, shape (L,).
        features: What makes rows.
        rows: Of the lessons, CSR, shape (N, F).
        names: Of all labels, as `name_columns` makes them; None to do without.
        weights: What each document counts, shape (N,).
        pruned: Whether labels that are confidently wrong are left out.
        told: Told what is being done.
    """
    targets = _targets(lessons, labels)
    told("choosing the strength of the penalty")
    strength = choose_strength(rows, targets, weights)
    told("fitting")
    fit = fit_ridge(rows, targets, weights, strength, told)
    share, alike = 0.0, np.zeros((), dtype=np.float32)
    if names is not None:
        told("fitting the names of labels")
        alike = (rows @ names[:, labels]).toarray()
        of_names = fit_ridge(rows, alike, weights, strength, told)
        told("choosing what names count")
        places = asked(len(lessons))

        def scores(share: float) -> Iterator[NDArray[np.float32]]:
            left_out = drawn_towards(fit, of_names, alike, share).left_out
            return _left_out(places, left_out, rows, names, labels, share)

        share = choose_share(lessons, places, scores)
        fit = drawn_towards(fit, of_names, alike, share)
        del of_names
    figures: dict[str, Any] = {"labels_with_lessons": len(labels), "strength": strength, "names": share}
    if pruned:
        told("fitting without what is confidently wrong")
        clean = prune(targets, fit.left_out)
        figures |= {"pruned_yes": clean.yes, "pruned_no": clean.no}
        if clean.yes + clean.no:
            fit = fit_ridge(rows, clean.targets - share * alike, weights, strength, told)
            fit = replace(fit, left_out=fit.left_out + share * alike)
    told("keeping weights")
    everything = np.arange(len(lessons))
    kept, base = keep_weights(rows, fit.coefficients), fit.base
    said: Iterator[NDArray[np.float32]] = iter(fit.left_out)
    if share:
        said = _left_out(everything, fit.left_out, rows, names, labels, share)
        kept, base = _with_names(kept, base, names, labels, share)
        labels = np.arange(names.shape[1], dtype=np.int32)
    figures |= {"labels": len(labels), "weights": kept.nnz}
    found = []
    for scores_of_one in said:
        best = best_labels(np.round(scores_of_one, 6), CANDIDATES)
        found.append((labels[best].astype(np.intp), squash(scores_of_one[best])))
    return Fitted(LinearModel(kept, base), features, labels, everything, found, figures)


def drawn_towards(plain: RidgeFit, of_names: RidgeFit, alike: NDArray[np.float32], share: float) -> RidgeFit:
    """Fit what names leave over, and say what was left out with the names' part: from two fits, for a fit is linear.

    Args:
        plain: The fit of the targets.
        of_names: The fit of the likeness, by the same features, weights and penalty.
        alike: The likeness, shape (N, L).
        share: Of it.
    """
    return RidgeFit(
        plain.coefficients - share * of_names.coefficients,
        plain.base - share * of_names.base,
        plain.left_out + share * (alike - of_names.left_out),
    )


def _targets(lessons: Lessons, labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Lay out what the teacher said, shape (N, L)."""
    targets = np.zeros((len(lessons), len(labels)), dtype=np.float32)
    place = np.minimum(np.searchsorted(labels, lessons.label), len(labels) - 1)
    kept = labels[place] == lessons.label
    targets[lessons.row[kept], place[kept]] = lessons.target[kept]
    return targets


def _left_out(
    places: NDArray[np.intp],
    left_out: NDArray[np.float32],
    rows: Any,
    names: Any,
    labels: NDArray[np.int32],
    share: float,
) -> Iterator[NDArray[np.float32]]:
    """Say of lessons without them the scores of all labels of the taxonomy: of those without lessons, by name."""
    for place, alike in zip(places.tolist(), likeness(rows[places], names), strict=True):
        scores = share * alike
        scores[labels] = left_out[place]
        yield scores


def _with_names(
    weights: Any, base: NDArray[np.float32], names: Any, labels: NDArray[np.int32], share: float
) -> tuple[Any, NDArray[np.float32]]:
    """Add the names' weights: CSR of shape (F, labels of the taxonomy), and what each gets without any feature."""
    from scipy import sparse

    everything = np.zeros(names.shape[1], dtype=np.float32)
    everything[labels] = base
    own = sparse.csr_array((weights.data, labels[weights.indices], weights.indptr), shape=names.shape)
    return (own + share * names).astype(np.float32), everything
