"""What a model's Rank adds to learned fusion: asked about the candidates in cross-fitted order, weighed, and judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.blend import COLUMNS, Blend, answer_columns, fit_blend
from labelmill.pipelines.pointwise import merge_probabilities
from labelmill.pipelines.program import NOWHERE, Program, merge_rankings
from labelmill.pipelines.whole import join
from labelmill.records import Candidate


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """The candidates that a program keeps, each document's best first, as documents that it never saw would have them.

    Attributes:
        candidates: Of each document.
        log_odds: Cross-fitted, shape (n,).
        correct: Whether each is gold, shape (n,).
        groups: The candidate's document, shape (n,).
    """

    candidates: tuple[list[Candidate], ...]
    log_odds: NDArray[np.float64]
    correct: NDArray[np.bool_]
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """What a model's answers add, on documents left out.

    Attributes:
        blend: What they weigh.
        before: The candidates, with log-odds by the same regression without the answers. With whole Rank, labels that
            the model named beyond them are among them.
        after: The same candidates, with log-odds by the answers as well.
    """

    blend: Blend
    before: Ranked
    after: Ranked


def keep_best(
    pools: Sequence[list[Candidate]],
    log_odds: NDArray[np.float64],
    correct: NDArray[np.bool_],
    groups: NDArray[np.int64],
    kept: int,
) -> Ranked:
    """Order each document's pool by cross-fitted log-odds and keep the first."""
    order = np.lexsort((-log_odds, groups))
    place = np.arange(len(order)) - np.searchsorted(groups[order], groups[order], side="left")
    order = order[place < kept]
    flat = [candidate for pool in pools for candidate in pool]
    candidates: list[list[Candidate]] = [[] for _ in pools]
    for index in order.tolist():
        candidates[int(groups[index])].append(flat[index])
    return Ranked(tuple(candidates), log_odds[order], correct[order], groups[order])


def add(ranked: Ranked, more: Sequence[Iterable[int]], gold: Sequence[frozenset[int]]) -> Ranked:
    """Put further labels behind each document's candidates, by the evidence as unlikely as the last of them.

    So `Program.decide` does with what a model named and Retrieve did not find.

    Args:
        ranked: The candidates.
        more: Positions of labels; those that are candidates already stay where they are.
        gold: Positions of the gold labels.
    """
    bounds = np.searchsorted(ranked.groups, np.arange(len(ranked.candidates) + 1))
    candidates, odds, right = [], list[NDArray[np.float64]](), list[NDArray[np.bool_]]()
    for place, (own, labels) in enumerate(zip(ranked.candidates, more, strict=True)):
        rows = slice(bounds[place], bounds[place + 1])
        joined, _ = join(own, list(labels))
        added = joined[len(own) :]
        floor = ranked.log_odds[rows].min() if own else NOWHERE
        candidates.append(joined)
        odds.append(np.append(ranked.log_odds[rows], np.full(len(added), floor)))
        found = np.array([each.label in gold[place] for each in added], dtype=np.bool_)
        right.append(np.append(ranked.correct[rows], found))
    groups = np.repeat(np.arange(len(candidates)), [len(each) for each in candidates])
    return Ranked(tuple(candidates), np.concatenate(odds), np.concatenate(right), groups)


def weigh_answers(
    program: Program,
    ranked: Ranked,
    answers: Sequence[Sequence[list[float]] | None],
    gold: Sequence[frozenset[int]],
    parts: NDArray[np.int64],
) -> Weighed:
    """Learn what Rank's answers weigh beside the fusion.

    Args:
        program: Whose Rank was asked.
        ranked: The candidates.
        answers: For each document the answer for each of its chunks, or None where there is none.
        gold: Positions of the gold labels.
        parts: The part of each document, shape (D,); each is left out in turn.
    """
    if program.ranks_all:
        ranked = add(ranked, [_merged(answer or ()) for answer in answers], gold)
    values = np.concatenate([_columns(program, ranked, place, answer) for place, answer in enumerate(answers)])
    unanswered = values.copy()
    unanswered[:, COLUMNS.index("chosen") :] = 0
    found, without = np.zeros(len(values)), np.zeros(len(values))
    part_of = parts[ranked.groups]
    for part in np.unique(part_of):
        inside = part_of == part
        for made, columns in ((found, values), (without, unanswered)):
            made[inside] = fit_blend(columns[~inside], ranked.correct[~inside]).log_odds(columns[inside])
    # Fitted as well, or an answer would be praised for what any regression mends of the log-odds.
    return Weighed(
        fit_blend(values, ranked.correct), replace(ranked, log_odds=without), replace(ranked, log_odds=found)
    )


def _columns(program: Program, ranked: Ranked, place: int, answer: Sequence[list[float]] | None) -> NDArray[np.float64]:
    """Lay out what was answered for one document."""
    own = ranked.log_odds[ranked.groups == place]
    if answer is None or not len(own):
        return answer_columns(own, 0)
    if program.spec.rank == "pointwise":
        judged = merge_probabilities(answer)
        return answer_columns(own, len(judged), probabilities=judged)
    chosen = _merged(answer)
    if program.ranks_all:
        _, indexes = join(ranked.candidates[place], chosen)
        return answer_columns(own, len(own), indexes)
    return answer_columns(own, min(program.spec.listed, len(own)), chosen)


def _merged(answer: Sequence[list[float]]) -> list[int]:
    return merge_rankings([[int(index) for index in each] for each in answer])


def resort(ranked: Ranked) -> Ranked:
    """Put candidates in the order of log-odds that have changed."""
    pools = ranked.candidates
    return keep_best(pools, ranked.log_odds, ranked.correct, ranked.groups, max(map(len, pools)))
