"""Labels that files name, looked up in a taxonomy: each name once; what it lacks is kept and reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from labelmill.errors import GoldError
from labelmill.taxonomy import Taxonomy


class Resolver:
    """Finds the labels of a taxonomy by id or unique name.

    Args:
        taxonomy: The labels.

    Attributes:
        outside: What the taxonomy does not have, and how often it was named.
        examples: Where each of them was named first, and why it is not found.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        """Have looked up nothing yet."""
        self._taxonomy = taxonomy
        self._known: dict[str, int | None] = {}
        self.outside: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def position(self, name: str, where: str = "") -> int | None:
        """Find the position of a label that is named somewhere; None, and counted, where there is none."""
        if name not in self._known:
            try:
                self._known[name] = self._taxonomy.resolve(name)
            except GoldError as reason:
                self._known[name] = None
                self.examples[name] = f"{where}: {reason}" if where else str(reason)
        found = self._known[name]
        if found is None:
            self.outside[name] += 1
        return found

    def positions(self, names: Iterable[str], where: str = "") -> tuple[int, ...]:
        """Find the positions of several, each once, in order; those that are not there are left out."""
        found = (self.position(name, where) for name in names)
        return tuple(dict.fromkeys(each for each in found if each is not None))

    def knows(self, names: Iterable[str]) -> bool:
        """Tell whether all of them, looked up before, are there."""
        return all(self._known.get(name) is not None for name in names)


def handles(taxonomy: Taxonomy) -> list[str]:
    """Say what to call each label in files that people read: its name where that finds it again, else its id."""
    called = []
    for position, label in enumerate(taxonomy):
        try:
            found = taxonomy.resolve(label.name) == position
        except GoldError:
            found = False
        called.append(label.name if found else label.id)
    return called
