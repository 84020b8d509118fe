"""What labels are called, as knowledge before any lesson: texts that say a label's name probably have the label.

That holds for labels of which there is no lesson as well, and of a large taxonomy these are most. So a student adds to
what it learned a share of the likeness of text and name. The share is chosen by what it then says of lessons that it
has not seen; it may be nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.pipelines.distilling.lessons import Lessons
from labelmill.retrievers.base import best_labels
from labelmill.retrievers.students.features import Features
from labelmill.taxonomy import Taxonomy

SHARES = (0.0, 0.1, 0.2, 0.3, 0.5)
"""Of the likeness, a cosine, beside scores of 0..1; that is taken which ranks most of the teacher's labels first."""

_USUAL = 0.3

_FIRST = 5
_ASKED = 400
"""Lessons that the share is chosen by."""

_ROWS_AT_ONCE = 512


def names_of(taxonomy: Taxonomy) -> list[tuple[str, ...]]:
    """List what each label is called, as `TfIdf.rows` takes it."""
    return [(label.name, *label.aliases) for label in taxonomy.labels]


def name_columns(features: Features, called: list[tuple[str, ...]], width: int) -> Any:
    """Make a column of features for each label's name, of length 1: CSR float32, shape (width, labels)."""
    from scipy import sparse

    if features.tfidf is None:
        raise ValueError("names are compared by their words")
    words = features.tfidf.rows(called)
    return sparse.csr_array((words.data, words.indices, words.indptr), shape=(len(called), width)).T.tocsr()


def likeness(rows: Any, names: Any) -> Iterator[NDArray[np.float32]]:
    """Compare texts, CSR of shape (N, F), with all names: for each text cosines, shape (labels of the taxonomy,)."""
    for start in range(0, rows.shape[0], _ROWS_AT_ONCE):
        alike = rows[start : start + _ROWS_AT_ONCE] @ names
        for begin, end in pairwise(alike.indptr.tolist()):
            dense = np.zeros(names.shape[1], dtype=np.float32)
            dense[alike.indices[begin:end]] = alike.data[begin:end]
            yield dense


def _discounted(worth: Sequence[float]) -> float:
    return float(sum(value / np.log2(place + 2) for place, value in enumerate(worth[:_FIRST])))


def asked(count: int) -> NDArray[np.intp]:
    """Draw lessons for `choose_share`, evenly: places among so many."""
    return np.unique(np.linspace(0, count - 1, _ASKED).astype(np.intp))


def choose_share(
    lessons: Lessons, places: NDArray[np.intp], scores: Callable[[float], Iterable[NDArray[np.float32]]]
) -> float:
    """Choose the share of names by nDCG@5 of the rankings, where a label is worth what the teacher gave it.

    Args:
        lessons: With what the teacher said.
        places: Of the lessons that are looked at.
        scores: Given a share, says of each of these lessons, without it, the scores of all labels of the taxonomy.
    """
    starts = np.searchsorted(lessons.row, np.arange(len(lessons) + 1))

    def worth(share: float) -> float:
        found = 0.0
        for place, said in zip(places.tolist(), scores(share), strict=True):
            here = slice(int(starts[place]), int(starts[place + 1]))
            target = dict(zip(lessons.label[here].tolist(), lessons.target[here].tolist(), strict=True))
            best = _discounted(sorted(target.values(), reverse=True))
            ranked = best_labels(np.round(said, 6), _FIRST).tolist()
            found += _discounted([target.get(label, 0.0) for label in ranked]) / best if best > 0 else 0.0
        return found

    # Where lessons do not tell, names are heard: of labels without lessons nothing else is known.
    return max(SHARES, key=lambda share: (round(worth(share), 6), -abs(share - _USUAL)))
