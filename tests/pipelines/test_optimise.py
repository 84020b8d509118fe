"""Prompts are optimised from left to right: better where they can be, the same every time, and never asked for twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from pupils import BETTER, CODES, Pupil, gold
from small_world import NAMES, TEXTS

from labelmill.errors import GoldError, InputError, MissingExtraError, ModelGone, ModelRejected
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.optimise import OPTIMISERS, Allowance, optimise
from labelmill.pipelines.optimise.cases import Parts, make_cases
from labelmill.pipelines.optimise.optimisers import Bootstrap, Gepa
from labelmill.pipelines.spec import ProgramSpec
from labelmill.records import Document
from toy_embedder import HashedGrams

needs_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="optuna is not installed (extra 'tune')")
EVERY = [pytest.param(name, marks=needs_optuna if name == "mipro" else ()) for name in OPTIMISERS]


@pytest.fixture
def program(make_labeler):
    """Make the program of a pupil: phrases alone, and a Rank of either kind."""

    def make(pupil, rank="listwise", **settings):
        return make_labeler(pupil, rank=rank, **{"infer": "lm"} | settings).program

    return make


def test_there_are_five():
    """A user is told of these names."""
    assert list(OPTIMISERS) == ["labeled", "bootstrap", "mipro", "gepa", "nearest"]


@pytest.mark.parametrize("rank", ["listwise", "pointwise"])
@pytest.mark.parametrize("optimiser", EVERY)
def test_both_stages_become_better(program, optimiser, rank):
    """Every optimiser finds what the pupil needs, and the figures are those of held-out documents."""
    pupil = Pupil()
    done = optimise(program(pupil, rank), gold(), student=pupil, optimiser=optimiser)
    assert [figures.stage for figures in done.figures] == ["infer", "rank"]
    assert [figures.measure for figures in done.figures] == ["r@3", "rp@3"]
    assert all(figures.taken and figures.after > figures.before for figures in done.figures)
    assert all(figures.trials >= 2 and not figures.ended for figures in done.figures)
    assert set(done.prompts) == {"infer", "rank"}
    assert done.student.calls == len(pupil.bodies)
    assert done.teacher.calls == 0


@pytest.mark.parametrize("rank", ["listwise", "pointwise", "whole"])
@pytest.mark.parametrize("optimiser", [each for each in EVERY if each.values != ("nearest",)])
def test_a_reloaded_program_asks_what_was_measured(program, optimiser, rank):
    """What a program's file gives back sends, byte for byte, what was sent for held-out documents; its key differs."""
    pupil, documents = Pupil(), gold()
    before = program(pupil, rank)
    done = optimise(before, documents, student=pupil, optimiser=optimiser)
    changed = before.spec.model_dump(mode="json") | {
        "prompts": {name: state.model_dump(mode="json") for name, state in done.prompts.items()}
    }
    spec = ProgramSpec.model_validate_json(json.dumps(changed))
    after = assemble(spec, before.taxonomy, embedders=[HashedGrams()])
    assert after.key != before.key
    held_out = Parts.split(make_cases(before, documents), seed=0).held_out
    texts = {document.id: document.text for document in documents}
    assert {after.infer.request(texts[case.document], "pupil") for case in held_out} <= set(pupil.bodies)
    for case in held_out:
        text = texts[case.document]
        phrases = [NAMES[CODES.index(word.strip(".,"))] for word in text.split() if word.strip(".,") in CODES]
        (candidates,) = after.retrieve.retrieve([after.queries([text], phrases)], after.spec.candidates)
        names = after.names(candidates)
        if rank == "whole":
            asked = [after.rank.request(text, "pupil")]
        elif rank == "pointwise":
            asked = after.rank.requests(text, names, "pupil")
        else:
            asked = [after.rank.request(text, names, "pupil")]
        assert set(asked) <= set(pupil.bodies)


