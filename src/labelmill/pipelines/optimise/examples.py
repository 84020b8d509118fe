"""Gold documents as DSPy's examples: what a module is given, and the fields that a demonstration shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dspy

from labelmill.keys import text_key
from labelmill.pipelines.optimise.cases import Case
from labelmill.pipelines.optimise.stages import Bench, StageModule
from labelmill.pipelines.pointwise import PointwiseRank
from labelmill.pipelines.whole import WholeRank
from labelmill.prompts.compiled import PromptState
from labelmill.prompts.signatures import number_candidates, one_line

MOST_IN_POOL = 5000
"""Examples of which each document is shown the nearest."""


def ask_about(cases: Sequence[Case]) -> list[dspy.Example]:
    """Make examples that name the document and show nothing."""
    return [_example(case) for case in cases]


def infer_examples(bench: Bench, cases: Sequence[Case]) -> list[dspy.Example]:
    """Show the names of the gold labels as phrases; a document without any in the piece that is shown is left out."""
    labels = bench.program.taxonomy.labels
    return [
        _example(case, text=case.shown[0], phrases=[labels[position].name for position in case.shown[1]])
        for case in cases
        if case.shown[1]
    ]


def rank_examples(bench: Bench, cases: Sequence[Case]) -> list[dspy.Example]:
    """Show which candidates, or which of all labels, are gold; a document without any among these is left out."""
    if isinstance(bench.program.rank, WholeRank):
        return [_chosen_of_all(case) for case in cases if case.shown[1]]
    pointwise = isinstance(bench.program.rank, PointwiseRank)
    return [example for case in cases for example in (_judged if pointwise else _chosen)(bench, case)]


def _chosen_of_all(case: Case) -> dspy.Example:
    """Show the numbers of a document's gold labels, in the order of the taxonomy."""
    text, supported = case.shown
    return _example(case, text=text, chosen=[position + 1 for position in sorted(supported)])


def pool_of(module: StageModule, examples: Sequence[dspy.Example], nearest: int) -> PromptState:
    """Make a prompt that shows each document the examples nearest to it; the instructions stay.

    Args:
        module: The stage, whose cases the examples are of.
        examples: The pool; at most `MOST_IN_POOL`, the first ones.
        nearest: How many are shown.
    """
    fields, examples = module.stage.predict.signature.fields, examples[:MOST_IN_POOL]
    return PromptState(
        instructions=module.state.instructions,
        demonstrations=tuple({name: each[name] for name in fields if name in each} for each in examples),
        nearest=nearest,
        sources=tuple(tuple(map(text_key, module.bench.cases[each.document].pieces)) for each in examples),
    )


def _chosen(bench: Bench, case: Case) -> Iterator[dspy.Example]:
    """Show a document's candidates with the numbers of those that apply, in the order of retrieval."""
    text, supported = case.shown
    names = bench.program.names(case.candidates)
    listed = case.candidates[: len(names)]
    chosen = [number for number, candidate in enumerate(listed, start=1) if candidate.label in supported]
    if chosen:
        yield _example(case, text=text, candidates=number_candidates(names), chosen=chosen)


def _judged(bench: Bench, case: Case) -> Iterator[dspy.Example]:
    """Show the first candidate that applies and the first that does not."""
    text, supported = case.shown
    names = bench.program.names(case.candidates)
    listed = list(zip(names, case.candidates, strict=False))
    right = next((name for name, candidate in listed if candidate.label in supported), None)
    wrong = next((name for name, candidate in listed if candidate.label not in case.gold), None)
    if right is not None and wrong is not None:
        yield _example(case, text=text, candidate=one_line(right), applies="yes")
        yield _example(case, text=text, candidate=one_line(wrong), applies="no")


def _example(case: Case, **shown: object) -> dspy.Example:
    return dspy.Example(document=case.document, **shown).with_inputs("document")
