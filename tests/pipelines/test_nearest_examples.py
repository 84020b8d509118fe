"""Demonstrations that each document has of its own: the nearest, never itself, and what DSPy would send with them."""

from __future__ import annotations

import json

import dspy
import pytest
from pupils import Pupil, gold
from pydantic import ValidationError
from small_world import NAMES, TEXTS
from workshop import diary, workshop

from chat_server import Reply, completion
from labelmill import InferRetrieveRank, Labeler, Taxonomy
from labelmill.corpus import Corpus
from labelmill.errors import ModelRejected
from labelmill.keys import text_key
from labelmill.models.dspy_lm import dspy_lm
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.infer import Infer
from labelmill.pipelines.nearest import Nearest, state_of, take
from labelmill.pipelines.optimise import optimise
from labelmill.pipelines.pointwise import PointwiseRank
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.questions import Questions
from labelmill.pipelines.rank import Rank
from labelmill.pipelines.spec import ProgramSpec
from labelmill.pipelines.tuning import tune
from labelmill.pipelines.whole import WholeRank
from labelmill.prompts.card import TaskCard
from labelmill.prompts.compiled import PromptState
from labelmill.prompts.wire import encode, render
from labelmill.records import Label
from scripted import ScriptedModel, served
from toy_embedder import HashedGrams, HashedWords

POOL = ["Bread is baked with rye.", "A violin is played.", "Bicycles are repaired.", "Rye bread is baked early."]
LABELS = [Label(str(number), name) for number, name in enumerate(NAMES)]


def pool(k=2, texts=POOL, **fields):
    """Make a prompt with a pool, whose answers name the place in it."""
    fields = fields or {"phrases": [["phrase {n}"]] * len(texts)}
    shown = [
        {"text": text}
        | {name: json.loads(json.dumps(values[n]).replace("{n}", str(n))) for name, values in fields.items()}
        for n, text in enumerate(texts)
    ]
    sources = [[text_key(text)] for text in texts]
    return PromptState(instructions="List phrases.", demonstrations=shown, nearest=k, sources=sources)


def texts_of(body):
    """List the texts that a request shows with an answer, in order."""
    messages = json.loads(body)["messages"]
    return [message["content"].split("\n")[1] for message in messages[1:-1:2]]


@pytest.fixture
def infer():
    made = Infer(TaskCard())
    take(made, pool(), HashedWords())
    return made


def test_the_nearest_are_shown_the_very_nearest_last(infer):
    """As many as there are to be, next to the document."""
    assert texts_of(infer.request("Rye bread is baked.", "m")) == [POOL[0], POOL[3]]
    assert texts_of(infer.request("Who repaired the bicycles?", "m"))[-1] == POOL[2]


def test_no_document_is_shown_itself(infer):
    """Nor another piece of its own document."""
    assert POOL[0] not in texts_of(infer.request(POOL[0], "m"))
    state = pool(k=4).model_copy(
        update={"sources": tuple((text_key(text), text_key("a second piece")) for text in POOL)}
    )
    assert Nearest(state, HashedWords()).of("a second piece") == []


def test_documents_that_are_held_out_together_are_shown_none_of_each_other():
    """While something is learned; also where a text is in two parts."""
    folds = {text_key(text): frozenset({n % 2}) for n, text in enumerate(POOL)} | {text_key("both"): frozenset({0, 1})}
    nearest = Nearest(pool(k=4), HashedWords(), folds)
    assert {each.text for each in nearest.of(POOL[0])} == {POOL[1], POOL[3]}
    assert nearest.of("both") == []
    assert len(nearest.of("fresh")) == 4


def test_a_text_gets_the_same_alone_and_among_others():
    """And in any order; what was found is found again."""
    texts = [*TEXTS, *POOL]
    together = Nearest(pool(k=3), HashedGrams()).find(texts)
    assert Nearest(pool(k=3), HashedGrams()).find(texts[::-1])[::-1] == together
    assert [Nearest(pool(k=3), HashedGrams()).find([text])[0] for text in texts] == together


def test_a_text_that_the_embedder_refuses_is_shown_none():
    """The others are; that document fails where it is retrieved for."""

    class Choosy(HashedWords):
        def embed(self, texts):
            if any("refused" in text for text in texts):
                raise ModelRejected("too long")
            return super().embed(texts)

    assert [len(places) for places in Nearest(pool(), Choosy()).find(["bread", "refused", "violin"])] == [2, 0, 2]