@pytest.mark.parametrize("optimiser", EVERY)
def test_the_same_again(program, optimiser):
    """The same seed and the same answers give the same prompts, the same figures and the same cost."""
    first, second = (
        optimise(program(pupil), gold(), student=pupil, optimiser=optimiser) for pupil in (Pupil(), Pupil())
    )
    assert first == second


def test_another_seed_draws_other_documents(program):
    """The seed decides which documents become demonstrations."""
    drawn = []
    for seed in (0, 1):
        pupil = Pupil()
        done = optimise(program(pupil), gold(), student=pupil, optimiser="labeled", seed=seed)
        drawn.append({demo["text"] for demo in done.prompts["infer"].demonstrations})
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("optimiser", EVERY)
@pytest.mark.parametrize("answers", [3, 30, 75])
def test_what_was_answered_is_not_asked_again(program, tmp_path, optimiser, answers):
    """After the server is gone, a second call asks for the rest alone, and comes to the same end as one that had luck."""
    path, whole = tmp_path / "journal.jsonl", Pupil()
    lucky = optimise(program(whole), gold(), student=whole, optimiser=optimiser)
    dying, going_on = Pupil(dies_after=answers), Pupil()
    if answers < len(whole.bodies):
        with pytest.raises(ModelGone, match="nobody is there"):
            optimise(program(dying), gold(), student=dying, optimiser=optimiser, journal=path)
    resumed = optimise(program(going_on), gold(), student=going_on, optimiser=optimiser, journal=path)
    assert sorted(dying.bodies + going_on.bodies) == sorted(whole.bodies)
    assert (resumed.prompts, resumed.figures) == (lucky.prompts, lucky.figures)
    assert resumed.student.calls == lucky.student.calls
    assert resumed.student.reused == len(dying.bodies)


def test_a_finished_journal_answers_everything(program, tmp_path):
    """The same call again asks nothing at all."""
    path, pupil, idle = tmp_path / "journal.jsonl", Pupil(), Pupil()
    done = optimise(program(pupil), gold(), student=pupil, journal=path)
    again = optimise(program(idle), gold(), student=idle, journal=path)
    assert idle.bodies == []
    assert again.prompts == done.prompts


def test_a_prompt_that_is_no_better_is_not_taken(program):
    """A pupil that knows all without demonstrations keeps the prompt that it has."""
    pupil = Pupil(gifted=True)
    done = optimise(program(pupil), gold(), student=pupil)
    assert done.prompts == {}
    assert all(figures.before == figures.after and not figures.taken for figures in done.figures)
    assert "is not taken" in str(done.figures[0])


def test_what_was_tuned_before_stays(program):
    """Prompts of an earlier optimisation are kept where nothing better is found, and are the ones to beat."""
    first = Pupil()
    tuned = optimise(program(first), gold(), student=first, optimiser="labeled")
    second = Pupil()
    again = optimise(program(second, prompts=tuned.prompts), gold(), student=second, optimiser="labeled")
    assert again.prompts == tuned.prompts
    assert [figures.before for figures in again.figures] == [figures.after for figures in tuned.figures]


def test_a_teacher_is_counted_apart(program):
    """What the teacher shows is the teacher's cost, and nothing of it is asked of the student."""
    pupil, master = Pupil(), Pupil(model="master", gifted=True)
    done = optimise(program(pupil), gold(), student=pupil, teacher=master)
    assert (done.student.calls, done.teacher.calls) == (len(pupil.bodies), len(master.bodies))
    assert done.teacher.tokens == 120 * len(master.bodies) > 0
    assert all(json.loads(body)["model"] == "master" for body in master.bodies)


@pytest.mark.parametrize("calls", [1, 14, 40, 90])
def test_a_budget_ends_it(program, calls):
    """No more is asked than the budget allows and what was under way, and what was found until then counts."""
    pupil = Pupil()
    done = optimise(program(pupil), gold(), student=pupil, budget=Allowance(calls=calls))
    assert len(pupil.bodies) <= calls + 32
    assert any("budget" in figures.ended for figures in done.figures)
    if calls == 90:
        assert done.prompts["infer"].demonstrations


