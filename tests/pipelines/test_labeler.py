"""The library's face: texts in, labels out, with the settings that a user can get wrong."""

from __future__ import annotations

import asyncio
import doctest

import pytest

import labelmill
from labelmill import InferRetrieveRank, Labeler, LabelmillError, Taxonomy
from labelmill.errors import InputError, ModelRejected, ModelUnavailable, TaskError
from scripted import ScriptedModel
from toy_embedder import HashedGrams


def one_line(error: BaseException) -> str:
    line = str(error)
    assert line
    assert "\n" not in line
    return line


def test_the_example_of_the_package_is_true():
    """What `help(labelmill)` shows first runs as it stands."""
    results = doctest.testmod(labelmill)
    assert results.attempted >= 3
    assert results.failed == 0


def test_a_text_gets_the_label_that_it_names(make_labeler):
    """In a plain script; the final set has top_k labels, ranked from 1."""
    (found,) = make_labeler().label(["Who can repair bicycles?"])
    assert found[0].name == "repair bicycles"
    assert [prediction.rank for prediction in found] == [1, 2, 3]
    assert all(prediction.selected for prediction in found)


def test_a_notebook_gets_the_same_labels(make_labeler):
    """Within a running event loop, with and without a model."""
    for labeler in (make_labeler(), make_labeler(ScriptedModel(), rank="listwise")):

        async def cell(labeler=labeler):
            return labeler.label(["Who can repair bicycles?"])

        assert asyncio.run(cell()) == labeler.label(["Who can repair bicycles?"])


def test_an_error_in_a_notebook_is_the_error_itself(make_labeler):
    """An error does not get lost in the thread that runs beside the notebook's loop."""
    labeler = make_labeler(ScriptedModel(troubles={"Who": ModelUnavailable("gone")}))

    async def cell():
        return labeler.label(["Who can repair bicycles?"])

    with pytest.raises(LabelmillError, match=r"infer \(unavailable\): gone"):
        asyncio.run(cell())


def test_ranked_gives_every_candidate(make_labeler):
    """The final set is the beginning of the ranking, and marked in it."""
    labeler = make_labeler()
    (final,), (ranking,) = labeler.label(["Who tunes a piano?"]), labeler.label(["Who tunes a piano?"], ranked=True)
    assert len(ranking) == 8
    assert ranking[:3] == final
    assert [prediction.selected for prediction in ranking] == [True] * 3 + [False] * 5
    assert sorted(prediction.retrieval_rank for prediction in ranking) == list(range(1, 9))


def test_no_texts_get_no_labels(make_labeler):
    """An empty list is no error."""
    assert make_labeler().label([]) == []


@pytest.mark.parametrize("text", ["", " \n\t", "\0", "\ud800"])
def test_an_empty_text_is_named(make_labeler, text):
    """By its place, counted as Python counts."""
    with pytest.raises(InputError, match="text 1 is empty"):
        make_labeler().label(["bread", text])


@pytest.mark.parametrize("text", ["bake\0bread", "bake \ud83d bread"])
def test_what_no_tokenizer_takes_is_replaced_as_in_a_corpus(make_labeler, text):
    """NUL and half a surrogate pair do not reach the embedder, nor the model."""
    model = ScriptedModel()
    assert make_labeler(model).label([text])[0]
    assert "\ufffd" in model.requests[0].text


def test_the_stages_follow_the_model(make_labeler):
    """Without a model windows and fusion; with one its phrases too, and Rank only where asked for."""
    assert (make_labeler().program.spec.infer, make_labeler().program.spec.rank) == ("windows", "fusion")
    model = ScriptedModel()
    assert make_labeler(model).program.spec.infer == "both"
    make_labeler(model).label(["bread"])
    assert {request.stage for request in model.requests} == {"infer"}
    make_labeler(model, infer="windows", rank="listwise").label(["bread"])
    assert [request.stage for request in model.requests] == ["infer", "rank"]


