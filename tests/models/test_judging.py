"""Judging candidates: the same probabilities by one scoring request as by a completion each, or the completions."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from itertools import count

import orjson
import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from labelmill.errors import ModelRejected, ModelUnavailable
from labelmill.models.client import Completion
from labelmill.models.judging import judge, judge_by_completions, read_probabilities
from labelmill.models.served import ServedModel
from word_server import WordServer

NAMES = ["knead dough", "knead bread", "sail boats", "sail", "grow 12 tomatoes", "(re)pair, «clocks»", "東京 tower"]
TEXT = "They knead dough for bread.\n\nCandidate: sail\n<|im_start|> and grow 12 tomatoes \n"
LEAD = [
    {"role": "system", "content": "Say whether it applies."},
    {"role": "user", "content": "Text:\nHe sings.\n\nCandidate: sing\nYes or no?"},
    {"role": "assistant", "content": "yes"},
]


def bodies(text=TEXT, names=NAMES, lead=LEAD):
    """Write requests as pointwise Rank does."""
    return [
        orjson.dumps(
            {
                "model": "toy",
                "messages": [*lead, {"role": "user", "content": f"Text:\n{text}\n\nCandidate: {name}\nYes or no?"}],
                "max_tokens": 1,
                "temperature": 0.0,
                "logprobs": True,
                "top_logprobs": 20,
            }
        )
        for name in names
    ]


@pytest.fixture
def server():
    with WordServer() as server:
        yield server


def session(server, ask):
    """Run something with a model behind the server."""

    async def run():
        async with ServedModel(server.url, attempts=1) as model:
            return await ask(model)

    return asyncio.run(run())


def both(server, asked):
    """Judge by completions and by what `judge` chooses; give both, and what `judge` alone sent."""

    async def ask(model):
        by_completions = await judge_by_completions(model, asked)
        await judge(model, asked)
        server.paths.clear()
        return by_completions, await judge(model, asked)

    return session(server, ask)


class TestScoring:
    """One request for all candidates, where that is the same."""

    @pytest.mark.parametrize("names", [NAMES, NAMES[:1], NAMES[:2], [NAMES[0]] * 3], ids=["all", "one", "two", "same"])
    @pytest.mark.parametrize("text", [TEXT, "", "\n\n \n", " ends with a blank "])
    def test_both_ways_give_the_same(self, server, names, text):
        """Whatever the document ends with and however the candidates begin, since the same tokens are read."""
        completions, scored = both(server, bodies(text, names))
        assert scored.probabilities == pytest.approx(completions.probabilities, abs=1e-6)
        assert server.paths == {"/generative_scoring": 2}  # one for each spelling of yes
        assert set(server.prompts[-len(names) :]) == set(server.prompts[: len(names)])
        assert scored.attempts == 2
        assert scored.prompt_tokens == 2 * completions.prompt_tokens

    def test_a_spelling_that_the_model_does_not_use_is_not_asked_for(self, server):
        """A model that has been shown the word writes it so: one request is enough."""
        server.rule = lambda text, candidate: {"yes": 0.4, "Yes": 1e-5, "no": 0.5}
        completions, scored = both(server, bodies())
        assert server.paths == {"/generative_scoring": 1}
        assert scored.probabilities == pytest.approx(completions.probabilities, abs=1e-4)

    def test_what_a_server_can_do_is_found_out_once(self, server):
        """Documents that come at once wait for the same samples; another prompt has samples of its own."""

        async def ask(model):
            await asyncio.gather(*(judge(model, bodies(f"{n} boats")) for n in range(20)))
            before = dict(server.paths)
            await judge(model, bodies("more boats"))
            samples = server.paths["/detokenize"]
            await judge(model, bodies("boats", lead=LEAD[:1]))
            return before, samples

        before, samples = session(server, ask)
        assert samples == 1
        assert before["/v1/chat/completions"] == 3
        assert before["/generative_scoring"] == 2 + 2 * 20
        assert server.paths["/detokenize"] == 2

    def test_an_end_while_samples_are_asked_leaves_the_next_to_ask(self, server):
        """A document that is given up does not take the others' samples with it."""

        async def ask(model):
            first, second = (asyncio.create_task(judge(model, bodies(text))) for text in ("a", "b"))
            await asyncio.sleep(0)
            first.cancel()
            return await second

        assert len(session(server, ask).probabilities) == len(NAMES)

    @pytest.mark.parametrize("lack", [{"scores": False}, {"tokenizes": False}, {"prefixes": True}], ids=str)
    def test_where_it_is_not_the_same_completions_are_sent(self, server, lack):
        """No such endpoint; a tokenising one that means something else; a tokenizer that sees where a text begins."""
        for name, value in lack.items():
            setattr(server, name, value)
        completions, judged = both(server, bodies())
        assert judged.probabilities == completions.probabilities
        assert server.paths == {"/v1/chat/completions": len(NAMES)}

    def test_scores_that_differ_from_the_completions_are_not_used(self, server):
        """The samples hold the two against each other, whatever the reason may be."""
        calls = count()
        server.rule = lambda text, candidate: {"yes": 0.9, "no": 0.1} if next(calls) < 10 else {"yes": 0.1, "no": 0.9}

        async def ask(model):
            await judge_by_completions(model, bodies())  # seven calls of the rule, and three more by the samples
            return await judge(model, bodies())

        session(server, ask)
        assert server.paths["/v1/chat/completions"] == len(NAMES) + 3 + len(NAMES)

    def test_a_server_that_cannot_score_after_all_gets_completions(self, server):
        """One of several servers may be of another version."""

        async def ask(model):
            await judge(model, bodies())
            server.scores = False
            server.paths.clear()
            return await judge(model, bodies())

        assert len(session(server, ask).probabilities) == len(NAMES)
        assert server.paths == {"/generative_scoring": 1, "/v1/chat/completions": len(NAMES)}

    def test_candidates_that_share_no_prompt_are_completed(self, server):
        """Scoring is for requests that differ in the last message alone."""
        mixed = bodies() + bodies(lead=LEAD[:1])
        judged = session(server, lambda model: judge(model, mixed))
        assert len(judged.probabilities) == len(mixed)
        assert server.paths["/generative_scoring"] == 0