def test_a_budget_of_tokens_ends_it(program):
    """Tokens are counted as calls are."""
    pupil = Pupil()
    done = optimise(program(pupil), gold(), student=pupil, budget=Allowance(tokens=6000))
    assert done.student.tokens <= 6000 + 32 * 120
    assert done.figures[0].ended


def test_one_stage_alone(program):
    """Where windows propose, Rank alone is optimised; where nobody ranks, Infer alone."""
    pupil = Pupil()
    (figures,) = optimise(program(pupil, infer="windows"), gold(), student=pupil, optimiser="labeled").figures
    assert figures.stage == "rank"
    (figures,) = optimise(program(pupil, "fusion"), gold(), student=pupil, optimiser="labeled").figures
    assert figures.stage == "infer"


def test_a_document_that_cannot_be_answered_scores_nothing(program):
    """It ends no optimisation: it counts as a document without predictions, before and after."""
    pupil = Pupil(fails={"Note 5:": ModelRejected("too long"), "Note 6:": ModelRejected("too long")})
    done = optimise(program(pupil), gold(), student=pupil)
    assert all(figures.taken for figures in done.figures)


def test_a_teacher_that_cannot_write_ends_its_optimiser_alone(program):
    """Where no proposal can be had, what was tried stands, and the figures say why there is no more."""

    class Silent(Pupil):
        def _answer(self, request, question):
            answer = super()._answer(request, question)
            if {"phrases", "chosen"} & answer.keys():
                return answer
            raise ModelRejected("too long")

    pupil = Silent()
    done = optimise(program(pupil), gold(), student=pupil, optimiser="gepa")
    assert done.prompts == {}
    assert all("the teacher could not be asked: too long" in figures.ended for figures in done.figures)


def test_gepas_teacher_reads_what_became_of_the_gold(program):
    """The stage ledger's lines are in the question for better instructions."""
    pupil = Pupil()
    done = optimise(program(pupil), gold(), student=pupil, optimiser="gepa")
    asked = [body.decode() for body in pupil.bodies if b"new_instruction" in body]
    assert any("was never" in body and "the nearest phrase was" in body for body in asked)
    assert any("was chosen and does not apply" in body for body in asked)
    assert done.prompts["infer"].instructions == BETTER


def test_long_documents_show_one_piece(program):
    """A demonstration is one piece with the gold labels that are found by it; the document is judged as a whole."""
    filler = "10 207 3004 50006. " * 14  # nothing that a label could be found by
    documents = [
        Document(f"d{n}", f"{filler}\n\n{name}, and {name} again, as we {name}\n\n{filler}", (name,))
        for n, name in enumerate(NAMES)
    ]
    pupil = Pupil(gifted=True)
    made = program(pupil, chunk_characters=300, chunk_overlap=0)
    cases = make_cases(made, documents)
    assert all(len(case.pieces) > 2 and case.shown[1] == case.gold for case in cases)
    # The toy embedder finds a label by nothing now and then.
    assert sum(NAMES[case.gold[0]] in case.shown[0] for case in cases) >= len(NAMES) - 2
    optimise(made, documents, student=pupil, optimiser="labeled")
    shown = [json.loads(body)["messages"] for body in pupil.bodies if b"phrases" in body]
    assert max(len(messages) for messages in shown) == 2 + 2 * 3  # as many as there are for training


def test_nothing_is_printed_but_by_the_callback(program, capfd, recwarn):
    """Optimisers print, draw bars and warn; none of it is seen, and what the callback prints is."""
    pupil = Pupil()
    seen = []

    def tell(progress):
        seen.append(progress)
        print("so far", progress.trials)  # noqa: T201

    done = optimise(program(pupil), gold(), student=pupil, on_progress=tell)
    out, err = capfd.readouterr()
    assert err == ""
    assert set(out.splitlines()) == {f"so far {progress.trials}" for progress in seen}
    assert len(out.splitlines()) == len(seen)
    assert seen[-1].student.calls <= done.student.calls
    assert max(progress.best or 0 for progress in seen if progress.stage == "infer") == done.figures[0].validation_best
    assert not recwarn.list


