"""Choosing how votes are combined: as asked for, as gold decides, or by what is known of when the majority is best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError
from labelmill.learning import dawid_skene as one_label
from labelmill.learning import two_sided as several_labels
from labelmill.learning.calibrating import fit_calibration
from labelmill.learning.calibration import Calibration
from labelmill.learning.folds import draw_parts
from labelmill.learning.majority import majority, majority_suffices, weighted_majority
from labelmill.learning.pooling import pool
from labelmill.learning.rank_votes import fuse_ranks
from labelmill.learning.snorkel_model import snorkel_model
from labelmill.learning.votes import KnownLabels, SoftLabels, Votes

Method = Literal["auto", "majority", "weighted", "dawid-skene", "pool", "ranks", "snorkel"]
METHODS: tuple[str, ...] = get_args(Method)

FEWEST_GOLD = 30
"""Documents with gold from which on they choose a method, and calibrate."""

_MOST_TO_TRY = 2_000_000
"""Votes up to which methods are tried on gold left out; beyond it Dawid-Skene is taken."""

_FOLDS = 4
_STRENGTHS_ONE = (50.0, 5000.0)
_STRENGTHS_SEVERAL = (5.0, 100.0)


@dataclass(frozen=True, slots=True, eq=False)
class VoterQuality:
    """What a method thinks of each voter, shape (voters,) each.

    Attributes:
        accuracy: Share of its votes that are right; None where a method does not ask.
        true_yes: Of labels that are right, the share that it votes for; labels of which a document may have several.
        false_yes: Of labels that are wrong, the same.
    """

    accuracy: NDArray[np.float64] | None = None
    true_yes: NDArray[np.float64] | None = None
    false_yes: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """Votes combined.

    Attributes:
        soft: What is thought of each pair.
        method: What was used.
        why: Why, one line for a person.
        probabilities: Whether scores are meant as probabilities.
        quality: What is thought of voters.
        calibration: What was learned from gold of how far to trust the probabilities; None without enough of it.
        tried: Each method that was tried on gold left out, with its Brier score; empty where none was.
    """

    soft: SoftLabels
    method: str
    why: str
    probabilities: bool
    quality: VoterQuality
    calibration: Calibration | None = None
    tried: tuple[tuple[str, float], ...] = ()


_Way = Callable[[Votes, KnownLabels], tuple[SoftLabels, VoterQuality]]


@dataclass(frozen=True, slots=True)
class _Recipe:
    name: str
    way: _Way
    probabilities: bool = True


def combine(
    votes: Votes,
    known: KnownLabels | None = None,
    *,
    method: str = "auto",
    exclusive: bool = False,
    seed: int = 0,
) -> Combination:
    """Combine votes into what is thought of each document's labels.

    Args:
        votes: Of voters.
        known: Gold, of some documents; it teaches, and those documents keep it.
        method: One of `METHODS`.
        exclusive: Whether a document has exactly one label.
        seed: Of the parts of gold that are left out in turn.

    Raises:
        InputError: There are no votes, the method is none or not for such labels, or gold of exclusive labels is not
            one label a document.
        MissingExtraError: The method needs a package that is not installed.
    """
    known = known or KnownLabels.none()
    _check(votes, known, method, exclusive=exclusive)
    if method == "snorkel":
        if not exclusive:
            raise InputError(
                "Snorkel's label model knows only documents that have exactly one label",
                remedy="Give --exclusive if they have, or use --method dawid-skene.",
            )
        soft = snorkel_model(votes, known, seed=seed)
        return Combination(soft, method, "as asked for", probabilities=True, quality=VoterQuality())
    if method != "auto":
        recipe = _recipes(exclusive=exclusive)[method][0]
        return _finish(votes, known, recipe, "as asked for", exclusive=exclusive, seed=seed)
    if len(known.documents) >= FEWEST_GOLD and len(votes) <= _MOST_TO_TRY:
        return _choose(votes, known, exclusive=exclusive, seed=seed)
    weighted, quality = _weighted(exclusive)(votes, known)
    if quality.accuracy is not None and _suffices(votes, quality.accuracy, exclusive=exclusive):
        why = (
            "no minority of these voters can outweigh a majority, so that the majority is the best rule there is for "
            "independent voters (Nitzan and Paroush 1982)"
        )
        return Combination(weighted, "majority", why, probabilities=True, quality=quality)
    why = "voters differ, so that some should count for more than others"
    recipe = _recipes(exclusive=exclusive)["dawid-skene"][0]
    return _finish(votes, known, recipe, why, exclusive=exclusive, seed=seed)


def _suffices(votes: Votes, accuracy: NDArray[np.float64], *, exclusive: bool) -> bool:
    """Tell whether the majority is best, of voters that are as often wrong when they say yes as when they say no."""
    if votes.silence.any() and not exclusive:
        return False  # what says yes alone is right and wrong in two ways
    active = np.bincount(votes.voter, minlength=len(accuracy)) > 0
    items = votes.document.astype(np.int64)
    if not exclusive:
        items = items * votes.labels + votes.label
    most = int(np.unique(items, return_counts=True)[1].max(initial=0))
    return majority_suffices(accuracy[active], most)


def _recipes(*, exclusive: bool) -> dict[str, list[_Recipe]]:
    """List the ways of each method, the one that is used without gold first."""
    strengths = _STRENGTHS_ONE if exclusive else _STRENGTHS_SEVERAL
    usual = one_label.STRENGTH if exclusive else several_labels.STRENGTH
    found = [_Recipe("dawid-skene", _dawid_skene(usual, exclusive=exclusive))]
    found += [_Recipe(f"dawid-skene, strength {each:g}", _dawid_skene(each, exclusive=exclusive)) for each in strengths]
    if exclusive:
        for each in (20.0, usual):
            way = _dawid_skene(each, exclusive=True, silence=True)
            found.append(_Recipe(f"dawid-skene, strength {each:g}, silence counts", way))
    plain: _Way = lambda votes, known: (majority(votes, known, exclusive=exclusive), VoterQuality())  # noqa: E731
    return {
        "dawid-skene": found,
        "weighted": [_Recipe("weighted", _weighted(exclusive))],
        "pool": [_Recipe("pool", _pool(usual, exclusive=exclusive))],
        "majority": [_Recipe("majority", plain, probabilities=False)],
        "ranks": [_Recipe("ranks", lambda votes, _: (fuse_ranks(votes), VoterQuality()), probabilities=False)],
    }


def _weighted(exclusive: bool) -> _Way:
    def way(votes: Votes, known: KnownLabels) -> tuple[SoftLabels, VoterQuality]:
        soft, found = weighted_majority(votes, known, exclusive=exclusive)
        return soft, VoterQuality(found.accuracy)

    return way


def _dawid_skene(strength: float, *, exclusive: bool, silence: bool = False) -> _Way:
    def one(votes: Votes, known: KnownLabels) -> tuple[SoftLabels, VoterQuality]:
        soft, found = one_label.dawid_skene(votes, known, strength=strength, silence=silence)
        return soft, VoterQuality(found.accuracy)

    def several(votes: Votes, known: KnownLabels) -> tuple[SoftLabels, VoterQuality]:
        soft, found = several_labels.two_sided(votes, known, strength=strength)
        return soft, VoterQuality(None, found.true_yes, found.false_yes)

    return one if exclusive else several


def _pool(strength: float, *, exclusive: bool) -> _Way:
    def way(votes: Votes, known: KnownLabels) -> tuple[SoftLabels, VoterQuality]:
        by_rates, quality = _dawid_skene(strength, exclusive=exclusive)(votes, known)
        return pool([by_rates, _weighted(exclusive)(votes, known)[0]], votes.labels), quality

    return way


def _choose(votes: Votes, known: KnownLabels, *, exclusive: bool, seed: int) -> Combination:
    """Take the way that does best on gold left out; one that is not the usual for a gain beyond its standard error."""
    by_method = _recipes(exclusive=exclusive)
    ways = [recipe for name in ("dawid-skene", "pool", "weighted", "majority") for recipe in by_method[name]]
    errors = [_errors(votes, known, _left_out(votes, known, way, seed), exclusive=exclusive) for way in ways]
    best = 0
    for place in range(1, len(ways)):
        gains = errors[best] - errors[place]
        if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)):
            best = place
    tried = tuple((way.name, float(error.mean())) for way, error in zip(ways, errors, strict=True))
    why = f"best on {len(known.documents):,} documents with gold, each left out in turn"
    return _finish(votes, known, ways[best], why, exclusive=exclusive, seed=seed, tried=tried)


def _left_out(votes: Votes, known: KnownLabels, recipe: _Recipe, seed: int) -> SoftLabels:
    """Combine votes for the documents with gold, each by what was learned without its gold."""
    part = draw_parts(known.documents, _FOLDS, seed)
    pieces = []
    for number in np.unique(part):
        soft = recipe.way(votes, known.only(known.documents[part != number]))[0]
        here = np.isin(soft.document, known.documents[part == number])
        pieces.append((soft.document[here], soft.label[here], soft.score[here]))
    document, label, score = (np.concatenate(each) for each in zip(*pieces, strict=True))
    return SoftLabels(document, label, score)


def _errors(votes: Votes, known: KnownLabels, soft: SoftLabels, *, exclusive: bool) -> NDArray[np.float64]:
    """Compute each gold document's Brier score: squared errors over its labels, shape (g,)."""
    keys = soft.document * votes.labels + soft.label
    golden = known.document * votes.labels + known.label
    right = np.isin(keys, golden)
    order = np.argsort(known.documents)
    rows, count = order[np.searchsorted(known.documents, soft.document, sorter=order)], len(known.documents)
    if exclusive:  # what is left goes to the labels that are not named
        left = 1 - np.bincount(rows, soft.score, count)
        unnamed = np.maximum(votes.labels - np.bincount(rows, minlength=count), 1)
        given = np.bincount(rows, soft.score * right, count)
        return np.asarray((1 - np.where(np.bincount(rows, right, count) > 0, given, left / unnamed)) ** 2)
    missed = known.document[~np.isin(golden, keys)]
    lost = order[np.searchsorted(known.documents, missed, sorter=order)]
    return np.asarray(np.bincount(rows, (soft.score - right) ** 2, count) + np.bincount(lost, minlength=count))


