"""The hierarchy from the top down: labels for all documents, then for those under each label; and its checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from labelmill.learning.clusters import unit
from labelmill.pipelines.generating.drafts import Decision, Group, Pool, Rows, Vectors

_LEAST_ROWS = 6
"""Documents that are worth dividing further."""

_CLEARLY = 0.02
"""By how much nearer another broader label must be before a label is moved there."""


class Maker(Protocol):
    """Makes labels for some documents of the pool."""

    async def make(self, rows: Rows, most: int, above: Sequence[str]) -> tuple[list[Group], list[Decision]]:
        """Make labels.

        Args:
            rows: The documents, as rows of the pool.
            most: How many labels there may be.
            above: Names of the broader labels, from the top.

        Returns:
            The labels, each of these documents under one of them, and what was decided.
        """
        ...

    async def odd(self, groups: Sequence[Group], above: Sequence[str]) -> list[int]:
        """List which of these siblings are not of the others' kind, as far as that can be told."""
        ...


async def grow(maker: Maker, pool: Pool, most: int, depth: int) -> tuple[list[Group], list[Decision]]:
    """Make a hierarchy.

    Args:
        maker: Makes the labels of one level under one label.
        pool: The documents.
        most: How many labels there may be that have no narrower ones.
        depth: Levels at most.
    """
    decisions: list[Decision] = []

    async def level(rows: Rows, most: int, depth: int, above: tuple[str, ...]) -> list[Group]:
        wanted = most if depth == 1 else max(2, round(most ** (1 / depth)))
        groups, decided = await maker.make(rows, min(wanted, most), above)
        decisions.extend(decided)
        if depth > 1 and len(groups) > 1:
            for group, share in zip(groups, allot(most, [len(group.rows) for group in groups]), strict=True):
                if share > 1 and len(group.rows) >= _LEAST_ROWS:
                    narrower = await level(group.rows, share, depth - 1, (*above, group.draft.name))
                    group.children = narrower if len(narrower) > 1 else []
            decisions.extend(rehome(groups, pool.vectors))
        for place in await maker.odd(groups, above):
            name = groups[place].draft.name
            decisions.append(Decision("unlike", (name,), "it is not of the kind of the labels beside it"))
        return groups

    return await level(np.arange(len(pool)), most, depth, ()), decisions


def allot(most: int, sizes: Sequence[int]) -> list[int]:
    """Share a number out by size, at least 1 to each; the largest remainders get what is left.

    >>> allot(10, [50, 30, 1])
    [5, 4, 1]
    """
    total = max(1, sum(sizes))
    free = max(0, most - len(sizes))
    exact = [free * size / total for size in sizes]
    shares = [1 + int(part) for part in exact]
    order = sorted(range(len(sizes)), key=lambda at: (int(exact[at]) - exact[at], at))
    for at in order[: max(0, most - sum(shares))]:
        shares[at] += 1
    return shares


def rehome(groups: list[Group], vectors: Vectors) -> list[Decision]:
    """Move narrower labels to where their documents are nearer to; a label without narrower ones takes none."""
    decisions = []
    parents = [group for group in groups if group.children]
    for parent in parents:
        for child in list(parent.children):
            if len(parent.children) == 1:
                break
            near = [float(child.centroid @ other.centroid) for other in parents]
            best = parents[int(np.argmax(near))]
            if best is not parent and max(near) - float(child.centroid @ parent.centroid) > _CLEARLY:
                parent.children.remove(child)
                best.children.append(child)
                for group in (parent, best):
                    gather(group, vectors)
                why = f"nearer to the documents there than under {parent.draft.name}"
                decisions.append(Decision("moved", (child.draft.name,), why, best.draft.name))
    return decisions


def gather(group: Group, vectors: Vectors) -> None:
    """Count the documents of a label anew, from those of its narrower labels."""
    group.rows = np.sort(np.concatenate([child.rows for child in group.children]))
    group.centroid = unit(vectors[group.rows].mean(axis=0, keepdims=True))[0]
    group.quoted = typical(group.rows, group.centroid, vectors)


def typical(rows: Rows, centroid: Vectors, vectors: Vectors, count: int = 3) -> tuple[int, ...]:
    """Choose the documents nearest to a centroid; of those that say the same, one."""
    near = vectors[rows] @ centroid
    chosen: list[int] = []
    for at in np.lexsort((rows, -np.round(near, 5))).tolist():
        row = int(rows[at])
        if all(float(vectors[row] @ vectors[other]) < 0.995 for other in chosen):
            chosen.append(row)
        if len(chosen) == count:
            break
    return tuple(chosen)


def walk(groups: Sequence[Group], above: tuple[Group, ...] = ()) -> list[tuple[Group, tuple[Group, ...]]]:
    """List all labels, each with those above it from the top, broader before narrower."""
    found: list[tuple[Group, tuple[Group, ...]]] = []
    for group in groups:
        found.append((group, above))
        found += walk(group.children, (*above, group))
    return found
