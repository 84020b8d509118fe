"""The queries of a document as runs of words: of hundreds of windows, only those that are named are written out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

Runs = tuple[Sequence[str], NDArray[np.intp], NDArray[np.intp]]
"""Words, and for each run of them where it starts and where it ends."""


class Queries(Sequence[str]):
    """Texts, and behind them runs of words, each of which is a text with blanks between the words.

    Args:
        texts: Whole ones, such as a model's phrases.
        runs: Such as windows; one may be there more than once.

    Attributes:
        words: Of all texts and runs, one after the other.
        starts: Where each query starts among these, shape (queries,).
        ends: Where it ends.
    """

    def __init__(self, texts: Iterable[str] = (), runs: Iterable[Runs] = ()) -> None:
        """Split the texts into words, and put the runs behind them."""
        self._texts = tuple(texts)
        split = [text.split() for text in self._texts]
        self.words = [word for words in split for word in words]
        borders = np.cumsum([0, *map(len, split)])
        starts, ends = [borders[:-1]], [borders[1:]]
        for words, first, last in runs:
            starts.append(first + len(self.words))
            ends.append(last + len(self.words))
            self.words += words
        self.starts, self.ends = np.concatenate(starts), np.concatenate(ends)

    def __len__(self) -> int:
        """Count texts and runs."""
        return len(self.starts)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        """Write one out, or some."""
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        if place < len(self._texts):
            return self._texts[place]
        return " ".join(self.words[self.starts[place] : self.ends[place]])
