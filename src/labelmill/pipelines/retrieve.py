"""Retrieve: queries of every kind through every lane, fused into candidates.

A lane is a retriever and the kind of query it is given. Which lanes there are, and what each weighs, was chosen on
validation documents (`benchmarks/esco.py --split val`); ARCHITECTURE.md has the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labelmill.learning.fusion import LearnedFusion, probabilities
from labelmill.pipelines.evidence import Evidence, lap
from labelmill.records import Candidate, LaneHit
from labelmill.retrievers.base import Hits, Retriever
from labelmill.retrievers.classifier import Classifier
from labelmill.retrievers.fusion import fuse
from labelmill.retrievers.neighbours import Neighbours
from labelmill.retrievers.students import Student

RETRIEVE_VERSION = 1
"""Raised whenever the same lanes would give other candidates."""

LANE_DEPTH = 200
"""Labels that each lane contributes."""

RANK_CONSTANT = 10.0
"""Of reciprocal rank fusion; small, because a lane over short names is right early or not at all."""

KINDS = ("text", "windows", "phrases")

_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Queries:
    """What is asked for one document; the evidence of all its chunks together.

    Attributes:
        text: The document's chunks.
        windows: Runs of words.
        phrases: What Infer proposed.
    """

    text: tuple[str, ...]
    windows: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lane:
    """A retriever, the kind of query it is given, and what it weighs in the fusion.

    Attributes:
        retriever: Finds labels.
        kind: Of query: ``text``, ``windows`` or ``phrases``.
        weight: In the fusion by rank.
        searched: What it searches, as `ProgramSpec.lanes` names it: ``names``, ``bm25``, ...
        embedder: The place of its embedder in the specification; None where it has none.
    """

    retriever: Retriever
    kind: str
    weight: float
    searched: str = ""
    embedder: int | None = None

    @property
    def name(self) -> str:
        """``aliases.minilm/windows``, for example."""
        return f"{self.retriever.name}/{self.kind}"


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """A document's candidates before learned fusion, and what is known of them.

    Attributes:
        candidates: In the order of fusion by rank.
        values: Of the evidence's columns, shape (candidates, columns).
    """

    candidates: list[Candidate]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reordering:
    """How a pool of candidates is put in order by what was learned.

    Attributes:
        evidence: What is known of each.
        fusion: What follows from it; None while it is being learned.
        pool: How many candidates are looked at.
        left_out: By the text of a labelled example, the first chunk of its document: the places of the examples that do
            not count for this document. It is never its own neighbour, and while something is learned, documents that
            are held out together count for none of each other.
    """

    evidence: Evidence
    fusion: LearnedFusion | None
    pool: int
    left_out: Mapping[str, Sequence[int]]

    def without(self, batch: Sequence[Queries]) -> list[Sequence[int]]:
        """Find the examples that do not count for each document."""
        return [self.left_out.get(queries.text[0], ()) if queries.text else () for queries in batch]


class Retrieve:
    """The Retrieve stage: lanes over one taxonomy, and their fusion.

    Args:
        lanes: At least one.
        fingerprint: Identifies lanes, weights, embedders, and what was learned; part of every run's key.
        reordering: Learned fusion, in place of the order of fusion by rank.

    Attributes:
        seconds: What each lane and each scorer took so far. A lane whose queries another has had embedded before takes
            but its search.
    """

    def __init__(self, lanes: Sequence[Lane], fingerprint: str, reordering: Reordering | None = None) -> None:
        """Keep the lanes."""
        self.lanes = tuple(lanes)
        self.fingerprint = fingerprint
        self.reordering = reordering
        self.seconds: dict[str, float] = {}
        self._weights = {lane.name: lane.weight for lane in lanes}

    def retrieve(self, batch: Sequence[Queries], k: int) -> list[list[Candidate]]:
        """Find at most `k` candidates for each document, best first.

        A student alone is taken at its word: its scores are not turned into ranks.
        """
        if self.is_student:
            hits = self._search(self.lanes[0], [queries.text for queries in batch], None, k)
            return [_as_said(found, self.lanes[0].name) for found in hits]
        if self.reordering is None or self.reordering.fusion is None:
            return [candidates for candidates, _ in self._fuse(batch, k)]
        return [_reorder(pool, self.reordering.fusion)[:k] for pool in self.gather(batch)]

    @property
    def is_student(self) -> bool:
        """Whether a student is all there is."""
        return len(self.lanes) == 1 and isinstance(self.lanes[0].retriever, Student)

    def gather(self, batch: Sequence[Queries]) -> list[Pool]:
        """Find each document's pool and what is known of it, for learning and for what was learned."""
        assert self.reordering is not None
        without = self.reordering.without(batch)
        evidence = self.reordering.evidence
        found = self._fuse(batch, self.reordering.pool, without)
        matrices = evidence.matrices(
            [queries.text for queries in batch],
            [queries.windows or queries.phrases for queries in batch],
            [np.array([candidate.label for candidate in candidates], dtype=np.int32) for candidates, _ in found],
            [np.array([candidate.score for candidate in candidates]) for candidates, _ in found],
            [hits for _, hits in found],
            without,
            seconds=self.seconds,
        )
        return [Pool(candidates, values) for (candidates, _), values in zip(found, matrices, strict=True)]

    def _fuse(
        self, batch: Sequence[Queries], k: int, without: Sequence[Sequence[int]] | None = None
    ) -> list[tuple[list[Candidate], dict[str, Hits]]]:
        """Search every lane and fuse by rank: for each document its candidates, and what each lane found."""
        asked = [[getattr(queries, lane.kind) for queries in batch] for lane in self.lanes]
        found = [self._search(lane, queries, without) for lane, queries in zip(self.lanes, asked, strict=True)]
        names = [lane.name for lane in self.lanes]
        fused = []
        for hits, queries in zip(zip(*found, strict=True), zip(*asked, strict=True), strict=True):
            lanes = dict(zip(names, hits, strict=True))
            said = dict(zip(names, self._evidence(queries), strict=True))
            fused.append((fuse(lanes, self._weights, said, constant=RANK_CONSTANT, k=k), lanes))
        return fused

    def _search(
        self,
        lane: Lane,
        queries: Sequence[Sequence[str]],
        without: Sequence[Sequence[int]] | None,
        depth: int = LANE_DEPTH,
    ) -> list[Hits]:
        with lap(self.seconds, lane.name):
            if without is not None and isinstance(lane.retriever, Neighbours | Classifier):
                return lane.retriever.retrieve(queries, depth, without=without)
            return lane.retriever.retrieve(queries, depth)

    def _evidence(self, queries: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """Say which query hit; but for the text itself, which would be repeated with every label."""
        return [
            ("",) * len(asked) if lane.kind == "text" else asked
            for lane, asked in zip(self.lanes, queries, strict=True)
        ]


def _as_said(hits: Hits, lane: str) -> list[Candidate]:
    """Make candidates of what one lane found, with its scores."""
    pairs = zip(hits.labels.tolist(), hits.scores.round(_DIGITS).tolist(), strict=True)
    return [
        Candidate(label, score, (LaneHit(lane, rank, score),)) for rank, (label, score) in enumerate(pairs, start=1)
    ]


def _reorder(pool: Pool, fusion: LearnedFusion) -> list[Candidate]:
    """Order a pool by its probabilities, ties by the order before."""
    if not pool.candidates:
        return []
    scores = np.round(probabilities(fusion.log_odds(pool.values)), _DIGITS)
    order = np.argsort(-scores, kind="stable").tolist()
    return [replace(pool.candidates[place], score=float(scores[place])) for place in order]
