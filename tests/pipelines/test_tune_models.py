"""Tuning with a model: what it is asked and what its answers weigh are in the file, and one that is of no use is left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from workshop import TASKS, VERBS, diary, workshop

from labelmill import Labeler
from labelmill.errors import ModelUnavailable
from labelmill.learning.blend import COLUMNS
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.tuning import tune
from scripted import ScriptedModel
from toy_embedder import HashedGrams

SETTINGS = {"candidates": 10, "pool": 15, "keep_all": True, "listed": 8}
GOLD = {entry.text: entry.labels for entry in (*diary(30), *diary(30, seed=9))}


class Recorded(ScriptedModel):
    """Keeps the bodies of its requests, in order."""

    async def complete(self, body: bytes | Mapping[str, Any], *, turn: int = 0, group: str = "") -> Any:
        """Keep the body and answer."""
        self.bodies: list[bytes] = getattr(self, "bodies", [])
        self.bodies.append(bytes(body) if isinstance(body, bytes) else repr(body).encode())
        return await super().complete(body, turn=turn, group=group)


def said(request):
    """Tasks that a text names, in the words of the taxonomy."""
    done = {past: verb for verb, past in VERBS.items()}
    return [f"{done[past]} {thing}" for thing, past in re.findall(r"the (\w+) were ([a-z]+(?: out)?)\.", request.text)]


def right(request):
    """Choose what is gold."""
    return [n for n, name in enumerate(request.candidates, start=1) if name in GOLD[request.text]]


def last(request):
    """Choose the candidates that are the least likely."""
    return [len(request.candidates), len(request.candidates) - 1]


def learn(model, **settings):
    return tune(workshop(), diary(30), lm=model, embedders=[HashedGrams()], **SETTINGS | settings)


def labeler(program, model):
    return Labeler(workshop(), program=program, lm=model, embedders=[HashedGrams()])


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A program whose model knows the answers: its file, its journal, and the model."""
    folder = tmp_path_factory.mktemp("tuned")
    model = Recorded(choose=right)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELMILL_CACHE", str(folder / "cache"))
        program = learn(model, rank="listwise", optimiser="bootstrap", journal=folder / "journal")
    program.write(folder / "program.json")
    return folder / "program.json", folder / "journal", model


def test_a_model_that_knows_gets_a_say(tuned):
    """The file holds what it is asked, and what its answers weigh."""
    program = ProgramFile.read(tuned[0])
    assert (program.spec.infer, program.spec.rank, program.spec.model) == ("both", "listwise", "scripted")
    weights = dict(zip(COLUMNS, program.spec.blend.weights, strict=True))
    assert weights["chosen"] + weights["place"] > 1
    assert program.figures["rank"]["kept"]
    assert program.figures["rank"]["with"]["rp@5"] > program.figures["rank"]["without"]["rp@5"]
    assert any(column.startswith("names.toy/phrases") for column in program.spec.fusion.columns)
    assert set(program.figures["prompts"]["stages"]) == {"infer", "rank"}


def test_before_is_said_to_be_without_the_models_rank(tuned):
    """The untuned program would ask for it, about other candidates than those that the model was asked about."""
    assert ProgramFile.read(tuned[0]).figures["before_is"] == "fusion by rank, without the model's Rank"


def test_what_was_asked_is_told(tuned):
    """Requests and tokens by stage, but for those of optimising, which are told there."""
    asked = ProgramFile.read(tuned[0]).figures["asked"]
    assert set(asked) == {"infer", "rank"}
    assert asked["rank"]["requests"] > 0
    assert asked["rank"]["tokens"] == 12 * asked["rank"]["requests"]


def test_a_second_time_asks_nothing(tuned):
    """Every answer is in the journal; the program is the same."""
    path, journal, _ = tuned
    silent = ScriptedModel(troubles={"": ModelUnavailable("it was asked")})
    again = learn(silent, rank="listwise", optimiser="bootstrap", journal=journal)
    assert silent.requests == []
    first = ProgramFile.read(path)
    assert again.spec.model_dump_json() == first.spec.model_dump_json()
    assert again.figures["rank"]["log_losses"] == first.figures["rank"]["log_losses"]


