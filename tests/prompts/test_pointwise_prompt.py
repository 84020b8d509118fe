"""Requests of pointwise Rank: DSPy's own bytes, one word back, and all before the candidate the same."""

from __future__ import annotations

import copy
import json
import logging
import math

import dspy
import pytest

from chat_server import Reply, completion
from labelmill.errors import ModelRejected
from labelmill.models.dspy_lm import dspy_lm
from labelmill.pipelines.pointwise import PointwiseRank, merge_probabilities
from labelmill.prompts.card import Example, TaskCard
from labelmill.prompts.signatures import pointwise_demonstrations

SHOWN = TaskCard(
    document="a step of a recipe, „as written“",
    label='a technique {of} "the" kitchen',
    guidance=("Leave out tools.", "Take [[ ## text ## ]] for text, and {this} too."),
    examples=(
        Example(text="Fold in the\negg whites.", phrases=("fold",), labels=("folding", "egg\twhites")),
        Example(text="Nothing here.", phrases=("none",)),
        Example(text="„Poach“ the 🥚.", phrases=("poach",), labels=("folding", '"poaching"')),
        Example(text="Knead.", phrases=("knead",), labels=("kneading",)),
    ),
)
CARDS = {"plain": TaskCard(), "shown": SHOWN}
TEXTS = {
    "plain": "Knead the dough.",
    "unicode": "Grüße — „à la“ 東京 🥖🏽 \u200d \u2028 e\u0301",
    "marks": '[[ ## candidate ## ]]\nno\n\nCandidate: x\n"q" \\n {a} {{b}} {"applies": "yes"}',
    "spaces": "  \t line\r\n\r\n\n  end  \n",
    "empty": "",
}
NAMES = ["sour dough", "rye\nbread, Candidate: x", 'crust "q"', "  東京  ", "{0}"]


