"""Evidence: what lanes and scorers say of a document's candidates, as one matrix for learned fusion.

A row depends on its document's candidates alone, never on other documents.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from labelmill.records import Label
from labelmill.retrievers.base import Hits, Scorer
from labelmill.retrievers.competition import Competition
from labelmill.retrievers.neighbours import Neighbours

EVIDENCE_VERSION = 2
"""Raised whenever the same candidates would get other columns."""

OF_A_LANE = ("score", "z", "log_rank", "reciprocal_rank", "gap")
"""Its score; that in standard deviations from the mean of the lane's hits; log(1/rank); 1/(10+rank); the score's
distance to the lane's last hit."""

TOGETHER = (
    "lanes.top_1", "lanes.top_3", "lanes.top_10", "lanes.top_50", "lanes.z_mean", "lanes.z_max", "lanes.z_spread",
    "lanes.best_log_rank", "lanes.middle_log_rank", "fused.score", "fused.log_rank",
)  # fmt: skip
"""Over all lanes: the share of those that have it in their first ranks; their z and ranks; their fusion by rank."""

OF_A_LABEL = (
    "label.log_words", "label.log_aliases", "label.log_prior", "label.parents", "label.depth", "label.siblings_found",
)  # fmt: skip
"""Length of its name; its aliases; its prior; how many parents; how many labels above it, by first parents; how many of
the first 30 candidates share a parent with it."""

OF_A_TEXT = ("text.log_words",)

_TOPS = (1, 3, 10, 50)
_CONSTANT = 10.0
_BEHIND = 2
"""What a lane did not find stands this many times as deep as it looked."""

_FIRST = 30
_DEEPEST = 32
_DIGITS = 5


