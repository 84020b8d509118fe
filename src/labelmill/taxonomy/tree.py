"""A branch of a taxonomy as the lines of a tree, so many at most; how they look is for the command line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from labelmill.taxonomy.model import Taxonomy


@dataclass(frozen=True, slots=True)
class Twig:
    """One line of a tree.

    Attributes:
        level: How far in it stands, from 0.
        position: The label's; None for a line that stands for labels left out.
        under: The parent under which the label is drawn with what is below it, where this is not the place: a label
            with several parents has a line under each.
        hidden: How many labels are left out: directly here, or of a label without lines below it, all below it.
    """

    level: int
    position: int | None
    under: int | None = None
    hidden: int = 0


@dataclass(slots=True)
class _Drawing:
    """Which labels have a line, found level by level, so that a tree that is too large loses its depths first."""

    lines: int
    parent_of: dict[int, int | None] = field(default_factory=dict)
    shown: dict[int | None, list[int]] = field(default_factory=dict)
    left_out: dict[int | None, int] = field(default_factory=dict)

    def add(self, parent: int | None, children: Sequence[int]) -> list[int]:
        """Give lines to a label's children while there are any; return those that have their place here."""
        fitting = children[: max(0, self.lines)]
        self.lines -= len(fitting)
        self.shown[parent], self.left_out[parent] = list(fitting), len(children) - len(fitting)
        fresh = [child for child in fitting if child not in self.parent_of]
        self.parent_of |= dict.fromkeys(fresh, parent)
        return fresh


def tree(taxonomy: Taxonomy, under: Sequence[str] = (), *, depth: int | None = None, k: int = 100) -> list[Twig]:
    """Draw a taxonomy, or branches of it, as lines in the order of a tree.

    Args:
        taxonomy: The labels; those alone are drawn, also where they are a part.
        under: Ids or unique names of the labels to begin with; the tops by default.
        depth: How many levels to draw at most.
        k: How many labels to give a line at most.

    Raises:
        TaxonomyError: There is no such label among these.
    """
    lineage = taxonomy.lineage
    roots = list(dict.fromkeys(taxonomy.find(text) for text in under)) or list(lineage.tops)
    drawing = _Drawing(k)
    waiting = deque((root, 1) for root in drawing.add(None, roots))
    while waiting:
        here, level = waiting.popleft()
        if level != depth:
            waiting.extend((child, level + 1) for child in drawing.add(here, lineage.children[here]))
    return list(_lines(taxonomy, drawing))


def _lines(taxonomy: Taxonomy, drawing: _Drawing) -> Iterator[Twig]:
    lineage = taxonomy.lineage
    ways: list[tuple[int | None, Iterator[int]]] = [(None, iter(drawing.shown[None]))]
    while ways:
        parent, rest = ways[-1]
        child = next(rest, None)
        level = len(ways) - 1
        if child is None:
            ways.pop()
            if drawing.left_out[parent] and drawing.shown[parent]:
                yield Twig(level, None, hidden=drawing.left_out[parent])
        elif drawing.parent_of[child] != parent:
            yield Twig(level, child, under=drawing.parent_of[child])
        else:
            below = drawing.shown.get(child)
            yield Twig(level, child, hidden=0 if below else len(lineage.descendants(child)))
            if below:
                ways.append((child, iter(below)))