def test_too_few_documents(program):
    """The error says how many there are and how many are needed."""
    pupil = Pupil()
    with pytest.raises(GoldError, match=r"5 documents .* too few"):
        optimise(program(pupil), gold(5), student=pupil)


def test_an_unknown_optimiser(program):
    """The error names those that there are."""
    with pytest.raises(InputError, match="labeled, bootstrap, mipro, gepa"):
        optimise(program(Pupil()), gold(), student=Pupil(), optimiser="best")


@pytest.mark.skipif(find_spec("optuna") is not None, reason="optuna is installed")
def test_what_mipro_needs(program):
    """Without optuna the error says how to install it, before anything is asked."""
    pupil = Pupil()
    with pytest.raises(MissingExtraError, match=r"labelmill\[tune\]"):
        optimise(program(pupil), gold(), student=pupil, optimiser="mipro")
    assert pupil.bodies == []


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize(
    "optimiser", [Bootstrap(demonstrations=2, programs=1), Gepa(rounds=1)], ids=lambda each: each.name
)
def test_a_real_model_takes_part(make_labeler, tmp_path, optimiser):
    """The embedded one is student and teacher; it comes to an end, and to the same end again without being asked."""
    pytest.importorskip("xllamacpp")
    documents = [Document(f"t{n}", text, (NAMES[n],)) for n, text in enumerate(TEXTS)]
    with make_labeler("embedded", infer="lm") as labeler:
        path = tmp_path / "journal.jsonl"
        done, again = (
            optimise(labeler.program, documents, student="embedded", optimiser=optimiser, journal=path)
            for _ in range(2)
        )
    (figures,) = done.figures
    assert figures.before is not None
    assert figures.after is not None
    assert (done.prompts, done.figures) == (again.prompts, again.figures)
    assert again.student.reused > 0
    assert again.student.calls == done.student.calls > 0
    assert done.student.completion_tokens > 0


KILLED = """
import asyncio, os, sys
sys.path[:0] = {path!r}
from pupils import Pupil, gold
from small_world import NAMES
from labelmill import Labeler, Taxonomy
from labelmill.pipelines.optimise import optimise
from toy_embedder import HashedGrams

class Slow(Pupil):
    async def complete(self, body, **more):
        os.write(1, body + b"\\n")
        await asyncio.sleep(0.02)
        return await super().complete(body, **more)

pupil = Slow()
labeler = Labeler(
    Taxonomy.from_names(NAMES), lm=pupil, embedders=[HashedGrams()], candidates=8, top_k=3, infer="lm", rank="listwise"
)
optimise(labeler.program, gold(), student=pupil, journal={journal!r})
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_loses_what_was_in_flight_at_most(program, tmp_path, how):
    """What the process had asked and got an answer to is not asked again by the next; an interrupted one ends at once."""
    journal, folder = tmp_path / "journal.jsonl", Path(__file__).parent
    code = KILLED.format(path=[str(folder), str(folder.parent)], journal=str(journal))
    # Through a file: what is not read of a pipe would hold the process up.
    with (tmp_path / "asked").open("wb") as asked:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=asked, stderr=subprocess.DEVNULL)
    try:
        while len((tmp_path / "asked").read_bytes().splitlines()) < 60 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(how)
        assert process.wait(timeout=60) != 0
    finally:
        process.kill()
        process.wait()
    bodies = (tmp_path / "asked").read_bytes().splitlines()
    answered = sum(b'"infer"' in line or b'"rank"' in line for line in journal.read_bytes().splitlines())
    assert 60 - 32 <= answered <= len(bodies)
    going_on, whole = Pupil(), Pupil()
    resumed = optimise(program(going_on), gold(), student=going_on, journal=journal)
    lucky = optimise(program(whole), gold(), student=whole)
    assert len(going_on.bodies) == len(whole.bodies) - answered
    assert resumed.prompts == lucky.prompts
