"""Evaluation: metrics against gold labels, with bootstrap intervals over documents."""

from labelmill.eval.evaluation import Evaluation, evaluate
from labelmill.eval.gold import ResolvedGold, Unresolved, resolve_gold
from labelmill.eval.groups import Shown
from labelmill.eval.hierarchy import Hierarchy
from labelmill.eval.intervals import Interval
from labelmill.eval.propensity import Frequencies
from labelmill.eval.rankings import Gold, Rankings
from labelmill.eval.table import render

__all__ = [
    "Evaluation",
    "Frequencies",
    "Gold",
    "Hierarchy",
    "Interval",
    "Rankings",
    "ResolvedGold",
    "Shown",
    "Unresolved",
    "evaluate",
    "render",
    "resolve_gold",
]
