"""A program ready to run: the specification, the taxonomy, and the stages made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labelmill.keys import content_key
from labelmill.pipelines.infer import Infer
from labelmill.pipelines.pointwise import PointwiseRank
from labelmill.pipelines.rank import Rank
from labelmill.pipelines.retrieve import Queries, Retrieve
from labelmill.pipelines.spec import ProgramSpec
from labelmill.pipelines.windows import windows
from labelmill.records import Candidate
from labelmill.taxonomy import Taxonomy

PROGRAM_VERSION = 1
"""Raised whenever the same specification would give other predictions."""


@dataclass(frozen=True)
class Program:
    """The stages of Infer-Retrieve-Rank over one taxonomy.

    Attributes:
        spec: What it is.
        taxonomy: The labels.
        retrieve: The Retrieve stage.
        infer: The Infer stage, where a language model proposes phrases.
        rank: The Rank stage, where a language model chooses among candidates or judges each.
    """

    spec: ProgramSpec
    taxonomy: Taxonomy
    retrieve: Retrieve
    infer: Infer | None = None
    rank: Rank | PointwiseRank | None = None

    @property
    def key(self) -> str:
        """Identify everything that decides a document's predictions, but the document.

        Made anew each time: an optimiser, or a user in a notebook, may have changed a prompt in place.
        """
        prompts = [stage.fingerprint() if stage else None for stage in (self.infer, self.rank)]
        # The wording is in the prompts' fingerprints, the embedders in Retrieve's: a server that moved changes no key.
        spec = self.spec.model_dump(mode="json", exclude={"task", "prompts", "embedders"})
        return content_key(PROGRAM_VERSION, spec, self.taxonomy.key, self.retrieve.fingerprint, prompts)

    def queries(self, chunks: Sequence[str], phrases: Sequence[str]) -> Queries:
        """Collect what is asked for a document: the evidence of all its chunks together."""
        runs: dict[str, None] = {}
        if self.spec.infer != "lm":
            for chunk in chunks:
                runs.update(dict.fromkeys(windows(chunk)))
        return Queries(tuple(chunks), tuple(runs), tuple(phrases))

    def retrieval_key(self, chunks: Sequence[str], phrases: Sequence[str]) -> str:
        """Identify everything that decides a document's candidates."""
        windowed, kept = self.spec.infer != "lm", self.spec.candidates
        return content_key(
            "retrieve", PROGRAM_VERSION, self.taxonomy.key, self.retrieve.fingerprint, windowed, kept, chunks, phrases
        )

    def names(self, candidates: Sequence[Candidate]) -> list[str]:
        """Name the candidates that a model is shown."""
        return [self.taxonomy.labels[candidate.label].name for candidate in candidates[: self.spec.listed]]


def merge_rankings(rankings: Sequence[Sequence[int]]) -> list[int]:
    """Merge what listwise Rank chose for each chunk of a document: by summed reciprocal rank, ties by index."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, index in enumerate(ranking, start=1):
            scores[index] = scores.get(index, 0.0) + 1 / rank
    return sorted(scores, key=lambda index: (-scores[index], index))
