"""The requests that the tests send: Infer's and Rank's own."""

from __future__ import annotations

from pathlib import Path

from labelmill.pipelines.infer import Infer
from labelmill.pipelines.pointwise import PointwiseRank
from labelmill.pipelines.rank import Rank
from labelmill.prompts.card import TaskCard

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
TASK = RECIPES / "recipes.toml"
CARD = TaskCard(document="a recipe", label="a tag of a recipe")
"""Without examples: the embedded server reads a hundred tokens a second, and nobody judges its answers here."""

NAMES = ["soup", "bread and pastry", "vegan", "ready in 30 minutes", "fish"]
INFER = Infer(CARD)
RANK = Rank(CARD, len(NAMES))
POINTWISE = PointwiseRank(CARD)
SHOWN = Infer(TaskCard.read(TASK))
SHOWN_POINTWISE = PointwiseRank(TaskCard.read(TASK))
"""With demonstrations, which every document shares, and after which yes and no are nearly all that is answered."""

TEXT = "Simmer leeks and potatoes in water for half an hour, blend them with a spoon of oil, and serve with toast."


def text(number: int) -> str:
    """Write a short recipe, another one for every number."""
    return f"Recipe {number}: boil {number + 2} potatoes and a leek, blend them with oil, eat with toast."
