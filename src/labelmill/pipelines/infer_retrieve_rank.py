"""Infer-Retrieve-Rank as one `dspy.Module`: for notebooks, and for DSPy's optimisers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dspy

from labelmill.corpus import chunk
from labelmill.pipelines.pointwise import PointwiseRank, merge_probabilities
from labelmill.pipelines.program import Program, merge_rankings
from labelmill.pipelines.whole import WholeRank
from labelmill.records import Candidate


class InferRetrieveRank(dspy.Module):
    """Label a text with the language model that DSPy is configured with.

    The same stages as a bulk run takes, one text at a time. An optimiser finds the predictors of Infer and Rank as
    ``infer.predict`` and ``rank.predict``. What it made of them is taken over into a bulk run by
    ``labeler.program = compiled.program``.

    Args:
        program: The stages; `labelmill.Labeler.program` has one.

    >>> module = InferRetrieveRank(labeler.program)  # doctest: +SKIP
    >>> with dspy.context(lm=dspy_lm("my-model", "http://127.0.0.1:8000/v1")):  # doctest: +SKIP
    ...     module(text="Cook Italian dishes").names
    """

    def __init__(self, program: Program) -> None:
        """Take the stages; they are shared with the program, not copied."""
        super().__init__()
        self.infer = program.infer
        self.rank = program.rank
        # Not a DSPy parameter, and too large to be copied with every candidate program of an optimiser.
        self._program = _Shared(program)

    @property
    def program(self) -> Program:
        """The program with this module's prompts."""
        return replace(self._program.program, infer=self.infer, rank=self.rank)

    def forward(self, text: str) -> dspy.Prediction:
        """Label a text.

        Returns:
            A prediction with ``names`` and ``ids`` of the final set, ``ranking`` (names of all candidates, in
            order), ``phrases`` and ``predictions`` (`labelmill.Prediction` values).
        """
        program = self._program.program
        chunks = chunk(text, program.spec.chunk_characters, program.spec.chunk_overlap)
        phrases: dict[str, None] = {}
        if self.infer is not None:
            for piece in chunks:
                phrases.update(dict.fromkeys(self.infer(text=piece).phrases))
        queries = program.queries(chunks, tuple(phrases))
        candidates = program.retrieve.retrieve([queries], program.spec.candidates)[0]
        predictions = program.decide(candidates, **self._ranked(chunks, candidates))
        return dspy.Prediction(
            # Not `labels`: that is a method of every dspy.Prediction, and the attribute would give the method.
            names=[prediction.name for prediction in predictions if prediction.selected],
            ids=[prediction.label for prediction in predictions if prediction.selected],
            ranking=[prediction.name for prediction in predictions],
            phrases=list(phrases),
            predictions=predictions,
        )

    def _ranked(self, chunks: Sequence[str], candidates: Sequence[Candidate]) -> dict[str, Any]:
        """Ask what the program's kind of Rank asks; give it under the name that `decide` has for it."""
        if isinstance(self.rank, WholeRank):
            return {"chosen": merge_rankings([self.rank(text=piece).chosen for piece in chunks])}
        if self.rank is None or not candidates:
            return {"chosen": None}
        names = self._program.program.names(candidates)
        answers = [self.rank(text=piece, names=names) for piece in chunks]
        if isinstance(self.rank, PointwiseRank):
            judged = merge_probabilities([answer.probabilities for answer in answers])
            return {"chosen": None, "probabilities": judged}
        return {"chosen": merge_rankings([answer.chosen for answer in answers])}


class _Shared:
    """Holds a program so that copying the module keeps one taxonomy and one set of indexes."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __deepcopy__(self, _memo: dict[int, object]) -> _Shared:
        return self
