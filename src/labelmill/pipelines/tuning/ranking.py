"""What a model's Rank adds to learned fusion: asked about the candidates in cross-fitted order, weighed, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.blend import COLUMNS, Blend, answer_columns, fit_blend
from labelmill.learning.fusing import log_loss
from labelmill.pipelines.pointwise import merge_probabilities
from labelmill.pipelines.program import Program, merge_rankings
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


def weigh_answers(
    program: Program, ranked: Ranked, answers: Sequence[Sequence[list[float]] | None], parts: NDArray[np.int64]
) -> tuple[Blend, NDArray[np.float64], dict[str, float]]:
    """Learn what Rank's answers weigh beside the fusion.

    Args:
        program: Whose Rank was asked.
        ranked: The candidates.
        answers: For each document the answer for each of its chunks, or None where there is none.
        parts: The part of each candidate's document, shape (n,); each is left out in turn.

    Returns:
        The weights; cross-fitted log-odds with the answers, shape (n,); log losses of the regression with and without
        them.
    """
    rows = []
    for place, answer in enumerate(answers):
        own = ranked.log_odds[ranked.groups == place]
        if answer is None or not len(own):
            rows.append(answer_columns(own, 0))
        elif program.spec.rank == "pointwise":
            judged = merge_probabilities(answer)
            rows.append(answer_columns(own, len(judged), probabilities=judged))
        else:
            chosen = merge_rankings([[int(index) for index in each] for each in answer])
            rows.append(answer_columns(own, min(program.spec.listed, len(own)), chosen))
    values = np.concatenate(rows)
    unanswered = values.copy()
    unanswered[:, COLUMNS.index("chosen") :] = 0
    found, without = np.zeros(len(values)), np.zeros(len(values))
    for part in np.unique(parts):
        inside = parts == part
        for made, columns in ((found, values), (without, unanswered)):
            made[inside] = fit_blend(columns[~inside], ranked.correct[~inside]).log_odds(columns[inside])
    # Fitted as well, or an answer would be praised for what any regression mends of the log-odds.
    losses = {"with rank": log_loss(found, ranked.correct), "without": log_loss(without, ranked.correct)}
    return fit_blend(values, ranked.correct), found, losses


def resort(ranked: Ranked) -> Ranked:
    """Put candidates in the order of log-odds that have changed."""
    pools = ranked.candidates
    return keep_best(pools, ranked.log_odds, ranked.correct, ranked.groups, max(map(len, pools)))
