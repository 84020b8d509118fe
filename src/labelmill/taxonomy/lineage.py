"""What stands above and below each label: ancestors, descendants, ways to the top, depths, branches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from labelmill.records import Label


class Lineage:
    """The hierarchy over labels, by position; up to a million of them.

    A label may have several parents. Ids of parents that are no label are passed over, and a label without a parent
    that is one is a top. Nothing here recurses, and a cycle that nobody checked ends where it closes.

    >>> lineage = Lineage([Label("b", "bread"), Label("r", "rye bread", parents=("b",))])
    >>> lineage.depth(1), lineage.ancestors(1), lineage.descendants(0)
    (2, (0,), (1,))

    Args:
        labels: The labels, by position.

    Attributes:
        parents: For each label the positions of its parents, each once, in the order of its file.
        children: For each label the positions of the labels whose parent it is, in order.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        """Turn ids of parents into positions, both ways."""
        places: Mapping[str, int] = {label.id: position for position, label in enumerate(labels)}
        self.parents: tuple[tuple[int, ...], ...] = tuple(
            tuple(dict.fromkeys(places[parent] for parent in label.parents if parent in places)) for label in labels
        )
        below: dict[int, list[int]] = {}
        for position, above in enumerate(self.parents):
            for parent in above:
                below.setdefault(parent, []).append(position)
        self.children: tuple[tuple[int, ...], ...] = tuple(tuple(below.get(place, ())) for place in range(len(labels)))

    def __len__(self) -> int:
        return len(self.parents)

    @cached_property
    def tops(self) -> tuple[int, ...]:
        """The labels that have no parent, in order."""
        return tuple(position for position, above in enumerate(self.parents) if not above)

    def ancestors(self, position: int) -> tuple[int, ...]:
        """List all labels above one, each once, the nearest first."""
        return tuple(_reached([position], self.parents))[1:]

    def descendants(self, position: int) -> tuple[int, ...]:
        """List all labels below one, each once, the nearest first."""
        return tuple(_reached([position], self.children))[1:]

    def branch(self, roots: Iterable[int]) -> list[int]:
        """List some labels and all that is below them, each once, in order of position."""
        return sorted(_reached(roots, self.children))

    def path(self, position: int) -> tuple[int, ...]:
        """List the labels from a top down to this one, by first parents."""
        way = {position: None}
        here = position
        while self.parents[here] and self.parents[here][0] not in way:
            here = self.parents[here][0]
            way[here] = None
        return tuple(reversed(way))

    def depth(self, position: int) -> int:
        """Count the labels on the shortest way from a top down to this one, itself included: 1 for a top.

        A label of a cycle that no top leads to counts as a top.
        """
        return self._depths[position]

    def at_depth(self, position: int, depth: int) -> tuple[int, ...]:
        """Roll a label up: itself where it lies no deeper, else all its ancestors at this depth, of which there is one.

        Args:
            position: The label.
            depth: From 1, the tops.
        """
        if self._depths[position] <= depth:
            return (position,)
        return tuple(above for above in self.ancestors(position) if self._depths[above] == depth)

    def most_specific(self, positions: Iterable[int]) -> set[int]:
        """Leave out of some labels each that is an ancestor of another of them; labels of one cycle all stay."""
        kept = set(positions)
        above = {position: set(self.ancestors(position)) for position in kept}
        return {each for each in kept if not any(each in above[other] and other not in above[each] for other in kept)}

    @cached_property
    def _depths(self) -> tuple[int, ...]:
        depths = [0] * len(self)
        level: Iterable[int] = self.tops
        depth = 1
        while level:
            for position in level:
                depths[position] = depth
            level = dict.fromkeys(child for here in level for child in self.children[here] if not depths[child])
            depth += 1
        return tuple(depth or 1 for depth in depths)


def _reached(starts: Iterable[int], ways: Sequence[Sequence[int]]) -> Iterator[int]:
    """Give the starts, then what they lead to, level by level, each position once."""
    level = list(dict.fromkeys(starts))
    seen = set(level)
    while level:
        yield from level
        level = [there for there in dict.fromkeys(there for here in level for there in ways[here]) if there not in seen]
        seen.update(level)