def test_the_phrases_of_the_model_are_evidence(make_labeler):
    """A label that only the model names is found by its phrase, and says so."""
    model = ScriptedModel(phrases=lambda _: ["tune a piano"])
    (found,) = make_labeler(model, infer="lm", candidates=12).label(["It sounds wrong."], ranked=True)
    hits = {prediction.name: {hit.query for hit in prediction.evidence} for prediction in found}
    assert "tune a piano" in hits["tune a piano"]


def test_listwise_rank_decides_the_final_set(make_labeler):
    """Chosen labels come first, in the model's order; what it did not choose is never selected."""
    model = ScriptedModel(choose=lambda request: [3, 1])
    (ranking,) = make_labeler(model, infer="windows", rank="listwise", listed=5).label(["boats"], ranked=True)
    shown = model.asked("rank")[0].candidates
    assert len(shown) == 5
    assert [prediction.name for prediction in ranking[:2]] == [shown[2], shown[0]]
    assert [prediction.selected for prediction in ranking] == [True] * 2 + [False] * 6


def test_a_text_that_the_model_rejects_is_an_error(make_labeler):
    """In memory there is no failure row, so the first failure is raised, with its place and stage."""
    labeler = make_labeler(ScriptedModel(troubles={"violin": ModelRejected("too long")}))
    with pytest.raises(LabelmillError, match=r"text 1 failed at infer \(rejected\): too long"):
        labeler.label(["bread", "violin"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedders": ["nosuch"]}, "nosuch"),
        ({"embedders": []}, "embedders"),
        ({"lm": "gpt-4"}, "unknown language model 'gpt-4'"),
        ({"infer": "lm"}, r"^infer='lm' needs a language model\. Give one with --lm\.$"),
        ({"rank": "listwise"}, r"^rank='listwise' needs a language model\. Give one with --lm\.$"),
        ({"infer": "lm", "rank": "listwise"}, r"^infer='lm' and rank='listwise' need a language model\. Give"),
        ({"infer": "guess"}, "infer: .*'windows', 'lm' or 'both'"),
        ({"top_k": 0}, "top_k: .* greater than or equal to 1"),
        ({"candidate": 3}, "candidate: "),
        ({"chunk_characters": 100}, "chunk_characters: .* greater than or equal to 200"),
        ({"chunk_characters": 200, "chunk_overlap": 200}, "chunk_overlap=200 must be less than"),
        ({"candidates": "many"}, "candidates: "),
    ],
)
def test_a_wrong_setting_is_one_line(names, settings, message):
    """It names the setting; nothing is loaded, and no traceback of a library shows through."""
    with pytest.raises(InputError, match=message) as caught:
        Labeler(names, **{"embedders": [HashedGrams()]} | settings)
    one_line(caught.value)


def test_a_task_card_that_is_not_there_is_named(names, tmp_path):
    """With the path."""
    with pytest.raises(TaskError, match=r"nosuch\.toml") as caught:
        Labeler(names, embedders=[HashedGrams()], task=tmp_path / "nosuch.toml")
    one_line(caught.value)


def test_a_server_that_is_not_there_is_one_line(names):
    """A port nobody listens on."""
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9") as caught:
        Labeler(names, embedders=[HashedGrams()], lm="m@http://127.0.0.1:9/v1").label(["bread"])
    one_line(caught.value)


def test_an_embedder_can_stand_beside_a_named_one(names):
    """Each brings its own lanes."""
    labeler = Labeler(names, embedders=[HashedGrams(), "wordllama"])
    lanes = {lane.name for lane in labeler.program.retrieve.lanes}
    assert any("toy" in lane for lane in lanes)
    assert any("wordllama" in lane for lane in lanes)


def test_every_public_name_loads():
    """What `__all__` promises is there."""
    for name in labelmill.__all__:
        assert getattr(labelmill, name) is not None
    assert set(labelmill.__all__) == set(dir(labelmill))
    assert labelmill.InferRetrieveRank is InferRetrieveRank
    assert labelmill.Taxonomy is Taxonomy
    with pytest.raises(AttributeError, match="nosuch"):
        _ = labelmill.nosuch
