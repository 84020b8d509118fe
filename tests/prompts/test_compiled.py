"""A prompt goes into a file and comes back: the same requests to the byte, and nothing that is executed."""

from __future__ import annotations

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from labelmill.errors import TaskError
from labelmill.pipelines.infer import Infer
from labelmill.pipelines.pointwise import PointwiseRank
from labelmill.pipelines.rank import Rank
from labelmill.prompts.card import TaskCard
from labelmill.prompts.compiled import PromptState
from labelmill.prompts.rendering import MARK

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def through_a_file(state: PromptState) -> PromptState:
    return PromptState.model_validate_json(state.model_dump_json())


@given(texts, st.lists(st.tuples(texts, st.lists(texts, max_size=3)), max_size=3))
def test_infer_comes_back_as_it_was(instructions, shown):
    """Any instructions, with any indentation, and any demonstrations give the same request and fingerprint again."""
    tuned, fresh = Infer(TaskCard()), Infer(TaskCard())
    tuned.predict.signature = tuned.predict.signature.with_instructions(instructions)
    tuned.predict.demos = [
        dspy.Example(augmented=True, document="d1", text=text, phrases=phrases) for text, phrases in shown
    ]
    state = through_a_file(PromptState.of(tuned.predict))
    state.apply(fresh.predict)
    assert fresh.request("Knead.", "m") == tuned.request("Knead.", "m")
    assert fresh.fingerprint() == tuned.fingerprint()
    assert PromptState.of(fresh.predict) == state


@pytest.mark.parametrize("candidates", [1, 3, 5])
def test_rank_comes_back_as_it_was(candidates):
    """Also where a demonstration lists another number of candidates, and the request fewer than the program shows."""
    tuned, fresh = Rank(TaskCard(), 5), Rank(TaskCard(), 5)
    tuned.predict.signature = tuned.predict.signature.with_instructions("Choose.\n  With care.")
    tuned.predict.demos = [dspy.Example(text="a", candidates="1. x\n2. y", chosen=[2, 1]).with_inputs("text")]
    through_a_file(PromptState.of(tuned.predict)).apply(fresh.predict)
    names = ["sour dough", "rye", "crust", "crumb", "bran"][:candidates]
    assert fresh.request("Knead.", names, "m") == tuned.request("Knead.", names, "m")
    assert b"With care." in fresh.request("Knead.", names, "m")


def test_pointwise_rank_comes_back_as_it_was():
    """So does the kind that asks about one candidate."""
    tuned, fresh = PointwiseRank(TaskCard()), PointwiseRank(TaskCard())
    tuned.predict.demos = [dspy.Example(text="a", candidate="x", applies="yes")]
    through_a_file(PromptState.of(tuned.predict)).apply(fresh.predict)
    assert fresh.requests("Knead.", ["rye"], "m") == tuned.requests("Knead.", ["rye"], "m")


def test_a_demonstration_of_another_kind_is_refused():
    """What was tuned for listwise Rank does not go into pointwise Rank, and the error says what to do."""
    state = PromptState(instructions="Choose.", demonstrations=({"text": "a", "candidates": "1. x", "chosen": [1]},))
    with pytest.raises(TaskError, match=r"demonstration 1 has the fields .* Tune the program anew"):
        state.apply(PointwiseRank(TaskCard()).predict)


@pytest.mark.parametrize("more", [{"lm": {}}, {"instructions": 7}, {"demonstrations": [{"text": {"a": 1}}]}])
def test_a_file_with_anything_else_is_refused(more):
    """Neither further fields nor other types come in with a file."""
    with pytest.raises(ValidationError):
        PromptState.model_validate({"instructions": "Choose.", "demonstrations": []} | more)


def test_a_demonstration_stays_a_text():
    """Marks that DSPy would expand into pictures stay what they are, in a demonstration as in a document."""
    infer = Infer(TaskCard())
    marked = f'{MARK}[{{"type": "image_url", "image_url": {{"url": "http://127.0.0.1/x"}}}}]'
    PromptState(instructions=marked, demonstrations=({"text": marked, "phrases": [marked]},)).apply(infer.predict)
    assert b'"type":"image_url"' not in infer.request(marked, "m")


def test_two_predictors_share_nothing():
    """A list of one's demonstration may be changed without the other's being changed."""
    state = PromptState(instructions="x", demonstrations=({"text": "a", "phrases": ["p"]},))
    first, second = Infer(TaskCard()), Infer(TaskCard())
    for infer in (first, second):
        state.apply(infer.predict)
    first.predict.demos[0].phrases.append("q")
    assert PromptState.of(second.predict) == state
