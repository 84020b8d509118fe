"""Prompts learned from gold: DSPy's optimisers over Infer and Rank, with every answer kept and every call counted."""

from labelmill.pipelines.optimise.figures import OnOptimise, Optimised, OptimiseProgress, StageFigures
from labelmill.pipelines.optimise.left_to_right import optimise
from labelmill.pipelines.optimise.optimisers import OPTIMISERS, PromptOptimiser
from labelmill.pipelines.optimise.spending import Allowance, Usage

__all__ = [
    "OPTIMISERS",
    "Allowance",
    "OnOptimise",
    "OptimiseProgress",
    "Optimised",
    "PromptOptimiser",
    "StageFigures",
    "Usage",
    "optimise",
]