def _finish(
    votes: Votes,
    known: KnownLabels,
    recipe: _Recipe,
    why: str,
    *,
    exclusive: bool,
    seed: int,
    tried: Sequence[tuple[str, float]] = (),
) -> Combination:
    soft, quality = recipe.way(votes, known)
    calibration = None
    enough = len(known.documents) >= FEWEST_GOLD and len(votes) <= _MOST_TO_TRY
    if recipe.probabilities and not exclusive and enough:
        calibration = _calibrate(votes, known, _left_out(votes, known, recipe, seed), seed)
    if calibration is not None:
        told = np.isin(soft.document, known.documents)
        soft = SoftLabels(soft.document, soft.label, np.where(told, soft.score, calibration.apply(soft.score)))
    return Combination(soft, recipe.name, why, recipe.probabilities, quality, calibration, tuple(tried))


def _calibrate(votes: Votes, known: KnownLabels, soft: SoftLabels, seed: int) -> Calibration | None:
    keys = soft.document * votes.labels + soft.label
    right = np.isin(keys, known.document * votes.labels + known.label)
    if right.all() or not right.any() or len(np.unique(soft.document)) < 2:
        return None
    parts = draw_parts(soft.document, seed=seed)
    return fit_calibration(np.clip(soft.score, 0, 1), right, soft.document, parts).calibration


def _check(votes: Votes, known: KnownLabels, method: str, *, exclusive: bool) -> None:
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}", remedy=f"Use one of {', '.join(METHODS)}.")
    if not len(votes):
        raise InputError("there are no votes to combine", remedy="Cast some: labelmill votes apply, or votes import.")
    if exclusive and (len(known.label) != len(known.documents) or len(np.unique(known.document)) != len(known.label)):
        odd = len(known.documents) - np.count_nonzero(np.bincount(known.document, minlength=1) == 1)
        raise InputError(
            f"{odd:,} documents with gold have not exactly one label of the taxonomy",
            remedy="Combine without --exclusive, or leave these documents out.",
        )
