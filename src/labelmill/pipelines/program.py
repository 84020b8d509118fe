"""A program ready to run: the specification, the taxonomy, and the stages made from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labelmill.keys import content_key
from labelmill.learning.calibration import Calibration
from labelmill.learning.cascading import Cascade
from labelmill.pipelines.decide import Threshold, decide
from labelmill.pipelines.infer import Infer
from labelmill.pipelines.nearest import Nearest
from labelmill.pipelines.pointwise import PointwiseRank
from labelmill.pipelines.rank import Rank
from labelmill.pipelines.retrieve import Queries, Retrieve
from labelmill.pipelines.spec import ProgramSpec
from labelmill.pipelines.whole import WholeRank, join
from labelmill.pipelines.windows import windows
from labelmill.records import Candidate, Prediction
from labelmill.retrievers.base import Embedder
from labelmill.taxonomy import Taxonomy

RankStage = Rank | PointwiseRank | WholeRank
"""A Rank stage that asks a model, of any kind."""

_LEAST = 1e-7

NOWHERE = math.log(_LEAST) - math.log1p(-_LEAST)
"""Log-odds of what a model named for a document for which Retrieve found nothing."""

_SINCE = ("shown_parents", "no_ancestors", "student", "cascade")
_OF_HIERARCHY = {"shown_parents", "no_ancestors"}
"""Fields that a specification has got since. As they were before, they are in no key: older runs go on."""

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
        rank: The Rank stage, where a language model chooses among candidates or all labels, or judges each candidate.
        embedders: The fingerprints of its embedders.
        embedder: The first of them, by which the demonstrations nearest to a document are found.
        shortcut: A student that answers where it is certain.
    """

    spec: ProgramSpec
    taxonomy: Taxonomy
    retrieve: Retrieve
    infer: Infer | None = None
    rank: RankStage | None = None
    embedders: tuple[str, ...] = ()
    embedder: Embedder | None = None
    shortcut: Shortcut | None = None

    @property
    def key(self) -> str:
        """Identify everything that decides a document's predictions, but the document.

        Made anew each time: an optimiser, or a user in a notebook, may have changed a prompt in place.
        """
        prompts = [stage.fingerprint() if stage else None for stage in (self.infer, self.rank)]
        # The wording is in the prompts' fingerprints, the embedders in Retrieve's: a server that moved changes no key.
        # What is retrieved with is in Retrieve's as well. Who taught it decides nothing.
        known = {
            "task",
            "prompts",
            "embedders",
            "lanes",
            "usages",
            "scorers",
            "pool",
            "examples",
            "fusion",
            "learned_from",
        }
        used = [name for name in _SINCE if getattr(self.spec, name) != ProgramSpec.model_fields[name].default]
        spec = self.spec.model_dump(mode="json", exclude=known | ({*_SINCE} - {*used}))
        # What uses the hierarchy depends on labels, too, that are not to be given.
        whole = [(self.taxonomy.whole or self.taxonomy).key] if _OF_HIERARCHY & {*used} else []
        return content_key(PROGRAM_VERSION, spec, self.taxonomy.key, self.retrieve.fingerprint, prompts, *whole)

    @property
    def ranks_all(self) -> bool:
        """Whether Rank is shown all labels, whatever was retrieved."""
        return isinstance(self.rank, WholeRank)

    @property
    def pools(self) -> tuple[Nearest, ...]:
        """The pools of demonstrations of which each document is shown the nearest; usually none."""
        return tuple(stage.nearest for stage in (self.infer, self.rank) if stage and stage.nearest)

    def queries(self, chunks: Sequence[str], phrases: Sequence[str]) -> Queries:
        """Collect what is asked for a document: the evidence of all its chunks together."""
        runs: dict[str, None] = {}
        if self.spec.infer != "lm" and not self.spec.is_student:
            for chunk in chunks:
                runs.update(dict.fromkeys(windows(chunk)))
        return Queries(tuple(chunks), tuple(runs), tuple(phrases))

    def retrieval_key(self, chunks: Sequence[str], phrases: Sequence[str]) -> str:
        """Identify everything that decides a document's candidates."""
        windowed, kept = self.spec.infer != "lm", self.spec.candidates
        return content_key(
            "retrieve", PROGRAM_VERSION, self.taxonomy.key, self.retrieve.fingerprint, windowed, kept, chunks, phrases
        )

    def decide(
        self,
        candidates: Sequence[Candidate],
        chosen: Sequence[int] | None = None,
        probabilities: Sequence[float] | None = None,
    ) -> list[Prediction]:
        """Order a document's candidates and select its final set.

        Args:
            candidates: As retrieved.
            chosen: Indexes of those that listwise Rank chose, or positions in the taxonomy that whole Rank chose, the
                best first; None where neither was asked. What was not retrieved is put behind the candidates.
            probabilities: What pointwise Rank gave the first; None where it was not asked.
        """
        spec = self.spec
        if self.ranks_all and chosen is not None:
            candidates, chosen = join(candidates, chosen)
        if spec.fusion is None and not spec.is_student:
            return decide(
                self.taxonomy,
                candidates,
                chosen,
                probabilities=probabilities,
                top_k=spec.top_k,
                threshold=spec.cut,
                no_ancestors=spec.no_ancestors,
            )
        final = self._probabilities(candidates, chosen, probabilities)
        threshold: Threshold = spec.threshold
        if threshold is None and spec.decision and not spec.decision.group_labels:
            threshold = spec.decision.threshold
        elif threshold is None and spec.decision:
            limits = spec.decision.thresholds([self.taxonomy.labels[each.label].id for each in candidates])
            limit_of = dict(zip((each.label for each in candidates), limits.tolist(), strict=True))
            threshold = limit_of.__getitem__
        return decide(
            self.taxonomy,
            candidates,
            probabilities=final,
            top_k=spec.top_k,
            threshold=threshold,
            no_ancestors=spec.no_ancestors,
        )

    def _probabilities(
        self, candidates: Sequence[Candidate], chosen: Sequence[int] | None, judged: Sequence[float] | None
    ) -> list[float]:
        """Bring evidence and a model's answer together, and calibrate.

        What a model named and Retrieve did not find is by the evidence as unlikely as the last that it found.
        """
        import numpy as np

        from labelmill.learning.blend import answer_columns
        from labelmill.learning.calibration import log_odds
        from labelmill.learning.fusion import probabilities

        found = np.clip(np.array([candidate.score for candidate in candidates], dtype=np.float64), _LEAST, 1 - _LEAST)
        if any(retrieved := [candidate.found for candidate in candidates]):
            found[np.invert(retrieved)] = found[retrieved].min()
        if self.spec.blend:
            shown = len(found) if self.ranks_all else min(self.spec.listed, len(found))
            columns = answer_columns(log_odds(found), shown, chosen, judged)
            found = probabilities(self.spec.blend.log_odds(columns))
        return [float(each) for each in (self.spec.calibration or Calibration()).apply(found)]

    def names(self, candidates: Sequence[Candidate]) -> list[str]:
        """Name the candidates that a model is shown; none where it is shown all labels, whatever they are."""
        if self.ranks_all:
            return []
        shown = candidates[: self.spec.listed]
        return [self.taxonomy.title(candidate.label, self.spec.shown_parents) for candidate in shown]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A student before a program: where it is certain, its answer stands.

    Attributes:
        student: The student, as a program of its own.
        cascade: What certain means.
    """

    student: Program
    cascade: Cascade

    def answer(self, batch: Sequence[Sequence[str]]) -> list[list[Prediction] | None]:
        """Answer for documents, each given by its chunks; None where the program is to do it."""
        asked = [self.student.queries(chunks, ()) for chunks in batch]
        found = self.student.retrieve.retrieve(asked, self.student.spec.candidates)
        answers = [self.student.decide(candidates) for candidates in found]
        return [answer if self._stands(answer) else None for answer in answers]

    def _stands(self, answer: Sequence[Prediction]) -> bool:
        import numpy as np

        from labelmill.learning.cascading import certainty

        scores = np.array([each.score for each in answer], dtype=np.float64)
        given = np.array([each.selected for each in answer], dtype=np.bool_)
        return certainty(self.cascade.kind, scores, given) >= self.cascade.certainty


def merge_rankings(rankings: Sequence[Sequence[int]]) -> list[int]:
    """Merge what was chosen for each chunk of a document: by summed reciprocal rank, ties by index or position."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, index in enumerate(ranking, start=1):
            scores[index] = scores.get(index, 0.0) + 1 / rank
    return sorted(scores, key=lambda index: (-scores[index], index))
