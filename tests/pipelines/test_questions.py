"""One question: what it asks, how its answer is read, the one request to mend it, and what all of that costs."""

from __future__ import annotations

import asyncio

import pytest
from small_world import NAMES, TEXTS

from labelmill.errors import ModelRejected, ModelUnavailable
from labelmill.models.client import Completion
from labelmill.pipelines.questions import Cost, Questions, Unreadable
from scripted import ScriptedModel

PHRASES = '{"phrases": ["rye bread"]}'


class Answers(ScriptedModel):
    """Gives these answers, one after another; notes the bodies."""

    def __init__(self, *answers):
        super().__init__()
        self.bodies = []
        self._answers = list(answers)

    async def complete(self, body, *, turn=0, group=""):
        self.bodies.append(body)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(content, tokens, **more):
    return Completion(content, tokens, tokens // 2, 1, 0.5, **more)


@pytest.fixture
def questions(make_labeler):
    """Those of a program with both stages."""
    program = make_labeler(ScriptedModel(), rank="listwise").program
    return Questions(program, "scripted", "scripted")


def ask(question, *answers):
    """Ask, and give the outcome, what it cost, and the bodies that were sent."""
    model, cost = Answers(*answers), Cost()
    try:
        outcome = asyncio.run(question.ask(model, 0, cost))
    except (Unreadable, ModelRejected, ModelUnavailable) as error:
        outcome = error
    return outcome, cost, model.bodies


def test_an_answer_that_can_be_read_costs_what_it_cost(questions):
    """With the attempts that the client needed."""
    outcome, cost, bodies = ask(questions.infer(TEXTS[0]), answer(PHRASES, 10, attempts=3))
    assert (outcome, cost, len(bodies)) == (["rye bread"], Cost(3, 10, 5, 1, 0.5), 1)


def test_an_answer_that_cannot_be_read_is_mended_once(questions):
    """The model is shown its own answer and told what is wrong with it; both answers are paid for."""
    outcome, cost, bodies = ask(questions.infer(TEXTS[0]), answer("rye bread?", 10), answer(PHRASES, 30, attempts=2))
    assert (outcome, cost) == (["rye bread"], Cost(3, 40, 20, 2, 1.0))
    assert b"rye bread?" not in bodies[0]
    assert b"rye bread?" in bodies[1]


def test_two_answers_that_cannot_be_read_are_the_end(questions):
    """There is no third request; the message is of the second answer."""
    outcome, cost, bodies = ask(questions.rank(TEXTS[0], NAMES), answer("first", 10), answer("second", 30))
    assert isinstance(outcome, Unreadable)
    assert "it began: 'second'" in str(outcome)
    assert (cost, len(bodies)) == (Cost(2, 40, 20, 2, 1.0), 2)


def test_a_mending_that_is_rejected_is_a_request_too(questions):
    """With the first answer it is too long: then the first answer is what could not be read."""
    outcome, cost, bodies = ask(questions.infer(TEXTS[0]), answer("first", 10), ModelRejected("too long"))
    assert isinstance(outcome, Unreadable)
    assert "it began: 'first'" in str(outcome)
    assert (cost, len(bodies)) == (Cost(2, 10, 5, 1, 0.5), 2)


@pytest.mark.parametrize("trouble", [ModelRejected("too long"), ModelUnavailable("no answer")])
def test_what_the_model_does_not_answer_is_not_mended(questions, trouble):
    """Its error is the question's."""
    outcome, cost, bodies = ask(questions.infer(TEXTS[0]), trouble)
    assert (outcome, cost, len(bodies)) == (trouble, Cost(), 1)


def test_a_mending_that_gets_no_answer_keeps_the_first_ones_cost(questions):
    """Who tries again later starts anew, but what was spent is spent."""
    outcome, cost, _ = ask(questions.infer(TEXTS[0]), answer("first", 10), ModelUnavailable("no answer"))
    assert isinstance(outcome, ModelUnavailable)
    assert cost == Cost(1, 10, 5, 1, 0.5)


class Judge(ScriptedModel):
    """Answers one token after another, and refuses a text."""

    async def complete(self, body, *, turn=0, group=""):
        await asyncio.sleep(0.05 if b"violin" in body.rpartition(b"candidate")[2] and self.troubles else 0)
        if b"violin" in body.rpartition(b"candidate")[2] and self.troubles:
            raise ModelRejected("too long")
        return Completion("", 10, 4, 1, 0.5, next_token={"maybe": -0.1})


@pytest.mark.parametrize(("refused", "requests", "attempts"), [({}, len(NAMES), 0), ({"x": "y"}, len(NAMES) - 1, 1)])
def test_candidates_that_were_judged_in_vain_are_paid_for(make_labeler, refused, requests, attempts):
    """The model says neither yes nor no, or one candidate's request is refused: the others were answered."""
    questions = Questions(make_labeler(ScriptedModel(), rank="pointwise").program, "scripted", "scripted")
    cost = Cost()
    with pytest.raises(ModelRejected) as caught:
        asyncio.run(questions.rank(TEXTS[0], NAMES).ask(Judge(troubles=refused), 0, cost))
    assert (cost.requests, cost.tokens, caught.value.attempts) == (requests, 11 * requests, attempts)


def test_a_key_says_all_that_an_answer_depends_on(make_labeler):
    """Another text, other candidates or their order, another stage, model or wording: another key."""
    program = make_labeler(ScriptedModel(), rank="listwise").program
    questions = Questions(program, "scripted", "scripted")
    reworded = make_labeler(ScriptedModel(), rank="listwise").program
    predict = reworded.infer.predict
    predict.signature = predict.signature.with_instructions("List what people do.")
    keys = [
        questions.infer(TEXTS[0]).key,
        questions.infer(TEXTS[1]).key,
        Questions(program, "scripted", "other weights").infer(TEXTS[0]).key,
        Questions(reworded, "scripted", "scripted").infer(TEXTS[0]).key,
        questions.rank(TEXTS[0], NAMES).key,
        questions.rank(TEXTS[0], NAMES[::-1]).key,
        questions.rank(TEXTS[0], NAMES[:-1]).key,
        questions.rank(TEXTS[1], NAMES).key,
    ]
    assert len(set(keys)) == len(keys)
    assert questions.infer(TEXTS[0]).key == Questions(program, "renamed", "scripted").infer(TEXTS[0]).key