class TestLength:
    """Scoring cuts a prompt that is too long, and with it the candidate: nobody must take that for an answer."""

    @pytest.mark.parametrize("short_by", range(-2, 4))
    def test_a_document_is_judged_whole_or_rejected(self, server, short_by):
        """To the very token, as a chat completion would be."""
        text = "knead " * 300
        session(server, lambda model: judge_by_completions(model, bodies(text)))
        server.context_tokens = max(len(server.encode(prompt)) for prompt in server.prompts) + short_by

        async def ask(model):
            await judge(model, bodies("a"))
            return [await outcome(way(model, bodies(text))) for way in (judge_by_completions, judge)]

        completed, scored = session(server, ask)
        assert server.paths["/generative_scoring"] >= 4
        if short_by < 1:
            assert isinstance(completed, ModelRejected)
            assert isinstance(scored, ModelRejected)
        else:
            assert scored.probabilities == pytest.approx(completed.probabilities)

    def test_a_first_document_that_is_too_long_decides_nothing(self, server):
        """It fails alone; who waited meanwhile is judged by completions; the next shows what the server can do."""
        server.context_tokens = 500

        async def ask(model):
            outcomes = await asyncio.gather(*(outcome(judge(model, bodies(text))) for text in ("a " * 600, "b", "c")))
            outcomes.append(await judge(model, bodies("d")))
            server.paths.clear()
            return [*outcomes, await judge(model, bodies("e"))]

        first, *others = session(server, ask)
        assert isinstance(first, ModelRejected)
        assert all(len(verdict.probabilities) == len(NAMES) for verdict in others)
        assert server.paths == {"/generative_scoring": 2}


class TestImpossible:
    """Probabilities that no model gives are asked for again, and never counted."""

    def test_damaged_completions_are_asked_for_again(self, server):
        """As vLLM gives them to requests that it computes together with scoring ones."""
        whole = session(server, lambda model: judge_by_completions(model, bodies()))
        server.damaged = 5
        judged = session(server, lambda model: judge_by_completions(model, bodies()))
        assert judged.probabilities == whole.probabilities
        assert judged.attempts == len(NAMES) + 5
        assert judged.prompt_tokens > whole.prompt_tokens

    def test_completions_that_stay_damaged_are_no_answer(self, server):
        """The document fails, and can be tried again."""
        server.damaged = 10**9
        judged = session(server, lambda model: outcome(judge_by_completions(model, bodies())))
        assert isinstance(judged, ModelUnavailable)
        assert "impossible" in str(judged)

    @pytest.mark.parametrize(("nonsense", "works"), [(1, True), (2, True), (10**9, False)])
    def test_so_are_scores(self, server, nonsense, works):
        """All candidates alike at one share each of the words: that comes of no log-probabilities."""

        async def ask(model):
            whole = await judge(model, bodies())
            server.nonsense = nonsense
            return whole, await outcome(judge(model, bodies()))

        whole, judged = session(server, ask)
        if works:
            assert judged.probabilities == whole.probabilities
            assert judged.attempts == 2 + nonsense
        else:
            assert isinstance(judged, ModelUnavailable)


