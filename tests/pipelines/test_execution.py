"""A batch through the stages: whatever a model answers, each document ends once, and no label is invented."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_world import NAMES, TEXTS

from labelmill import Document, Labeler, Taxonomy
from labelmill.errors import ModelGone, ModelRefused, ModelRejected
from labelmill.models.client import Completion
from labelmill.pipelines.execution import BatchResult, Execution
from scripted import ScriptedModel
from toy_embedder import HashedGrams

DOCUMENTS = [Document(f"t{place}", text, source=f"texts:{place + 1}") for place, text in enumerate(TEXTS)]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
ANSWERS = st.one_of(
    st.text(max_size=40),
    ANYTHING.map(json.dumps),
    st.builds(lambda value: json.dumps({"phrases": value, "chosen": value}), ANYTHING),
    st.builds(
        lambda values: json.dumps({"phrases": [str(v) for v in values], "chosen": values}),
        st.lists(st.integers(-3, 12)),
    ),
    st.sampled_from(
        [
            "[" * 20_000,
            '{"chosen": [' * 5_000,
            '{"phrases": ["a", "b',
            '{"phrases": ["\\ud800", "\\u0000"]}',
            "9" * 6_000,
        ]
    ),
    st.builds(lambda size: json.dumps({"phrases": ["bees"] * size, "chosen": [1] * size}), st.integers(0, 5_000)),
)


def run(labeler: Labeler, model: ScriptedModel | None, documents: list[Document], **settings) -> BatchResult:
    async def go() -> BatchResult:
        return await Execution(labeler.program, model, **settings).label(documents)

    return asyncio.run(go())


def by_document(result: BatchResult) -> dict:
    return {item.document: item.predictions for item in result.documents}


@pytest.fixture(scope="module")
def shared_labelers(kept_indexes):
    """One labeler of each kind, for the tests that run it hundreds of times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELMILL_CACHE", str(kept_indexes))
        taxonomy = Taxonomy.from_names(NAMES)
        common = {"embedders": [HashedGrams()], "candidates": 8, "top_k": 3, "listed": 5}
        return [
            Labeler(taxonomy, lm=ScriptedModel(), infer=infer, rank=rank, **common)
            for infer, rank in [("both", "listwise"), ("lm", "fusion"), ("windows", "listwise"), ("lm", "whole")]
        ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(answers=st.lists(ANSWERS, min_size=1, max_size=8), kind=st.integers(0, 3), truncated=st.booleans())
def test_whatever_the_model_answers_each_document_ends_once_within_the_taxonomy(
    shared_labelers, answers, kind, truncated
):
    """Garbage, other types, numbers out of range, lists without end: predictions, or a failure of one line."""
    labeler = shared_labelers[kind]
    model = ScriptedModel()
    model.answer = lambda request: Completion(answers[len(model.requests) % len(answers)], truncated=truncated)
    result = run(labeler, model, DOCUMENTS[:4])
    ended = [item.document for item in result.documents] + [item.document for item in result.failures]
    assert sorted(ended) == [document.id for document in DOCUMENTS[:4]]
    for item in result.documents:
        assert {prediction.name for prediction in item.predictions} <= set(NAMES)
        assert len({prediction.label for prediction in item.predictions}) == len(item.predictions)
        assert [prediction.rank for prediction in item.predictions] == list(range(1, len(item.predictions) + 1))
        assert sum(prediction.selected for prediction in item.predictions) <= 3
    for failure in result.failures:
        assert failure.kind == "unparseable"
        assert failure.message
        assert "\n" not in failure.message
        assert len(failure.message) < 500


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(order=st.permutations(DOCUMENTS), cut=st.integers(0, 8), kind=st.integers(0, 3))
def test_predictions_do_not_depend_on_the_batch(shared_labelers, order, cut, kind):
    """Alone, together, in any order: the same labels with the same scores and evidence, bit by bit."""
    labeler = shared_labelers[kind]
    together = by_document(run(labeler, ScriptedModel(), DOCUMENTS))
    apart = by_document(run(labeler, ScriptedModel(), order[:cut])) | by_document(
        run(labeler, ScriptedModel(), order[cut:])
    )
    assert apart == together


@pytest.mark.parametrize(
    ("trouble", "kind", "message"),
    [
        (ModelRejected("the prompt is too long"), "rejected", "too long"),
        ("no JSON at all", "unparseable", "no JSON at all"),
        ('{"other": []}', "unparseable", "other"),
        (Completion("", truncated=True), "unparseable", "cut at its maximum length"),
    ],
)
@pytest.mark.parametrize("stage", ["infer", "rank"])
def test_one_bad_document_leaves_the_others_alone(make_labeler, trouble, kind, message, stage):
    """Its failure names stage, kind and source; the others have what they would have without it."""
    settings = {"infer": "windows", "rank": "listwise"} if stage == "rank" else {}
    model = ScriptedModel(troubles={"violin": trouble})
    labeler = make_labeler(model, **settings)
    result = run(labeler, model, DOCUMENTS)
    (failure,) = result.failures
    assert (failure.document, failure.stage, failure.kind, failure.source) == ("t2", stage, kind, "texts:3")
    assert message in failure.message
    others = [document for document in DOCUMENTS if document.id != "t2"]
    assert by_document(result) == by_document(run(labeler, ScriptedModel(), others))


@pytest.mark.parametrize("trouble", [ModelGone("gone"), ModelRefused("wrong key")])
def test_a_server_that_is_gone_is_the_error_of_the_whole_batch(make_labeler, trouble):
    """And the questions that wait for an answer are given up, not left behind."""
    model = ScriptedModel(troubles={"violin": trouble})
    with pytest.raises(type(trouble)):
        run(make_labeler(model), model, DOCUMENTS)
    slow = ScriptedModel(pause=30, troubles={})
    quick = ScriptedModel(troubles={"violin": trouble})

    class Mixed(ScriptedModel):
        async def complete(self, body, **more):
            return await (quick if b"violin" in body else slow).complete(body, **more)

    with pytest.raises(type(trouble)):
        run(make_labeler(Mixed()), Mixed(), DOCUMENTS)
    assert slow.answered == 0


def test_the_calls_in_flight_are_bounded(make_labeler):
    """Never more than `concurrency` at once."""
    at_once = []

    class Counting(ScriptedModel):
        open = 0

        async def complete(self, body, **more):
            self.open += 1
            at_once.append(self.open)
            answer = await super().complete(body, **more)
            self.open -= 1
            return answer

    model = Counting(pause=0.005)
    run(make_labeler(model), model, DOCUMENTS, concurrency=3)
    assert max(at_once) == 3


def test_the_same_text_twice_is_asked_once(make_labeler):
    """Within a batch; both documents get the same."""
    model = ScriptedModel()
    twins = [Document("a", TEXTS[0]), Document("b", TEXTS[0])]
    found = by_document(run(make_labeler(model, rank="listwise"), model, twins))
    assert found["a"] == found["b"]
    assert [request.stage for request in model.requests] == ["infer", "rank"]


def test_a_late_chunk_counts_as_much_as_the_first(make_labeler):
    """The evidence sits at the end of a long document: windows, phrases and Rank all reach it."""
    filler = "Nothing of note happened on that day, and the rain went on. " * 60
    document = Document("long", filler + "Then she began to tune a piano.")
    for kind in (
        {},
        {"lm": ScriptedModel(), "infer": "lm"},
        {"lm": ScriptedModel(), "infer": "windows", "rank": "listwise"},
    ):
        labeler = make_labeler(**kind, chunk_characters=400, chunk_overlap=40)
        result = run(labeler, kind.get("lm"), [document])
        (item,) = result.documents
        assert item.chunks > 8
        assert "tune a piano" in [prediction.name for prediction in item.predictions if prediction.selected], kind


def test_a_chunk_that_fails_fails_its_document(make_labeler):
    """Half a document's labels would look like all of them."""
    model = ScriptedModel(troubles={"piano": ModelRejected("no")})
    document = Document(
        "long", "".join(f"It rained on day {day}. " for day in range(90)) + "Then she began to tune a piano."
    )
    result = run(make_labeler(model, chunk_characters=400), model, [document])
    assert [failure.document for failure in result.failures] == ["long"]
    assert result.documents == []
    assert len(result.stages) > 2  # the chunks that were answered are kept for the next try
