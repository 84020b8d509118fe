"""A plain search in a taxonomy, for a person who looks a label up; retrieval proper is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.names import dice, normalise, trigrams

How: TypeAlias = Literal["id", "exact", "prefix", "words", "similar"]

_LEAST_SIMILAR = 0.35  # below it, trigrams shared are mere chance


@dataclass(frozen=True, slots=True)
class Match:
    """A label that a search found.

    Attributes:
        position: Position in the taxonomy.
        text: The name, alias or id that matched.
        how: How it matched; the order of the kinds is the order of the matches.
    """

    position: int
    text: str
    how: How


def show(taxonomy: Taxonomy, query: str, k: int = 10) -> tuple[Match, ...]:
    """Find labels by id, then by an equal name or alias, by its beginning, by all its words, and at last by likeness.

    Every label is found once, by its best match. Among equals the shorter text comes first, then the label's position.
    The search goes over all names: about a second for 100,000 labels with as many aliases.
    """
    found: dict[int, Match] = {}
    for match in _plain(taxonomy, query):
        found.setdefault(match.position, match)
    if len(found) < k:
        for match in _similar(taxonomy, query):
            found.setdefault(match.position, match)
    return tuple(islice(found.values(), k))


def _plain(taxonomy: Taxonomy, query: str) -> Iterator[Match]:
    wanted = normalise(query)
    if not wanted:
        return
    words = set(wanted.split())
    groups: dict[How, list[Match]] = {"id": [], "exact": [], "prefix": [], "words": []}
    for position, text in _texts(taxonomy):
        name = normalise(text)
        if name == wanted:
            groups["exact"].append(Match(position, text, "exact"))
        elif name.startswith(wanted):
            groups["prefix"].append(Match(position, text, "prefix"))
        elif words <= set(name.split()):
            groups["words"].append(Match(position, text, "words"))
    for position, label in enumerate(taxonomy):
        if label.id == query.strip():
            groups["id"].append(Match(position, label.id, "id"))
    for matches in groups.values():
        yield from sorted(matches, key=lambda match: (len(match.text), match.position))


def _similar(taxonomy: Taxonomy, query: str) -> Iterator[Match]:
    """Rank names by the Dice coefficient of their character trigrams with the query's."""
    wanted = trigrams(normalise(query))
    scored: list[tuple[float, int, str]] = []
    for position, text in _texts(taxonomy):
        likeness = dice(wanted, trigrams(normalise(text)))
        if likeness >= _LEAST_SIMILAR:
            scored.append((-likeness, position, text))
    for _, position, text in sorted(scored):
        yield Match(position, text, "similar")


def _texts(taxonomy: Taxonomy) -> Iterator[tuple[int, str]]:
    for position, label in enumerate(taxonomy):
        yield position, label.name
        for alias in label.aliases:
            yield position, alias
