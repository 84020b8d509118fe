"""Competition: what a document's windows say of its candidates beside each other.

A window that fits a candidate well speaks for it; one that fits another candidate better speaks for that one. A lane
scores each label by its best window alone, so five labels of the same two words all come first, and crowd out the one
label of the next two. These columns tell them apart. They depend on which candidates there are: no `Scorer` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelmill.retrievers.dense import Dense

COMPETITION_VERSION = 1
"""Raised whenever the same candidates and windows would give other numbers."""

_SHARPNESS = 20.0
"""Of the softmax over candidates, on cosines: a tenth behind the best is a seventh of its share."""

_AHEAD = 5
_LEAST = 1e-4
_DIGITS = 5


class Competition:
    """Compares a document's candidates by their cosines with its windows, the maximum over a label's texts.

    Attributes:
        columns: ``rank`` and ``gap``: among the candidates with the same best window, -log(1 + those ahead), and how
            far the first of them is ahead. ``overlap``: the largest share of the best window's words that the best
            window of one of the candidates just ahead has. ``words``: of the best window. ``margin``: by how much it
            leads all others at its best window, below 0 where it does not; ``margin_max``: where it leads by most.
            ``first``, ``first_share`` and ``top_3``: at how many windows (their logarithm, their share) it is the
            first, and among the first three. ``mean`` and ``mean_5``: of its cosines with all windows, and with its
            best five. ``softmax`` and ``softmax_sum``: the logarithms of its largest share of a window, and of all its
            shares.
        fingerprint: The formulas'; what it searches is a lane of the same embedder.

    Args:
        dense: The labels' vectors, and the embedder of the windows.
    """

    name = "competition"
    columns = (
        "rank", "gap", "overlap", "words", "margin", "margin_max", "first", "first_share", "top_3", "mean", "mean_5",
        "softmax", "softmax_sum",
    )  # fmt: skip

    def __init__(self, dense: Dense) -> None:
        """Keep where vectors come from."""
        self._dense = dense
        self.fingerprint = f"competition{COMPETITION_VERSION}-{dense.name.partition('.')[0]}"

    def compare(self, windows: Sequence[str], candidates: NDArray[np.int32]) -> NDArray[np.float64]:
        """Compare a document's candidates.

        Args:
            windows: Of the document.
            candidates: Positions in the taxonomy, shape (k,).

        Returns:
            Shape (k, columns), finite; zeros where there is no window.
        """
        if not len(windows) or not len(candidates):
            return np.zeros((len(candidates), len(self.columns)))
        # Rounded, so that noise in the last bits of a product decides no rank.
        exact: NDArray[np.float64] = self._dense.similarities(windows, candidates).astype(np.float64)
        cosines = exact.round(_DIGITS)
        best = cosines.argmax(axis=1)
        return np.column_stack(
            [*_of_best_window(cosines, best, windows), *_of_margins(cosines, best), *_of_all_windows(cosines)]
        )


def _of_best_window(
    cosines: NDArray[np.float64], best: NDArray[np.intp], windows: Sequence[str]
) -> list[NDArray[np.float64]]:
    """Say which candidates are ahead at a candidate's best window, and which are near it: rank, gap, overlap, words."""
    words = [frozenset(window.lower().split()) for window in windows]
    scores = cosines.max(axis=1)
    ahead, gap, overlap = np.zeros(len(scores)), np.zeros(len(scores)), np.zeros(len(scores))
    first: dict[int, float] = {}
    met: dict[int, int] = {}
    seen: list[frozenset[str]] = []
    for place in np.argsort(-scores, kind="stable").tolist():
        window = int(best[place])
        ahead[place] = met.get(window, 0)
        gap[place] = first.setdefault(window, scores[place]) - scores[place]
        met[window] = met.get(window, 0) + 1
        own = words[window]
        overlap[place] = max((len(own & other) for other in seen), default=0) / max(1, len(own))
        seen = [*seen, own][:_AHEAD]
    return [-np.log1p(ahead), gap, overlap, np.array([float(len(words[window])) for window in best.tolist()])]


def _of_margins(cosines: NDArray[np.float64], best: NDArray[np.intp]) -> list[NDArray[np.float64]]:
    """Say how far a candidate leads all others, at its best window and at most."""
    if len(cosines) == 1:
        return [np.zeros(1), np.zeros(1)]
    top, second = cosines.max(axis=0), np.sort(cosines, axis=0)[-2]
    leads = cosines - np.where(cosines >= top, second, top)
    return [leads[np.arange(len(cosines)), best], leads.max(axis=1)]


def _of_all_windows(cosines: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Say what all windows together say: first, its share, top 3, mean, mean of the best five, the softmax's two."""
    places = np.argsort(np.argsort(-cosines, axis=0, kind="stable"), axis=0, kind="stable")
    shares = np.exp(_SHARPNESS * (cosines - cosines.max(axis=0)))
    shares /= shares.sum(axis=0)
    return [
        np.log1p((places == 0).sum(axis=1)),
        (places == 0).mean(axis=1),
        np.log1p((places < 3).sum(axis=1)),
        cosines.mean(axis=1),
        np.sort(cosines, axis=1)[:, -5:].mean(axis=1),
        np.log(shares.max(axis=1) + _LEAST),
        np.log(shares.sum(axis=1) + 10 * _LEAST),
    ]