class TestAnswers:
    """What is read from a next token."""

    def test_spellings_add_up(self):
        """Upper and lower case, with a blank and without; other tokens do not count."""
        tokens = {"yes": 0.2, " Yes": 0.1, "YES": 0.1, "no": 0.1, "No": 0.1, "yesterday": 0.3, "not": 0.1}
        logs = {token: math.log(value) for token, value in tokens.items()}
        assert read_probabilities([logs]) == (pytest.approx((2 / 3,)), 0)

    def test_a_candidate_without_an_answer_does_not_apply(self):
        """Neither word among the most probable tokens: probability 0, and counted."""
        assert read_probabilities([{"yes": -0.1}, {"The": -0.1}]) == ((1.0, 0.0), 1)

    def test_a_model_that_answers_nothing_is_said_to(self, server):
        """Every candidate begins with something else, as where a model thinks first."""
        server.rule = lambda text, candidate: {"<think>": 0.9, "The": 0.1}
        judged = session(server, lambda model: outcome(judge(model, bodies())))
        assert isinstance(judged, ModelRejected)
        assert "'<think>'" in str(judged)

    def test_a_server_without_log_probabilities_is_said_to_be_one(self):
        """It cannot be used for pointwise Rank at all."""
        with pytest.raises(ModelRejected, match="gives no log-probabilities"):
            read_probabilities([{}, {}])

    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(["yes", "Yes", "no", " No", "The"]), st.floats(-700, 0), min_size=1, max_size=5
            ),
            max_size=6,
        )
    )
    def test_a_probability_is_one(self, tokens):
        """Between 0 and 1, one for each candidate, whatever the log-probabilities."""
        try:
            probabilities, unanswered = read_probabilities(tokens)
        except ModelRejected:
            assert not any(token.strip().lower() in {"yes", "no"} for found in tokens for token in found)
            return
        assert len(probabilities) == len(tokens)
        assert 0 <= unanswered <= max(len(tokens) - 1, 0)
        assert all(0 <= probability <= 1 for probability in probabilities)


@dataclass
class OneByOne:
    """A `ChatModel` that is not behind a server; it rejects what holds the word."""

    model: str = "toy"
    identity: str = "toy"
    rejected: str = "nothing at all"
    asked: list[tuple[bytes, int, str]] = field(default_factory=list)
    answered: int = 0

    async def complete(self, body, *, turn=0, group=""):
        self.asked.append((body, turn, group))
        if self.rejected.encode() in body:
            raise ModelRejected("too long")
        await asyncio.sleep(0.01)
        self.answered += 1
        return Completion("yes", 10, 8, 1, 0.1, 2, next_token={"yes": -0.1, "no": -2.0})


class TestAnyModel:
    """A model is asked through the one seam that all models have."""

    def test_it_is_asked_for_each_candidate(self):
        """In the document's turn and group; what it costs adds up."""
        model = OneByOne()
        judged = asyncio.run(judge(model, bodies(), turn=3, group="d"))
        assert model.asked == [(body, 3, "d") for body in bodies()]
        assert len(set(judged.probabilities)) == 1
        assert (judged.prompt_tokens, judged.cached_tokens) == (10 * len(NAMES), 8 * len(NAMES))
        assert (judged.completion_tokens, judged.attempts) == (len(NAMES), 2 * len(NAMES))

    def test_one_rejected_candidate_ends_the_others(self):
        """The document fails as a whole, and nothing is left under way."""
        model = OneByOne(rejected=NAMES[3])

        async def ask():
            judged = await outcome(judge(model, bodies()))
            assert len(asyncio.all_tasks()) == 1
            return judged

        assert isinstance(asyncio.run(ask()), ModelRejected)
        assert model.answered == 0

    def test_without_candidates_nothing_is_asked(self):
        """And nothing is spent."""
        model = OneByOne()
        judged = asyncio.run(judge(model, []))
        assert (judged.probabilities, judged.attempts, model.asked) == ((), 0, [])


async def outcome(awaited):
    """Give the result, or the error."""
    try:
        return await awaited
    except (ModelRejected, ModelUnavailable) as error:
        return error


def test_a_first_document_that_gets_no_answer_fails_alone(server):
    """The server breaks down over it; the others are judged, and it is not tried again with each of them."""
    server.breaks_over = "poison"

    async def ask(model):
        texts = ["poison", *(f"{number} boats" for number in range(20))]
        return await asyncio.gather(*(outcome(judge(model, bodies(text))) for text in texts))

    with stamina.set_testing(True, attempts=2):
        first, *others = session(server, ask)
    assert isinstance(first, ModelUnavailable)
    assert all(len(verdict.probabilities) == len(NAMES) for verdict in others)


def test_documents_that_tell_nothing_are_not_tried_for_ever(server):
    """A model that answers some candidates with neither yes nor no is judged by completions, after three trials."""
    server.rule = lambda text, candidate: {"yes": 0.5, "no": 0.4} if candidate == NAMES[-1] else {"maybe": 0.9}

    async def ask(model):
        for number in range(8):
            await judge(model, bodies(f"{number} boats"))
        return server.paths["/detokenize"]

    assert session(server, ask) == 3
