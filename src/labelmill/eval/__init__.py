"""Evaluation: metrics against gold labels, with bootstrap intervals over documents."""

from labelmill.eval.evaluation import Evaluation, evaluate
from labelmill.eval.gold import ResolvedGold, Unresolved, resolve_gold
from labelmill.eval.intervals import Interval
from labelmill.eval.rankings import Gold, Rankings
from labelmill.eval.table import render

__all__ = [
    "Evaluation",
    "Gold",
    "Interval",
    "Rankings",
    "ResolvedGold",
    "Unresolved",
    "evaluate",
    "render",
    "resolve_gold",
]
