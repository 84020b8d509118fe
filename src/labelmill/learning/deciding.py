"""Fitting a decision to gold: the best F1, or the decision that gives most labels while it keeps a promise.

The probabilities must be such as fresh documents will get: each from scores and a calibration that were fitted without
the candidate's document (cross-fitted). Probabilities of a model on its own training documents are too good, and so
would be the promise. Cross-fitted ones come from a little less gold than the final model has, which errs on the safe
side. The gold itself must be drawn like the documents to come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError
from labelmill.learning.keeping import Cut, Unkept, best_f1, keep_cost, keep_precision, keep_recall
from labelmill.learning.promises import NOTHING, Decision, Promise
from labelmill.learning.tallies import GRID, Judged

DELTA = 0.1
"""The error of a promise of precision where none is given; it has no form in expectation."""

_DOCUMENTS_PER_GROUP = 200
"""A group with candidates in fewer documents is pooled with all other labels: with a share of the error, fewer can show
little, and a promise that all labels keep together would be refused."""


def fit_decision(
    probabilities: NDArray[np.float64],
    correct: NDArray[np.bool_],
    groups: NDArray[np.int64],
    n_gold_per_document: NDArray[np.int64],
    *,
    promise: Promise,
    delta: float | None = None,
    top_k: int,
    label_groups: NDArray[np.str_] | None = None,
    group_labels: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> Decision:
    """Choose thresholds that keep a promise and else give as many labels as they can.

    Args:
        probabilities: Of candidates, cross-fitted and calibrated, each document's in the order of its ranking, shape
            (n,).
        correct: Whether each candidate is a gold label of its document, shape (n,).
        groups: The candidate's document, from 0 to D - 1, shape (n,).
        n_gold_per_document: Gold labels per document, the unretrieved ones included, shape (D,). Documents without any
            count: whatever they are given is wrong.
        promise: What to keep.
        delta: Keep it with confidence 1 - delta over the draw of the gold. None: 0.1 for precision; for recall and
            cost a promise in expectation, over the draw of the gold and of the fresh document.
        top_k: Labels of a document at most. A promise of precision may end with fewer. The larger it is, the more
            documents a promise needs, since one bad document could do more harm.
        label_groups: The name of each candidate's group, "" for none, shape (n,): the promise of precision is then kept
            by each group's labels on their own (Mondrian), and so by all together; a group that cannot keep it gets no
            labels. Groups must not be made from this gold.
        group_labels: The ids of the labels of each group, for the decision to name.
        seed: Of the order in which documents are tested.

    Raises:
        InputError: If arrays do not fit together, or no decision can be shown to keep the promise; the message says the
            most that can be promised and about how many documents it would take.
    """
    if delta is not None and not 0 < delta < 1:
        raise InputError(f"delta={delta} is no error rate", remedy="Give a number between 0 and 1, such as 0.1.")
    if top_k < 1:
        raise InputError(f"top_k={top_k} gives no document a label", remedy="Give 1 or more.")
    if label_groups is not None and promise.kind != "precision":
        raise InputError(f"label groups cannot keep {str(promise)!r}", remedy="Use them with a promise of precision.")
    judged = _shuffle(Judged.of(probabilities, correct, groups, n_gold_per_document), seed)
    if promise.kind == "f1":
        cut, left_out = best_f1(judged, top_k)
        statement = f"best micro F1 on {len(judged)} gold documents; nothing is promised"
        return _decide(cut, promise, statement, _summarise(left_out, judged.gold))
    if promise.kind == "precision":
        delta = DELTA if delta is None else delta
        if label_groups is not None:
            return _decide_by_group(judged, label_groups, group_labels or {}, promise, delta, top_k)
    cut_or_not = _keep(judged, promise, delta, top_k)
    if isinstance(cut_or_not, Unkept):
        raise _unkept(judged, promise, delta, top_k, cut_or_not)
    figures = _summarise(_give(judged, cut_or_not), judged.gold)
    return _decide(cut_or_not, promise, state(promise, delta, _shown_by(judged, promise)), figures)


def state(promise: Promise, delta: float | None, documents: int) -> str:
    """Say in a sentence what is promised, how sure it is, and by what it was shown."""
    what = {
        "precision": f"precision >= {promise.level:g} over all labels given",
        "recall": f"recall >= {promise.level:g} in the mean over documents",
        "cost": f"at most {promise.level:g} wrong labels per document in the mean",
    }[promise.kind]
    if delta is None:
        return f"{what}, in expectation, by {documents} gold documents (conformal risk control)"
    how = "betting test of the mean, fixed sequence"
    return f"{what}, with {100 * (1 - delta):.6g}% confidence, by {documents} gold documents ({how})"


def _shown_by(judged: Judged, promise: Promise) -> int:
    """Count the documents that a promise is shown by: recall is of those with gold labels, all else of all."""
    return int(np.count_nonzero(judged.gold)) if promise.kind == "recall" else len(judged)


def _shuffle(judged: Judged, seed: int) -> Judged:
    """Renumber the documents at random: a gold file may list easy ones first, and a bet must not know that."""
    places = np.random.default_rng(seed).permutation(len(judged))
    gold = np.empty_like(judged.gold)
    gold[places] = judged.gold
    return replace(judged, document=places[judged.document], gold=gold)


def _keep(judged: Judged, promise: Promise, delta: float | None, top_k: int) -> Cut | Unkept:
    if promise.kind == "precision":
        found = keep_precision(judged, promise.level, DELTA if delta is None else delta, top_k)
    else:
        keep = keep_recall if promise.kind == "recall" else keep_cost
        found = keep(judged, promise.level, delta, top_k)
    if isinstance(found, Cut) and not _give(judged, found)[:, 0].any():
        return Unkept(float("inf"))  # to give no labels keeps most promises, and is none
    return found


def _decide_by_group(
    judged: Judged,
    label_groups: NDArray[np.str_],
    group_labels: Mapping[str, Sequence[str]],
    promise: Promise,
    delta: float,
    top_k: int,
) -> Decision:
    """Keep a promise of precision in each group, all together with confidence 1 - delta (Bonferroni)."""
    if missing := set(label_groups.tolist()) - set(group_labels) - {""}:
        raise InputError(f"the group {min(missing)!r} has no labels", remedy="Name its labels in group_labels.")
    names = [name for name in sorted(group_labels) if _is_frequent(judged, label_groups == name)]
    parts = {name: label_groups == name for name in names}
    parts[""] = ~np.isin(label_groups, names)
    cuts: dict[str, Cut] = {}
    needed = []
    for name, chosen in parts.items():
        found = keep_precision(judged.where(chosen), promise.level, delta / len(parts), top_k, ladder=False)
        if isinstance(found, Cut):
            cuts[name] = found
        else:
            needed.append(found.documents)
    if not cuts:
        raise _unkept(judged, promise, delta, top_k, Unkept(min(needed)))
    given = np.sum([_give(judged.where(parts[name]), cut) for name, cut in cuts.items()], axis=0)
    thresholds = {name: float(GRID[cuts[name].place]) if name in cuts else NOTHING for name in parts}
    statement = f"{state(promise, delta, len(judged))}, in each of {len(parts)} groups of labels"
    return Decision(
        threshold=thresholds.pop(""),
        top_k=top_k,
        promise=str(promise),
        statement=statement,
        group_thresholds=thresholds,
        group_labels={name: tuple(group_labels[name]) for name in names},
        figures=_summarise(given, judged.gold),
    )


def _is_frequent(judged: Judged, chosen: NDArray[np.bool_]) -> bool:
    """Say whether candidates occur in documents enough for a threshold of their own."""
    return len(np.unique(judged.document[chosen])) >= _DOCUMENTS_PER_GROUP


def _decide(cut: Cut, promise: Promise, statement: str, figures: dict[str, float]) -> Decision:
    return Decision(
        threshold=float(GRID[cut.place]), top_k=cut.top_k, promise=str(promise), statement=statement, figures=figures
    )


def _give(judged: Judged, cut: Cut) -> NDArray[np.float64]:
    """Count per document the labels that a decision gives, and the right ones, shape (D, 2)."""
    given, right = judged.tally(cut.top_k)
    return np.stack([given[:, cut.place], right[:, cut.place]], axis=1)


def _summarise(counts: NDArray[np.float64], gold: NDArray[np.int64]) -> dict[str, float]:
    """Sum labels and right ones per document, shape (D, 2), into the figures of a decision."""
    given, right = counts.sum(axis=0)
    figures = {
        "precision": right / max(given, 1),
        "recall": right / max(gold.sum(), 1),
        "f1": 2 * right / max(given + gold.sum(), 1),
        "coverage": (counts[:, 0] > 0).mean(),
        "labels": counts[:, 0].mean(),
    }
    return {name: round(float(value), 6) for name, value in figures.items()}


def _unkept(judged: Judged, promise: Promise, delta: float | None, top_k: int, why: Unkept) -> InputError:
    """Say what cannot be promised, the most that can be, and what it would take."""
    confidence = "in expectation" if delta is None else f"with {100 * (1 - delta):.6g}% confidence"
    message = f"{str(promise)!r} cannot be promised {confidence} by {_shown_by(judged, promise)} gold documents"
    remedies = []
    if (best := _most(judged, promise, delta, top_k)) is not None:
        remedies.append(f"promise {best} or less" if promise.kind != "cost" else f"promise {best} or more")
    if isfinite(why.documents):
        remedies.append(f"give about {ceil(why.documents)} gold documents")
    elif promise.kind == "recall":
        remedies.append("keep more candidates or raise the top k, since too few gold labels are within reach")
    if top_k > 1 and promise.kind == "cost":
        remedies.append(f"lower the top k of {top_k}")
    remedies.append("promise nothing (f1)")
    text = ", or ".join(remedies)
    return InputError(message, remedy=f"{text[0].upper()}{text[1:]}.")


def _most(judged: Judged, promise: Promise, delta: float | None, top_k: int) -> Promise | None:
    """Find about the strongest promise of the kind that can be kept, in steps of 0.01; None where none can."""
    if promise.kind == "cost":
        levels = np.arange(int(promise.level * 100) + 1, top_k * 100 + 1) / 100
    else:
        levels = np.arange(ceil(promise.level * 100) - 1, 0, -1) / 100
    found = None
    low, high = 0, len(levels)  # what is before `low` cannot be kept, what is from `high` on can
    while low < high:
        middle = (low + high) // 2
        weaker = Promise(kind=promise.kind, level=float(levels[middle]))
        if isinstance(_keep(judged, weaker, delta, top_k), Cut):
            found, high = weaker, middle
        else:
            low = middle + 1
    return found