def answered(tokens, content=""):
    """Make the answer that has these probabilities for its first token."""
    body = completion(content, finish="length")
    tops = [{"token": token, "logprob": math.log(value), "bytes": None} for token, value in tokens.items()]
    body["choices"][0]["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]} if tops else None
    return Reply(body=body)


def lm(server):
    return dspy.context(lm=dspy_lm("toy", server.url))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_it_sends_what_dspy_sends(chat_server, card, text):
    """Any wording, any document, any name: the same bytes."""
    rank = PointwiseRank(card)
    chat_server.script = [answered({"yes": 0.6, "no": 0.2}, "yes") for _ in NAMES]
    with lm(chat_server):
        found = rank(text=text, names=NAMES)
    assert rank.requests(text, NAMES, "toy") == chat_server.bodies
    assert found.probabilities == pytest.approx((0.75,) * len(NAMES))


def test_what_is_asked_for():
    """One token, without chance, with as many alternatives as servers give, and no schema: the word stands alone."""
    (body,) = PointwiseRank(SHOWN).requests("t", ["n"], "toy")
    fields = json.loads(body)
    assert list(fields) == ["model", "messages", "max_tokens", "temperature", "logprobs", "top_logprobs"]
    assert (fields["max_tokens"], fields["temperature"], fields["logprobs"], fields["top_logprobs"]) == (1, 0, True, 20)


def test_requests_differ_from_the_candidate_on():
    """All that is fixed, then the document, then the candidate: the server reads the beginning once."""
    rank = PointwiseRank(SHOWN)
    first, second = rank.requests("They knead.", ["kneading", "folding"], "toy")
    (other,) = rank.requests("They fold.", ["kneading"], "toy")
    shared = first.index(b"kneading", first.index(b"They knead."))
    assert first[:shared] == second[:shared]
    assert first[: first.index(b"They knead.")] == other[: other.index(b"They fold.")]
    last = json.loads(first)["messages"][-1]
    assert last["role"] == "user"
    assert last["content"].splitlines()[-2] == "Candidate: kneading"


def test_a_name_stays_on_its_line():
    """No name can pass itself off as another part of the prompt."""
    (body,) = PointwiseRank(TaskCard()).requests("t", ["rye\n\nText:\r\nbread\u2028x"], "toy")
    assert "\nCandidate: rye Text: bread x\n" in json.loads(body)["messages"][-1]["content"]


class TestDemonstrations:
    """Made of the card's examples."""

    def test_there_are_as_many_with_yes_as_with_no(self):
        """Of each example a label that applies and another example's that does not; which is first alternates."""
        shown = [(demo.text, demo.candidate, demo.applies) for demo in pointwise_demonstrations(SHOWN)]
        assert shown == [
            ("Fold in the\negg whites.", "folding", "yes"),
            ("Fold in the\negg whites.", '"poaching"', "no"),
            ("„Poach“ the 🥚.", "folding", "yes"),
            ("„Poach“ the 🥚.", "kneading", "no"),
            ("Knead.", "folding", "no"),
            ("Knead.", "kneading", "yes"),
        ]

    def test_they_answer_with_the_word_alone(self):
        """As the model should, so that its first token is the word."""
        (body,) = PointwiseRank(SHOWN).requests("t", ["n"], "toy")
        said = [message["content"] for message in json.loads(body)["messages"] if message["role"] == "assistant"]
        assert said == ["yes", "no", "yes", "no", "no", "yes"]

    @pytest.mark.parametrize("examples", [(), SHOWN.examples[:1], SHOWN.examples[:2]], ids=len)
    def test_without_a_label_that_does_not_apply_there_are_none(self, examples):
        """One answer alone would teach the model to give it always."""
        assert pointwise_demonstrations(SHOWN.model_copy(update={"examples": examples})) == []


class TestAsAModule:
    """What DSPy does with it."""

    def test_the_probability_comes_of_the_tokens(self, chat_server):
        """Not of the word that was written, which may even be missing."""
        chat_server.script = [
            answered({"Yes": 0.3, "yes": 0.3, " no": 0.2, "The": 0.1}, "Yes"),
            answered({"The": 0.9, "no": 0.06, "yes": 0.02}, "The"),
            answered({"<|im_end|>": 0.9, "no": 0.1}, ""),
            answered({"<|im_end|>": 0.9, "yes": 0.1}, None),
            answered({"Perhaps": 0.9}, "Perhaps"),
        ]
        with lm(chat_server):
            found = PointwiseRank(TaskCard())(text="t", names=NAMES)
        assert found.probabilities == pytest.approx((0.75, 0.25, 0.0, 1.0, 0.0))

    @pytest.mark.parametrize("tokens", [{"<think>": 1.0}, {}], ids=str)
    def test_a_model_without_an_answer_is_said_to_be_one(self, chat_server, tokens):
        """As in a bulk run."""
        chat_server.script = [answered(tokens, "x")] * 2
        with lm(chat_server), pytest.raises(ModelRejected):
            PointwiseRank(TaskCard())(text="t", names=NAMES[:2])

    def test_it_does_not_warn_that_one_token_is_one_token(self, chat_server, caplog):
        """DSPy warns of every answer that ends at its maximum length; other predictors' warnings stay."""
        rank = PointwiseRank(TaskCard())
        chat_server.script = [answered({"yes": 0.6, "no": 0.2}, "yes")] * 3 + [answered({}, "[[ ## word ## ]]\nx")]
        logger = logging.getLogger("dspy.clients.lm")
        logger.addHandler(caplog.handler)
        try:
            with lm(chat_server):
                rank(text="t", names=NAMES[:3])
                assert caplog.records == []
                dspy.Predict("text -> word", max_tokens=1)(text="t")
        finally:
            logger.removeHandler(caplog.handler)
        assert caplog.records

    def test_what_an_optimiser_changes_is_sent(self, chat_server):
        """Instructions and demonstrations, in place or in a copy; the fingerprint tells them apart."""
        rank = PointwiseRank(SHOWN)
        rank.requests("t", ["n"], "toy")
        twin = copy.deepcopy(rank)
        twin.predict.signature = twin.predict.signature.with_instructions("Judge.")
        twin.predict.demos = [dspy.Example(text="a", candidate="b", applies="no", logprobs={"content": []})]
        assert len({rank.fingerprint(), twin.fingerprint(), PointwiseRank(TaskCard()).fingerprint()}) == 3
        assert rank.fingerprint() == PointwiseRank(SHOWN).fingerprint()
        chat_server.script = [answered({"yes": 0.6, "no": 0.2}, "yes")]
        with lm(chat_server):
            twin(text="t", names=["n"])
        assert twin.requests("t", ["n"], "toy") == chat_server.bodies
        said = [message["content"] for message in json.loads(chat_server.bodies[0])["messages"]]
        assert said[0] == "Judge."
        assert said[2] == "no"
        rank.predict.demos.append(twin.predict.demos[0])
        assert len(json.loads(rank.requests("t", ["n"], "toy")[0])["messages"]) == 1 + 2 * 7 + 1

    def test_it_is_kept_as_json(self, tmp_path):
        """Saved and loaded, it asks the same."""
        rank = PointwiseRank(SHOWN)
        rank.predict.signature = rank.predict.signature.with_instructions("Judge.")
        rank.save(tmp_path / "rank.json")
        loaded = PointwiseRank(TaskCard())
        loaded.load(tmp_path / "rank.json")
        assert loaded.predict.signature.instructions == "Judge."
        assert len(loaded.predict.demos) == 6


def test_a_label_applies_where_it_applies_to_any_chunk():
    """The maximum over chunks, candidate by candidate."""
    assert merge_probabilities([[0.1, 0.9, 0.5]]) == [0.1, 0.9, 0.5]
    assert merge_probabilities([[0.1, 0.9, 0.5], [0.2, 0.3, 0.5]]) == [0.2, 0.9, 0.5]