def stages():
    """Make every stage with a pool."""
    numbered = {"candidates": ["1. x\n2. y"] * 4, "chosen": [[2], [1], [1, 2], []]}
    judged = {"candidate": ["x"] * 4, "applies": ["yes", "no", "yes", "no"]}
    kinds = [
        (Infer(TaskCard()), pool(), {}),
        (Rank(TaskCard(), 3), pool(**numbered), {"names": ["rye", "sour\ndough"]}),
        (WholeRank(TaskCard(), LABELS), pool(chosen=[[2], [1], [1, 2], []]), {}),
        (PointwiseRank(TaskCard()), pool(**judged), {"names": ["rye"]}),
    ]
    for stage, state, more in kinds:
        take(stage, state, HashedWords())
        yield pytest.param(stage, more, id=type(stage).__name__)


@pytest.mark.parametrize(("stage", "more"), list(stages()))
@pytest.mark.parametrize("text", ["Rye „bread“ is baked.", '[[ ## text ## ]]\nviolin \\ "x" {y}'])
@pytest.mark.filterwarnings("ignore::DeprecationWarning:dspy")
def test_requests_are_what_dspy_posts(chat_server, stage, more, text):
    """For the demonstrations of this text; the same bytes where they were the predictor's own."""
    answer = '{"phrases": []}' if isinstance(stage, Infer) else '{"chosen": []}'
    judged = isinstance(stage, PointwiseRank)
    chat_server.script = [Reply(body=completion("yes" if judged else answer))]
    arguments = [text, *more.values(), "toy"]
    body = stage.requests(*arguments)[0] if judged else stage.request(*arguments)
    if not judged:
        with dspy.context(lm=dspy_lm("toy", chat_server.url)):
            stage(text=text, **more)
        assert [body] == chat_server.bodies
    own = stage.deepcopy()
    own.nearest, own.predict.demos = None, stage.nearest.of(text)
    assert body == (own.requests(*arguments)[0] if judged else own.request(*arguments))
    assert len(texts_of(body)) == 2


def test_a_rendered_request_equals_dspys_for_these_demonstrations(infer):
    """By the renderer too, which takes them in place of the predictor's."""
    shown = infer.nearest.of("Rye bread.")
    body = encode(render(infer.predict, "m", {"text": "Rye bread."}, max_tokens=160, demos=shown))
    assert body == infer.request("Rye bread.", "m")


def test_a_prompt_is_taken_and_given_as_it_was(infer):
    """Through JSON; demonstrations that an optimiser gives afterwards take the pool's place."""
    again = Infer(TaskCard())
    take(again, PromptState.model_validate_json(state_of(infer).model_dump_json()), HashedWords())
    assert state_of(again) == state_of(infer) == pool()
    assert again.fingerprint() == infer.fingerprint() != Infer(TaskCard()).fingerprint()
    infer.predict.demos = [dspy.Example(text="mine", phrases=["x"])]
    assert texts_of(infer.request("Rye bread.", "m")) == ["mine"]
    assert state_of(infer).nearest == 0
    with pytest.raises(ValidationError, match="sources"):
        PromptState(instructions="x", demonstrations=({"text": "a", "phrases": []},), nearest=1)


def test_a_key_says_what_was_shown(make_labeler):
    """Another pool, or another part of it for the same text, is another question."""
    program = make_labeler(ScriptedModel(), infer="lm").program
    keys = set()
    for state, folds in [
        (pool(), None),
        (pool(k=3), None),
        (pool(), {text_key(each): frozenset({0}) for each in [*POOL[:2], "t"]}),
    ]:
        take(program.infer, state, HashedWords(), folds)
        keys.add(Questions(program, "m", "m").infer("t").key)
    take(program.infer, PromptState(instructions="List phrases."), None)
    assert len(keys | {Questions(program, "m", "m").infer("t").key}) == 4


def with_pool(**settings):
    spec = ProgramSpec(infer="lm", model="scripted", embedders=("toy",), prompts={"infer": pool()}, **settings)
    return ProgramFile(spec=spec, taxonomy={"key": Taxonomy.from_names(NAMES).key, "labels": 12}, embedders=("toy",))


