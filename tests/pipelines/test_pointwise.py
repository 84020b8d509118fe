"""Pointwise Rank in a program: candidates by probability, a final set by threshold, in bulk as in DSPy."""

from __future__ import annotations

import dspy
import pytest
from pydantic import ValidationError
from small_world import NAMES, TEXTS

from labelmill import InferRetrieveRank, Labeler
from labelmill.models.dspy_lm import dspy_lm
from labelmill.pipelines.spec import ProgramSpec
from toy_embedder import HashedGrams
from word_server import WordServer, mentioned


@pytest.fixture
def server():
    with WordServer() as server:
        yield server


@pytest.fixture
def make(server, names):
    """Make labelers that judge eight candidates, four of them by the model."""

    def make(**settings) -> Labeler:
        given = {"infer": "windows", "embedders": [HashedGrams()], "candidates": 8, "listed": 4, "top_k": 3}
        return Labeler(names, lm=f"toy@{server.url}", rank="pointwise", **given | settings)

    return make


@pytest.mark.parametrize("scores", [True, False], ids=["scoring", "completions"])
@pytest.mark.parametrize("settings", [{}, {"chunk_characters": 200, "chunk_overlap": 20}], ids=["whole", "chunks"])
def test_a_text_gets_in_bulk_what_it_gets_in_dspy(make, server, scores, settings):
    """Label by label and score by score, whichever way the probabilities are read."""
    server.scores = scores
    texts = [*TEXTS, " ".join(TEXTS)]
    labeler = make(**settings)
    bulk = labeler.label(texts, ranked=True)
    assert (server.paths["/generative_scoring"] > 1) == scores  # one request finds out that there is none
    module = InferRetrieveRank(labeler.program)
    with dspy.context(lm=dspy_lm("toy", server.url)):
        for text, expected in zip(texts, bulk, strict=True):
            found = module(text=text)
            assert [prediction.name for prediction in expected] == found.ranking
            assert [p.score for p in expected] == pytest.approx([p.score for p in found.predictions], abs=2e-6)
            assert [prediction.selected for prediction in expected] == [p.selected for p in found.predictions]


def test_candidates_are_ordered_by_probability(make):
    """Those that the model was shown first, each with its probability; the others behind, in the fusion's order."""
    (found,) = make().label([TEXTS[2]], ranked=True)
    shown = sorted(found, key=lambda prediction: prediction.retrieval_rank)[:4]
    expected = {}
    for prediction in shown:
        said = mentioned(TEXTS[2], prediction.name)
        expected[prediction.name] = (said["yes"] + said["Yes"]) / (said["yes"] + said["Yes"] + said["no"])
    assert {prediction.name: prediction.score for prediction in found[:4]} == pytest.approx(expected, abs=1e-6)
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    assert [prediction.retrieval_rank for prediction in found[4:]] == [5, 6, 7, 8]
    assert all(prediction.score < 0 for prediction in found[4:])
    assert all(prediction.retrieval_score > 0 for prediction in found)


@pytest.mark.parametrize(("threshold", "cut"), [(None, 0.5), (0.25, 0.25), (0.0, 0.0), (0.9, 0.9)])
def test_the_final_set_is_cut_by_probability(make, threshold, cut):
    """At 0.5 unless another threshold is given; at most `top_k`, and only what was judged."""
    for found in make(threshold=threshold, top_k=6).label(TEXTS, ranked=True):
        assert [p.selected for p in found] == [p.score >= cut and place < 4 for place, p in enumerate(found)]


def test_a_label_of_one_chunk_is_a_label_of_the_document(make, server):
    """A candidate's probability is its best over the chunks."""
    server.rule = lambda text, candidate: {"yes": 0.9, "no": 0.1} if "violin" in text else {"yes": 0.2, "no": 0.8}
    text = f"{TEXTS[2]} " + "The weather was fine and nobody minded. " * 12
    labeler = make(chunk_characters=200, chunk_overlap=0)
    (found,) = labeler.label([text], ranked=True)
    assert {prediction.score for prediction in found[:4]} == {0.9}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:dspy")
def test_an_optimiser_finds_demonstrations_for_it(make, server):
    """Bootstrapped from runs that the metric likes, and sent in the bulk run that follows."""
    labeler = make()
    module = InferRetrieveRank(labeler.program)
    assert [name for name, _ in module.named_predictors()] == ["rank.predict"]
    trainset = [dspy.Example(text=text, gold=NAMES[place]).with_inputs("text") for place, text in enumerate(TEXTS[:2])]
    with dspy.context(lm=dspy_lm("toy", server.url)):
        optimiser = dspy.BootstrapFewShot(
            metric=lambda example, found, trace=None: example.gold in found.ranking[:3],
            max_bootstrapped_demos=2,
            max_labeled_demos=0,
            max_rounds=1,
        )
        compiled = optimiser.compile(module, trainset=trainset)
    demos = compiled.rank.predict.demos
    assert demos
    assert {demo.applies for demo in demos} <= {"yes", "no"}
    before = labeler.program.key
    labeler.program = compiled.program
    assert labeler.program.key != before
    assert labeler.label([TEXTS[4]])
    assert f"Candidate: {demos[0].candidate}\n" in server.prompts[-1].rpartition("Text:")[0]


def test_a_model_is_needed():
    """Pointwise Rank asks one."""
    with pytest.raises(ValidationError, match="needs a language model"):
        ProgramSpec(rank="pointwise")


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), float("inf")])
def test_a_threshold_is_a_score(threshold):
    """Not negative, and a number."""
    with pytest.raises(ValidationError, match="threshold"):
        ProgramSpec(threshold=threshold)


def test_other_kinds_of_rank_have_no_threshold_unless_one_is_given():
    """A fused score is no probability."""
    assert ProgramSpec().cut is None
    assert ProgramSpec(threshold=0.3).cut == 0.3
    assert ProgramSpec(rank="pointwise", model="m").cut == 0.5
    assert ProgramSpec(rank="pointwise", model="m", threshold=0.0).cut == 0.0
