"""A voter that finds the names and aliases of labels in a text, word for word."""

from __future__ import annotations

import re
from collections.abc import Iterable

from labelmill.taxonomy import Taxonomy

_WORD = re.compile(r"\w+")
_LONGEST = 10
_SHORTEST = 3


class AliasMatches:
    """Votes for a label where one of its names stands in the text, in any case; the longest names are read first.

    "Fruit juice" is no vote for "juice" where there is a label "fruit juice". A name that two labels share votes for
    none; one of fewer than three letters is left out.

    Args:
        taxonomy: The labels.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        """Index the names by their words."""
        self._labels: dict[tuple[str, ...], int | None] = {}
        for position, label in enumerate(taxonomy.labels):
            for words in {_words(name) for name in (label.name, *label.aliases)}:
                if 0 < len(words) <= _LONGEST and sum(map(len, words)) >= _SHORTEST:
                    taken = self._labels.get(words, position)
                    self._labels[words] = position if taken == position else None
        self._first: dict[str, int] = {}
        for words in self._labels:
            self._first[words[0]] = max(self._first.get(words[0], 0), len(words))

    def vote(self, text: str) -> list[int]:
        """Find the positions of the labels that a text names, in order of appearance."""
        words, found, place = _words(text), dict[int, None](), 0
        while place < len(words):
            for size in range(min(self._first.get(words[place], 0), len(words) - place), 0, -1):
                if (run := words[place : place + size]) in self._labels:
                    label = self._labels[run]
                    if label is not None:
                        found[label] = None
                    place += size
                    break
            else:
                place += 1
        return list(found)


def _words(text: str) -> tuple[str, ...]:
    return tuple(_all_words(text.casefold()))


def _all_words(text: str) -> Iterable[str]:
    return _WORD.findall(text)