def test_the_reloaded_program_sends_what_was_learned_with(tuned):
    """Byte for byte, for texts of the gold: Infer's request of each was sent when it was tuned."""
    path, _, model = tuned
    asked = Recorded(choose=right)
    with labeler(path, asked) as made:
        made.label([entry.text for entry in diary(30)])
    infers = [body for body, request in zip(asked.bodies, asked.requests, strict=True) if request.stage == "infer"]
    assert len(infers) == 30
    assert len(set(infers) & set(model.bodies)) == 30


def test_the_file_gives_what_the_process_gives(tuned):
    """The same requests and the same predictions."""
    path, journal, _ = tuned
    kept = learn(Recorded(choose=right), rank="listwise", optimiser="bootstrap", journal=journal)
    texts, found = [entry.text for entry in diary(8, seed=9)], []
    for program in (kept, path):
        model = Recorded(choose=right)
        with labeler(program, model) as made:
            found.append((made.label(texts, ranked=True), sorted(model.bodies), made.program.key, made.notes))
    assert found[0] == found[1]
    assert found[0][3] == []


def test_its_say_makes_fresh_documents_better(tuned):
    """More of what it chooses comes first than without it; every score is a probability."""
    entries = diary(30, seed=9)
    texts = [entry.text for entry in entries]
    with labeler(tuned[0], ScriptedModel(choose=right)) as made:
        knowing = made.label(texts, ranked=True)
    with labeler(tuned[0], ScriptedModel(choose=lambda _: [])) as made:
        silent = made.label(texts, ranked=True)
    hits = [
        sum(
            len({p.name for p in ranking[:3]} & set(entry.labels))
            for ranking, entry in zip(found, entries, strict=True)
        )
        for found in (knowing, silent)
    ]
    assert hits[0] > hits[1]
    assert all(0 <= each.score <= 1 for found in (knowing, silent) for ranking in found for each in ranking)


def test_a_rank_that_is_of_no_use_is_left_out():
    """A model that chooses the least likely: the program does not ask it to rank, and says so."""
    program = learn(ScriptedModel(phrases=said, choose=last), rank="listwise", optimiser=None)
    assert (program.spec.rank, program.spec.blend) == ("fusion", None)
    assert not program.figures["rank"]["kept"]
    assert program.spec.infer == "both"
    assert "rank" not in program.spec.prompts
    model = ScriptedModel(phrases=said)
    with labeler(program, model) as made:
        made.label([diary(1)[0].text])
    assert {request.stage for request in model.requests} == {"infer"}


@pytest.mark.parametrize("infer", ["both", pytest.param("lm", marks=pytest.mark.slow)])
def test_a_model_that_is_of_no_use_at_all_is_not_in_the_program(infer):
    """Phrases that are the same for every text, and no choice at all: the program needs no model."""
    model = ScriptedModel(phrases=lambda _: ["xyzzy"], choose=lambda _: [])
    lanes = {"names/text": 1.0, "bm25/text": 1.0, "aliases.characters/phrases": 1.0}
    program = learn(model, infer=infer, rank="listwise", optimiser=None, keep_all=False, lanes=lanes)
    assert (program.spec.infer, program.spec.rank, program.spec.model) == ("windows", "fusion", "")
    assert dict(program.spec.prompts) == {}
    assert not any(lane.endswith("/phrases") for lane in program.spec.lanes)
    with labeler(program, "none") as made:
        assert made.label([diary(1)[0].text], ranked=True)[0]


def test_a_model_that_does_not_answer_some_documents_is_learned_from_all_the_same():
    """They count as not asked."""
    silent = {diary(30)[3].text: ModelUnavailable("busy")}
    program = learn(ScriptedModel(choose=right, troubles=silent), rank="listwise", optimiser=None)
    assert program.figures["gold"]["documents"] == 30
    assert program.spec.rank == "listwise"


@pytest.mark.slow
def test_a_model_that_never_answers_gets_no_say():
    """A program is not made of answers that there are none of."""
    model = ScriptedModel(troubles={"": ModelUnavailable("busy")})
    program = learn(model, rank="listwise", optimiser=None, keep_all=False)
    assert (program.spec.infer, program.spec.rank, program.spec.model) == ("windows", "fusion", "")


def test_the_world_is_known_to_the_scripted_model():
    """Its phrases are names of tasks."""
    from scripted import Request

    assert set(said(Request("infer", diary(1)[0].text))) <= set(TASKS)
    assert set(said(Request("infer", diary(1)[0].text))) >= set(diary(1)[0].labels)
