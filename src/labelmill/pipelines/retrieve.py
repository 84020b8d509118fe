"""Retrieve: queries of every kind through every lane, fused into candidates.

A lane is a retriever and the kind of query it is given. Which lanes there are, and what each weighs, was chosen on
validation documents (`benchmarks/esco.py --split val`); ARCHITECTURE.md has the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labelmill.records import Candidate
from labelmill.retrievers.base import Retriever
from labelmill.retrievers.fusion import fuse

RETRIEVE_VERSION = 1
"""Raised whenever the same lanes would give other candidates."""

LANE_DEPTH = 200
"""Labels that each lane contributes."""

RANK_CONSTANT = 10.0
"""Of reciprocal rank fusion; small, because a lane over short names is right early or not at all."""

KINDS = ("text", "windows", "phrases")


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
    """A retriever, the kind of query it is given, and what it weighs in the fusion."""

    retriever: Retriever
    kind: str
    weight: float

    @property
    def name(self) -> str:
        """``aliases.minilm/windows``, for example."""
        return f"{self.retriever.name}/{self.kind}"


class Retrieve:
    """The Retrieve stage: lanes over one taxonomy, and their fusion.

    Args:
        lanes: At least one.
        fingerprint: Identifies the lanes, their weights and their embedders; part of every run's key.
    """

    def __init__(self, lanes: Sequence[Lane], fingerprint: str) -> None:
        """Keep the lanes."""
        self.lanes = tuple(lanes)
        self.fingerprint = fingerprint
        self._weights = {lane.name: lane.weight for lane in lanes}

    def retrieve(self, batch: Sequence[Queries], k: int) -> list[list[Candidate]]:
        """Find at most `k` candidates for each document, best first."""
        asked = [[getattr(queries, lane.kind) for queries in batch] for lane in self.lanes]
        found = [lane.retriever.retrieve(queries, LANE_DEPTH) for lane, queries in zip(self.lanes, asked, strict=True)]
        names = [lane.name for lane in self.lanes]
        return [
            fuse(
                dict(zip(names, hits, strict=True)),
                self._weights,
                dict(zip(names, self._evidence(queries), strict=True)),
                constant=RANK_CONSTANT,
                k=k,
            )
            for hits, queries in zip(zip(*found, strict=True), zip(*asked, strict=True), strict=True)
        ]

    def _evidence(self, queries: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """Say which query hit; but for the text itself, which would be repeated with every label."""
        return [
            ("",) * len(asked) if lane.kind == "text" else asked
            for lane, asked in zip(self.lanes, queries, strict=True)
        ]
