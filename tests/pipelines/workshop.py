"""A workshop's forty tasks and its diary: gold that learning can do better with than without, for the tests of tuning."""

from __future__ import annotations

import numpy as np

from labelmill import Taxonomy
from labelmill.records import Document

VERBS = {
    "repair": "repaired",
    "paint": "painted",
    "sell": "sold",
    "sketch": "sketched",
    "wash": "washed",
    "lend": "lent out",
    "weigh": "weighed",
    "wrap": "wrapped",
}
THINGS = ["bicycles", "clocks", "boats", "kettles", "lanterns"]
TASKS = [f"{verb} {thing}" for verb in VERBS for thing in THINGS]

_OPENINGS = ["In the morning", "After the rain", "While the radio played", "With both doors open", "Late in the day"]
_ASIDES = [
    "Nobody came for the {thing} that were left in the yard.",
    "A neighbour asked what {thing} cost in the city, and went home.",
    "The old sign above the gate still shows {thing}.",
    "Coffee was short again.",
]


def workshop() -> Taxonomy:
    """Forty labels, each a verb and a thing."""
    return Taxonomy.from_names(TASKS)


def diary(documents: int, seed: int = 0, labelled: bool = True) -> list[Document]:
    """Draw entries: two to four tasks, some far more often than others, and asides about things that nothing is done to."""
    generator = np.random.default_rng(seed)
    often = 1.0 / np.arange(1, len(TASKS) + 1)
    drawn = []
    for number in range(documents):
        count = int(generator.integers(2, 5))
        chosen = generator.choice(len(TASKS), size=count, replace=False, p=often / often.sum()).tolist()
        sentences = [_sentence(TASKS[each], generator) for each in chosen]
        sentences += [_pick(_ASIDES, generator).format(thing=_pick(THINGS, generator)) for _ in range(2)]
        text = " ".join(sentences[place] for place in generator.permutation(len(sentences)))
        names = tuple(TASKS[each] for each in chosen) if labelled else None
        drawn.append(Document(f"{seed}-{number:03}", text, names))
    return drawn


def _sentence(task: str, generator: np.random.Generator) -> str:
    verb, thing = task.split(" ")
    return f"{_pick(_OPENINGS, generator)} the {thing} were {VERBS[verb]}."


def _pick(choices: list[str], generator: np.random.Generator) -> str:
    return choices[int(generator.integers(len(choices)))]
