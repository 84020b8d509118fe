"""Infer-Retrieve-Rank as a DSPy module: the same answers as a bulk run, and everything that DSPy does with modules."""

from __future__ import annotations

import copy
import json

import dspy
import pytest
from small_world import NAMES, TEXTS

from labelmill import InferRetrieveRank, Labeler, Taxonomy
from labelmill.models.dspy_lm import dspy_lm
from scripted import ScriptedModel, served
from toy_embedder import HashedGrams


@pytest.fixture
def model():
    return ScriptedModel()


@pytest.fixture
def lm(model):
    """A real `dspy.LM`, over HTTP."""
    with served(model) as url:
        yield dspy_lm("scripted", url)


@pytest.fixture
def labeler(make_labeler, model):
    return make_labeler(model, rank="listwise", listed=5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:dspy")
class TestModule:
    """One text at a time."""

    def test_a_text_gets_what_a_bulk_run_gives_it(self, labeler, lm):
        """Label by label, score by score; the requests are the same too, so the answers are."""
        module = InferRetrieveRank(labeler.program)
        bulk = labeler.label(TEXTS, ranked=True)
        with dspy.context(lm=lm):
            for text, expected in zip(TEXTS, bulk, strict=True):
                found = module(text=text)
                assert found.predictions == expected
                assert found.names == [prediction.name for prediction in expected if prediction.selected]
                assert found.ids == [prediction.label for prediction in expected if prediction.selected]
                assert found.ranking == [prediction.name for prediction in expected]

    def test_a_long_text_is_read_in_chunks(self, make_labeler, model, lm):
        """As a bulk run reads it, Rank once for every chunk."""
        labeler = make_labeler(model, rank="listwise", chunk_characters=200, chunk_overlap=20)
        text = " ".join(TEXTS)
        (expected,) = labeler.label([text], ranked=True)
        asked = len(model.asked("rank"))
        assert asked > 2
        with dspy.context(lm=lm):
            assert InferRetrieveRank(labeler.program)(text=text).predictions == expected
        assert len(model.asked("rank")) == 2 * asked

    def test_fewer_candidates_narrow_what_can_be_answered(self, model, lm):
        """With three labels the schema admits 1 to 3, though twenty could be listed; in DSPy as in a bulk run."""
        bodies = []
        model.answer = lambda request, answer=model.answer: (bodies.append(request), answer(request))[1]
        labeler = Labeler(
            Taxonomy.from_names(NAMES[:3]), lm=model, infer="windows", rank="listwise", embedders=[HashedGrams()]
        )
        module = InferRetrieveRank(labeler.program)
        with dspy.context(lm=lm):
            module(text=TEXTS[0])
        sent = lm.history[-1]
        schema = sent["kwargs"]["response_format"].model_json_schema() if "response_format" in sent["kwargs"] else sent
        assert "Literal[1, 2, 3]]" in str(sent["messages"]), sent["messages"]
        assert "Literal[1, 2, 3, 4" not in str(sent["messages"])
        assert schema
        assert len(bodies[0].candidates) == 3

    def test_stages_that_are_left_out_are_not_asked(self, make_labeler, model, lm):
        """Without a model in the program DSPy needs none."""
        found = InferRetrieveRank(make_labeler().program)(text=TEXTS[1])
        assert "repair bicycles" in found.names
        assert found.phrases == []
        assert model.requests == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning:dspy")
class TestOptimisers:
    """What optimisers find, change and keep."""

    @pytest.fixture
    def trainset(self):
        return [
            dspy.Example(text=text, gold=[NAMES[place]]).with_inputs("text") for place, text in enumerate(TEXTS[:4])
        ]

    def test_the_predictors_of_both_stages_are_found(self, labeler):
        """Under stable names, in the order of the stages."""
        names = [name for name, _ in InferRetrieveRank(labeler.program).named_predictors()]
        assert names == ["infer.predict", "rank.predict"]

    def test_a_copy_shares_the_taxonomy_but_not_the_prompts(self, labeler):
        """An optimiser copies often; a million labels must not be copied with it."""
        module = InferRetrieveRank(labeler.program)
        for twin in (copy.deepcopy(module), module.deepcopy(), module.reset_copy()):
            assert twin._program.program is labeler.program
            assert twin.infer.predict is not module.infer.predict
            twin.infer.predict.signature = twin.infer.predict.signature.with_instructions("Otherwise.")
        assert module.infer.predict.signature.instructions != "Otherwise."

    def test_labeled_few_shot_accepts_it(self, labeler, lm):
        """Examples become demonstrations; the compiled module labels."""
        demos = [
            dspy.Example(text="Hives are opened.", phrases=["bees"], candidates="1. a", chosen=[1]).with_inputs("text")
        ]
        compiled = dspy.LabeledFewShot(k=1).compile(InferRetrieveRank(labeler.program), trainset=demos)
        assert compiled.infer.predict.demos
        with dspy.context(lm=lm):
            assert len(compiled(text=TEXTS[0]).ranking) == 8
        assert "Hives are opened." in str(lm.history[-1]["messages"])

    def test_bootstrapping_finds_demonstrations(self, labeler, lm, trainset):
        """From runs that the metric likes; the demonstrations are in the requests that follow."""
        module = InferRetrieveRank(labeler.program)

        def hit(example, found, trace=None):
            return bool(set(example.gold) & set(found.names))

        with dspy.context(lm=lm):
            optimiser = dspy.BootstrapFewShot(metric=hit, max_bootstrapped_demos=2, max_labeled_demos=0, max_rounds=1)
            compiled = optimiser.compile(module, trainset=trainset)
            assert len(compiled.rank.predict.demos) == 2
            assert module.rank.predict.demos == []
            found = compiled(text=TEXTS[6])
        assert "train guide dogs" in found.names
        assert all(demo.text in str(lm.history[-1]["messages"]) for demo in compiled.rank.predict.demos)

    def test_what_was_learned_is_taken_over_into_a_bulk_run(self, labeler, model):
        """With its prompts goes the run's key: no answer to the old prompts passes for one to the new."""
        before = labeler.program.key
        module = InferRetrieveRank(labeler.program).deepcopy()
        module.infer.predict.signature = module.infer.predict.signature.with_instructions("List what people do.")
        assert labeler.program.key == before
        labeler.program = module.program
        assert labeler.program.key != before
        body = labeler.program.infer.request(TEXTS[0], "scripted")
        assert b"List what people do." in body
        assert labeler.label([TEXTS[0]])
        assert model.asked("infer")

    def test_what_was_learned_is_kept_as_json(self, labeler, lm, tmp_path):
        """Saved and loaded, a module asks the same and answers the same."""
        module = InferRetrieveRank(labeler.program).deepcopy()
        module.infer.predict.signature = module.infer.predict.signature.with_instructions("List what people do.")
        module.rank.predict.demos = [dspy.Example(text="Hives", candidates="1. keep honey bees", chosen=[1])]
        path = tmp_path / "module.json"
        module.save(path)
        loaded = InferRetrieveRank(labeler.program).deepcopy()
        loaded.load(path)
        assert loaded.infer.fingerprint() == module.infer.fingerprint()
        assert loaded.rank.fingerprint() == module.rank.fingerprint()
        with dspy.context(lm=lm):
            assert loaded(text=TEXTS[0]).predictions == module(text=TEXTS[0]).predictions
        assert "List what people do." in str(lm.history[-4]["messages"])

    def test_an_optimised_instruction_reaches_every_number_of_candidates(self, labeler, lm):
        """Rank makes its signature anew for each number of candidates; what was learned stays in it."""
        module = InferRetrieveRank(labeler.program).deepcopy()
        module.rank.predict.signature = module.rank.predict.signature.with_instructions("Choose with care.")
        with dspy.context(lm=lm):
            for listed in (1, 3, 5):
                module.rank(text="bees", names=NAMES[:listed])
                assert "Choose with care." in str(lm.history[-1]["messages"])
                body = module.rank.request("bees", NAMES[:listed], "scripted")
                assert json.loads(body)["messages"] == lm.history[-1]["messages"]
