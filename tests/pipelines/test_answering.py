"""Answers for many batches at once: each question is asked once, whatever the timing, and every cost is kept."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.errors import ModelGone, ModelRefused, ModelRejected, ModelUnavailable
from labelmill.pipelines.answering import Answering
from labelmill.pipelines.questions import Cost, Question, Unreadable
from labelmill.records import Failure
from scripted import ScriptedModel


def unavailable(attempts: int) -> ModelUnavailable:
    error = ModelUnavailable("no answer")
    error.attempts = attempts
    return error


@dataclass
class Exam:
    """Questions by key, a store that is a mapping, and a count of what was asked.

    Attributes:
        troubles: Raised in place of an answer, after one request of 10 and 2 tokens; by key.
        pauses: How long an answer takes; by key.
        stored: What is committed.
    """

    troubles: dict[str, Exception] = field(default_factory=dict)
    pauses: dict[str, float] = field(default_factory=dict)
    stored: dict[str, list] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def questions(self, keys) -> list[Question]:
        return [Question(key, "infer", self._ask(key)) for key in keys]

    def answering(self, concurrency: int = 100) -> Answering:
        return Answering(ScriptedModel(), concurrency, self.look_up)

    def look_up(self, keys) -> dict[str, list]:
        return {key: self.stored[key] for key in keys if key in self.stored}

    def commit(self, answering: Answering, answered) -> None:
        for stage in answered.stages:
            self.stored.setdefault(stage.key, stage.output)
        answering.stored(answered.stages)

    def _ask(self, key):
        async def ask(_model, _turn, cost: Cost) -> list:
            self.asked[key] += 1
            cost.requests += 1
            cost.prompt_tokens += 10
            cost.completion_tokens += 2
            await asyncio.sleep(self.pauses.get(key, 0))
            if key in self.troubles:
                raise self.troubles[key]
            return [f"{key} {self.asked[key]}"]

        return ask


def test_an_answer_is_asked_for_once_and_then_found():
    """Within a batch, among batches under way, and in the store once it is committed."""
    exam = Exam()

    async def session():
        answering = exam.answering()
        one, two = await asyncio.gather(
            answering.answer(exam.questions("aab"), 0), answering.answer(exam.questions("bc"), 1)
        )
        assert one.outputs | two.outputs == {"a": ["a 1"], "b": ["b 1"], "c": ["c 1"]}
        assert ([one.calls, one.reused, one.tokens], [two.calls, two.reused, two.tokens]) == ([2, 0, 24], [1, 1, 12])
        # Either batch may be the first to be committed: both bring the answer that both have used.
        assert [[stage.key for stage in each.stages] for each in (one, two)] == [["a", "b"], ["b", "c"]]
        exam.commit(answering, two)
        exam.commit(answering, one)
        three = await answering.answer(exam.questions("abc"), 2)
        assert (three.calls, three.reused, three.stages, three.tokens) == (0, 3, [], 0)
        return answering

    answering = asyncio.run(session())
    assert exam.asked == {"a": 1, "b": 1, "c": 1}
    assert answering._asked == {}, "what is stored need not be kept"


def test_an_answer_that_is_committed_during_a_look_up_is_not_asked_for_again():
    """The look-up began before it was there, and ends after it was committed and forgotten."""
    exam = Exam()
    slow, released = threading.Event(), threading.Event()

    def look_up(keys):
        found = exam.look_up(keys)
        if not slow.is_set():
            slow.set()
            released.wait(30)
        return found

    async def session():
        answering = Answering(ScriptedModel(), 100, look_up)
        first = asyncio.create_task(answering.answer(exam.questions("a"), 0))
        await asyncio.to_thread(slow.wait)
        second = asyncio.create_task(answering.answer(exam.questions("a"), 1))
        second.add_done_callback(lambda task: exam.commit(answering, task.result()))
        await asyncio.wait([second], timeout=0.05)
        released.set()
        return (await first).outputs, (await second).outputs

    one, two = asyncio.run(session())
    assert one == two == {"a": ["a 1"]}
    assert exam.asked == {"a": 1}


def test_a_failure_is_that_of_all_who_wait_and_of_nobody_later():
    """It is not stored: who asks after it asks again, and others wait for that."""
    exam = Exam(troubles={"a": ModelRejected("too long")}, pauses={"b": 0.02})

    async def session():
        answering = exam.answering()
        early = asyncio.create_task(answering.answer(exam.questions("ab"), 0))
        one, two = await asyncio.gather(answering.answer(exam.questions("a"), 0), early)
        assert isinstance(one.outputs["a"], Failure)
        assert one.outputs["a"] == two.outputs["a"]
        assert (one.calls, two.calls) == (0, 2)
        exam.troubles.clear()
        exam.pauses["a"] = 0.02
        later = await asyncio.gather(*(answering.answer(exam.questions("a"), turn) for turn in (1, 2, 3)))
        assert [each.outputs["a"] for each in later] == [["a 2"]] * 3

    asyncio.run(session())
    assert exam.asked["a"] == 2


@pytest.mark.parametrize(
    ("trouble", "kind", "requests"),
    [
        (unavailable(5), "unavailable", 6),
        (ModelRejected("too long"), "rejected", 2),
        (Unreadable("no JSON"), "unparseable", 1),
    ],
)
def test_a_failure_costs_what_it_cost(trouble, kind, requests):
    """What was sent before it is on record, and so are the attempts that brought nothing."""
    exam = Exam(troubles={"a": trouble})

    async def session():
        answering = exam.answering()
        done = await answering.answer(exam.questions("ab"), 0)
        assert (done.outputs["a"].kind, done.outputs["a"].attempts, done.tokens) == (kind, requests, 24)
        return answering.take_spent(), answering.take_spent()

    spent, rest = asyncio.run(session())
    assert spent == {"infer": Cost(requests + 1, 20, 0, 4)}
    assert rest == {}, "it is spent once"


def test_what_could_not_be_written_down_can_be_given_back():
    """And is taken again with what was spent since."""
    exam = Exam()

    async def session():
        answering = exam.answering()
        await answering.answer(exam.questions("ab"), 0)
        answering.give_back(answering.take_spent())
        await answering.answer(exam.questions("c"), 0)
        return answering.take_spent()

    assert asyncio.run(session()) == {"infer": Cost(3, 30, 0, 6)}


@pytest.mark.parametrize("trouble", [ModelGone("nobody answers"), ModelRefused("wrong key")])
def test_an_error_of_the_run_leaves_no_question_behind(trouble):
    """When it is raised, all that the batch asked has ended, and what that cost is known."""
    exam = Exam(troubles={"a": trouble}, pauses=dict.fromkeys("bcd", 30.0))

    async def session():
        answering = exam.answering()
        with pytest.raises(type(trouble)):
            await answering.answer(exam.questions("bcad"), 0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return answering

    answering = asyncio.run(session())
    assert answering.take_spent() == {"infer": Cost(4, 40, 0, 8)}
    assert answering._asked == {}


def test_a_batch_that_is_cancelled_ends_what_it_asked():
    """Its costs are on record, and nothing of it goes on."""
    exam = Exam(pauses={"a": 30.0})

    async def session():
        answering = exam.answering()
        asking = asyncio.create_task(answering.answer(exam.questions("a"), 0))
        while not exam.asked:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return answering.take_spent()

    assert asyncio.run(session()) == {"infer": Cost(1, 10, 0, 2)}


@settings(max_examples=60)
@given(
    batches=st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=1, max_size=12),
    pauses=st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.001, 0.003])),
    bad=st.sets(st.sampled_from("ab")),
    commits=st.lists(st.sampled_from([0.0, 0.0005, 0.002]), min_size=12, max_size=12),
    concurrency=st.integers(1, 4),
)
def test_whatever_the_timing_each_answer_is_asked_for_once(batches, pauses, bad, commits, concurrency):
    """All who have an answer have the one that is stored; the costs are those of what was asked; nothing is kept."""
    exam = Exam(troubles=dict.fromkeys(bad, ModelRejected("no")), pauses=pauses)

    async def batch(answering, turn, keys):
        answered = await answering.answer(exam.questions(keys), turn)
        await asyncio.sleep(commits[turn])
        exam.commit(answering, answered)
        return answered

    async def session():
        answering = exam.answering(concurrency)
        done = await asyncio.gather(*(batch(answering, turn, keys) for turn, keys in enumerate(batches)))
        return answering, done

    answering, done = asyncio.run(session())
    for keys, answered in zip(batches, done, strict=True):
        assert set(answered.outputs) == set(keys)
        for key, output in answered.outputs.items():
            assert isinstance(output, Failure) if key in bad else output == exam.stored[key]
        assert answered.calls + answered.reused == len(set(keys))
    assert all(count == 1 for key, count in exam.asked.items() if key not in bad)
    assert sum(answered.calls for answered in done) == exam.asked.total()
    spent = answering.take_spent()["infer"]
    assert spent.requests == exam.asked.total() + sum(exam.asked[key] for key in bad)
    assert spent.tokens == sum(answered.tokens for answered in done) == 12 * exam.asked.total()
    assert answering._asked == {}
