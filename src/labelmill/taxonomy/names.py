"""How names are compared, and the index that finds a label by its name."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence

_MOST_CANDIDATES = 300  # difflib compares about 100 names in a millisecond


def normalise(name: str) -> str:
    """Fold case, Unicode composition and runs of whitespace, so that names that look alike compare equal."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def trigrams(name: str) -> set[str]:
    """List the runs of three characters of a normalised name, its borders among them."""
    padded = f"  {name} " if name else ""
    return {padded[start : start + 3] for start in range(len(padded) - 2)}


def dice(one: set[str], other: set[str]) -> float:
    """Compare two sets: 0 where they share nothing, 1 where they are equal (Dice 1945)."""
    return 2 * len(one & other) / max(1, len(one) + len(other))


class NameIndex:
    """The positions of every name, exact and normalised; built once, for up to a million names.

    Args:
        names: The names, by position.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._exact = _positions(names)
        self._normalised = _positions(map(normalise, names))
        self._words: dict[str, list[int]] | None = None
        self._sorted: list[str] = []

    def find(self, text: str) -> list[int]:
        """Find the positions that bear a name: exactly if any does, else up to case and whitespace."""
        return self._exact.get(text) or self._normalised.get(normalise(text)) or []

    def closest(self, text: str) -> str | None:
        """Suggest the name most like a text among those that share its rarest word or its first letters."""
        from difflib import get_close_matches

        wanted = normalise(text)
        matches = get_close_matches(wanted, self._alike(wanted), n=1, cutoff=0.7)
        return self._names[self._normalised[matches[0]][0]] if matches else None

    def _alike(self, wanted: str) -> set[str]:
        if self._words is None:
            self._sorted = sorted(self._normalised)
            self._words = {}
            for place, name in enumerate(self._sorted):
                for word in set(name.split()):
                    self._words.setdefault(word, []).append(place)
        start = max(0, bisect_left(self._sorted, wanted) - _MOST_CANDIDATES // 2)
        found = set(self._sorted[start : start + _MOST_CANDIDATES])
        postings = sorted((self._words[word] for word in set(wanted.split()) if word in self._words), key=len)
        for places in postings[:2]:
            found.update(self._sorted[place] for place in places[:_MOST_CANDIDATES])
        return found


def _positions(names: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        found.setdefault(name, []).append(position)
    return found