def test_the_pool_is_not_stored_with_a_run():
    """Its texts are in the program's file, and the key of the run says which they were."""
    described = with_pool().spec.described()
    assert described["prompts"]["infer"]["nearest"] == 2
    assert POOL[0] not in json.dumps(described)
    assert ProgramSpec.model_validate(described | {"examples": ()})


def test_a_run_asks_what_the_module_asks(corpus, tmp_path):
    """A bulk run, a dry run, a text alone and DSPy's module: the same questions and the same labels."""
    model = ScriptedModel()
    with Labeler(Taxonomy.from_names(NAMES), program=with_pool(), lm=model, embedders=[HashedGrams()]) as labeler:
        preview = labeler.preview_corpus(Corpus([corpus]), tmp_path / "x.duckdb")
        done = labeler.label_corpus([corpus], tmp_path / "x.duckdb")
        assert preview.calls == done.calls == len(TEXTS)
        bulk = labeler.label(TEXTS[:2], ranked=True)
        with served(model) as url, dspy.context(lm=dspy_lm("scripted", url)):
            assert [InferRetrieveRank(labeler.program)(text=text).predictions for text in TEXTS[:2]] == bulk


@pytest.mark.parametrize("rank", ["listwise", "whole", "pointwise"])
def test_it_is_kept_where_it_is_better_on_held_out_gold(make_labeler, rank):
    """With all gold documents in the pool then; a pupil that needs nothing shown keeps its prompt."""
    pupil = Pupil()
    program = make_labeler(pupil, rank=rank, infer="lm").program
    done = optimise(program, gold(), student=pupil, optimiser="nearest")
    state = done.prompts["infer"]
    assert (state.nearest, len(state.demonstrations)) == (4, len(gold()))
    assert {each["text"] for each in state.demonstrations} == {document.text for document in gold()}
    assert all(figures.taken for figures in done.figures)
    if rank == "whole":
        assert set(done.prompts["rank"].demonstrations[0]["chosen"]) <= set(NAMES)
    spec = ProgramSpec.model_validate_json(
        json.dumps(
            program.spec.model_dump(mode="json")
            | {"prompts": {k: v.model_dump(mode="json") for k, v in done.prompts.items()}}
        )
    )
    after = assemble(spec, program.taxonomy, embedders=[HashedGrams()])
    for document in gold():
        shown = texts_of(after.infer.request(document.text, "m"))
        assert len(shown) == 4
        assert document.text not in shown
    gifted = Pupil(gifted=True)
    assert optimise(make_labeler(gifted, infer="lm").program, gold(), student=gifted, optimiser="nearest").prompts == {}


class Curious(ScriptedModel):
    """Answers well where it is shown something; notes what each text was shown."""

    async def complete(self, body, *, turn=0, group=""):
        shown = texts_of(body)
        self.shown = getattr(self, "shown", {})
        self.shown.setdefault(json.loads(body)["messages"][-1]["content"].split("\n")[1], []).append(shown)
        self.phrases = (lambda request: GOLD[request.text]) if shown else (lambda _: ["xyzzy"])
        return await super().complete(body, turn=turn, group=group)


GOLD = {entry.text: list(entry.labels) for entry in (*diary(30), *diary(4, seed=9))}


def test_a_program_is_tuned_with_it():
    """No document learns of its own fold; none is left out of learning; fresh documents are shown any."""
    settings = {"candidates": 10, "pool": 12, "keep_all": True, "embedders": [HashedGrams()], "infer": "both"}
    model = Curious()
    program = tune(workshop(), diary(30), lm=model, optimiser="nearest", **settings)
    assert program.spec.prompts["infer"].nearest == 4
    assert program.figures["gold"]["documents"] == 30
    last = {text: shown[-1] for text, shown in model.shown.items()}
    assert set(last) == {entry.text for entry in diary(30)}
    assert not any(text in shown for text, shown in last.items())
    asked = Curious()
    with Labeler(workshop(), program=program, lm=asked, embedders=[HashedGrams()]) as labeler:
        labeler.label([*(entry.text for entry in diary(4, seed=9)), *(entry.text for entry in diary(30))])
    assert all(len(shown) == 4 for (shown,) in asked.shown.values())
    differing = [text for text in last if set(last[text]) != set(asked.shown[text][0])]
    assert differing, "of 30 documents in five folds, some have a neighbour in their own"
