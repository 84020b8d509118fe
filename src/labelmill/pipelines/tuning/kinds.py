"""Which kind of Rank a program gets: the kinds that apply are asked about the gold, and the gold chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from labelmill.learning.fusing import log_loss
from labelmill.pipelines.questions import Cost
from labelmill.pipelines.spec import ProgramSpec, RankKind
from labelmill.pipelines.tuning.figures import ranked_precisions
from labelmill.pipelines.tuning.gathering import GoldSet
from labelmill.pipelines.tuning.ranking import Ranked, Weighed, add
from labelmill.pipelines.whole import MOST_LABELS, check_size

RankWish = RankKind | Literal["auto"]
"""A kind of Rank, or ``auto``: whichever is best on the gold."""

_WORTH_ASKING = 0.999
"""Of the log loss without Rank's answers, what it must fall below with them: less would be noise, and costs tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A kind of Rank that was asked about the gold.

    Attributes:
        spec: The program with it.
        weighed: What its answers add.
        cost: What they cost, over all documents.
    """

    spec: ProgramSpec
    weighed: Weighed
    cost: Cost


def kinds_to_try(wish: RankWish, labels: int) -> tuple[RankKind, ...]:
    """List the kinds of Rank to ask, the one that reads least first; ``fusion`` asks nobody.

    Args:
        wish: What was asked for.
        labels: Size of the taxonomy.

    Raises:
        InputError: All labels are to be shown, and they are too many.
    """
    if wish == "whole":
        check_size(labels)
    if wish != "auto":
        return (wish,)
    return ("listwise", "whole") if labels <= MOST_LABELS else ("listwise",)


def choose_kind(tried: Sequence[Tried], ranked: Ranked, gold: GoldSet) -> tuple[Tried | None, list[dict[str, Any]]]:
    """Take the kind whose answers make unseen labels most probable; None where asking is not worth it.

    Each kind must be better than the fusion alone, and than those before it, by more than noise. All are compared on
    the same labels: what one kind names beyond the candidates is to the others as unlikely as their last candidate.

    Args:
        tried: The kinds, in the order of `kinds_to_try`.
        ranked: The candidates before.
        gold: The documents.

    Returns:
        The kind, and the figures of each.
    """
    every = [
        [candidate.label for each in tried for candidate in each.weighed.after.candidates[place]]
        for place in range(len(gold))
    ]

    def loss(of: Ranked) -> float:
        widened = add(of, every, gold.labels)
        return log_loss(widened.log_odds, widened.correct)

    kept, best, figures = None, float("inf"), []
    for each in tried:
        losses = {"with rank": loss(each.weighed.after), "without": loss(each.weighed.before)}
        if losses["with rank"] < _WORTH_ASKING * min(losses["without"], best):
            kept, best = each, losses["with rank"]
        figures.append(_figures(each, losses, ranked, gold))
    for each, shown in zip(tried, figures, strict=True):
        shown["kept"] = each is kept
    return kept, figures


def _figures(tried: Tried, losses: dict[str, float], ranked: Ranked, gold: GoldSet) -> dict[str, Any]:
    return {
        "kind": tried.spec.rank,
        "log_losses": losses,
        "without": ranked_precisions(ranked, gold),
        "with": ranked_precisions(tried.weighed.after, gold),
        "tokens": tried.cost.tokens / len(gold),
        "cached_tokens": tried.cost.cached_tokens / len(gold),
    }