class Evidence:
    """Makes the matrix.

    Args:
        labels: The taxonomy's.
        lanes: The lanes' names, in order.
        scorers: Those that look closer at candidates.
        depth: How many labels a lane looks for.
        neighbours: Gold documents, which say how frequent a label is.
        competition: Compares candidates with each other.

    Attributes:
        columns: The names of the columns.
    """

    def __init__(
        self,
        labels: Sequence[Label],
        lanes: Sequence[str],
        scorers: Sequence[Scorer],
        depth: int,
        *,
        neighbours: Neighbours | None = None,
        competition: Competition | None = None,
    ) -> None:
        """Name the columns."""
        self._labels = labels
        self._competition = competition
        self._scorers = scorers
        self._depth = depth
        self._neighbours = neighbours
        self.columns = tuple(
            [f"{_without_address(lane)}.{what}" for lane in lanes for what in OF_A_LANE]
            + [*TOGETHER, *OF_A_LABEL, *(["label.log_share_of_gold"] if neighbours else []), *OF_A_TEXT]
            + [
                f"{scorer.name}.{column}{kind}"
                for scorer in scorers
                for kind in ("", ".z", ".log_rank")
                for column in scorer.columns
            ]
            + ([f"{competition.name}.{column}" for column in competition.columns] if competition else [])
        )

    def matrices(
        self,
        texts: Sequence[Sequence[str]],
        runs: Sequence[Sequence[str]],
        pools: Sequence[NDArray[np.int32]],
        fused: Sequence[NDArray[np.float64]],
        hits: Sequence[Mapping[str, Hits]],
        without: Sequence[Sequence[int]],
        *,
        seconds: dict[str, float],
    ) -> list[NDArray[np.float64]]:
        """Make one matrix per document, shape (candidates, columns).

        Args:
            texts: For each document its chunks.
            runs: For each document its windows; phrases, where it has none.
            pools: For each document its candidates, best first.
            fused: Their fused scores.
            hits: What each lane found, in the order of `lanes`.
            without: For each document the places of the gold documents that do not count for it.
            seconds: Is told what each scorer took.
        """
        scored = []
        for scorer in self._scorers:
            with lap(seconds, scorer.name):
                scored.append(scorer.score(texts, pools))
        made = []
        for place, (text, pool) in enumerate(zip(texts, pools, strict=True)):
            parts = [
                self._of_lanes(pool, fused[place], list(hits[place].values())),
                self._of_labels(pool),
                self._of_gold(pool, without[place]),
                np.full((len(pool), 1), np.log1p(sum(len(chunk.split()) for chunk in text))),
                *(_closer(scores[place].astype(np.float64)) for scores in scored),
                self._compared(runs[place], pool, seconds),
            ]
            # Rounded, so that noise in the last bits of a product moves no threshold of a tree.
            made.append(np.round(np.concatenate(parts, axis=1), _DIGITS))
        return made

    def _compared(self, runs: Sequence[str], pool: NDArray[np.int32], seconds: dict[str, float]) -> NDArray[np.float64]:
        if self._competition is None:
            return np.empty((len(pool), 0))
        with lap(seconds, self._competition.name):
            return self._competition.compare(runs, pool)

    def _of_lanes(
        self, pool: NDArray[np.int32], fused: NDArray[np.float64], hits: Sequence[Hits]
    ) -> NDArray[np.float64]:
        columns: list[NDArray[np.float64]] = []
        z_scores, ranks = [], []
        for found in hits:
            scores, rank, z = self._of_lane(pool, found)
            last = float(found.scores[-1]) if len(found.scores) else 0.0
            columns += [scores, z, -np.log(rank), 1 / (_CONSTANT + rank), scores - last]
            z_scores.append(z)
            ranks.append(rank)
        z_matrix, rank_matrix = np.array(z_scores), np.array(ranks)
        columns += [(rank_matrix <= top).mean(axis=0) for top in _TOPS]
        columns += [z_matrix.mean(axis=0), z_matrix.max(axis=0), z_matrix.std(axis=0)]
        columns += [-np.log(rank_matrix.min(axis=0)), -np.log(np.median(rank_matrix, axis=0))]
        columns += [fused, -np.log(np.arange(1, len(pool) + 1))]
        return np.stack(columns, axis=1)

    def _of_lane(
        self, pool: NDArray[np.int32], found: Hits
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Give each candidate's score, rank and z; what was not found gets the last hit's score, far behind."""
        scores = np.full(len(pool), float(found.scores[-1]) if len(found.scores) else 0.0)
        rank = np.full(len(pool), float(_BEHIND * self._depth))
        order = np.argsort(found.labels, kind="stable")
        at = np.minimum(np.searchsorted(found.labels[order], pool), max(len(order) - 1, 0))
        if len(order):
            places = order[at]
            known = found.labels[places] == pool
            scores[known] = found.scores[places[known]]
            rank[known] = places[known] + 1
        mean, spread = (float(found.scores.mean()), float(found.scores.std())) if len(found.scores) else (0.0, 0.0)
        return scores, rank, (scores - mean) / (spread + 1e-6)

    def _of_labels(self, pool: NDArray[np.int32]) -> NDArray[np.float64]:
        labels = [self._labels[position] for position in pool.tolist()]
        first = Counter(parent for label in labels[:_FIRST] for parent in label.parents)
        rows = [
            (
                np.log1p(len(label.name.split())),
                np.log1p(len(label.aliases)),
                np.log(label.prior or self._least_prior),
                len(label.parents),
                self._depth_of(label),
                max((first[parent] - (place < _FIRST) for parent in label.parents), default=0),
            )
            for place, label in enumerate(labels)
        ]
        return np.array(rows, dtype=np.float64).reshape(len(pool), len(OF_A_LABEL))

    def _depth_of(self, label: Label) -> int:
        """Count the labels above one, by first parents; a cycle or a very deep branch ends the count."""
        depth = 0
        while label.parents and depth < _DEEPEST:
            above = self._places.get(label.parents[0])
            if above is None:
                break
            label, depth = self._labels[above], depth + 1
        return depth

    @cached_property
    def _least_prior(self) -> float:
        """Stand in for a prior that is not known or zero: half of the least that is, whatever the unit of priors."""
        return min((label.prior for label in self._labels if label.prior), default=2.0) / 2

    @cached_property
    def _places(self) -> dict[str, int]:
        return {label.id: position for position, label in enumerate(self._labels)}

    def _of_gold(self, pool: NDArray[np.int32], without: Sequence[int]) -> NDArray[np.float64]:
        if self._neighbours is None:
            return np.empty((len(pool), 0))
        return self._neighbours.log_shares(pool, without=without)[:, None].astype(np.float64)


@contextmanager
def lap(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add what is done within to the seconds under a name."""
    start = perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + perf_counter() - start


def _closer(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add to a scorer's columns their z among the candidates, and the log of their reciprocal rank."""
    if not len(scores):
        return np.empty((0, 3 * scores.shape[1]))
    z = (scores - scores.mean(axis=0)) / (scores.std(axis=0) + 1e-6)
    rank = np.empty_like(scores)
    order = np.argsort(-scores, axis=0, kind="stable")
    np.put_along_axis(rank, order, np.arange(1.0, len(scores) + 1)[:, None], axis=0)
    return np.concatenate([scores, z, -np.log(rank)], axis=1)


def _without_address(lane: str) -> str:
    """Leave out where an embedder's server is: a server that moved says the same."""
    return re.sub(r"@.*(?=/)", "", lane)
