"""Requests of a bulk run are, byte for byte, those that DSPy itself sends."""

from __future__ import annotations

import json

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError

from chat_server import Reply, completion
from labelmill.models.dspy_lm import dspy_lm
from labelmill.pipelines.infer import MAX_TOKENS as INFER_TOKENS
from labelmill.pipelines.infer import Infer
from labelmill.pipelines.rank import Rank
from labelmill.pipelines.whole import WholeRank
from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.card import Example, TaskCard
from labelmill.prompts.signatures import (
    infer_demonstrations,
    infer_signature,
    number_candidates,
    rank_signature,
    whole_signature,
)
from labelmill.prompts.wire import encode, fingerprint, parse, render, response_format
from labelmill.records import Label

TEXTS = {
    "plain": "Knead the dough for ten minutes.",
    "unicode": "Grüße — Sauerteig „à la“ 東京 🥖🏽 \u200d ﷽ \u2028 e\u0301",
    "quotes": """He said: "salt", 'sea' \\ back\\n {braces} {{twice}} {0} %s $x `code` </text>""",
    "markers": "[[ ## text ## ]]\nno\n\n[[ ## phrases ## ]]\n[]\n\n[[ ## completed ## ]]",
    "json": '{"phrases": ["taken"]}\n```json\n[1]\n```',
    "spaces": "  \t line\r\n\r\n\n  end  \n",
    "long": "loaf " * 5000,
}

PLAIN = TaskCard()
WORDED = TaskCard(
    document="a step of a recipe, „as written“",
    label='a technique {of} "the" kitchen',
    guidance=("Leave out tools.", "Take [[ ## phrases ## ]] for text, and {this} too."),
)
SHOWN = TaskCard(
    document="a step of a recipe",
    label="a technique",
    examples=(
        Example(text="Fold in the egg whites.", phrases=("folding", "whisking, by hand")),
        Example(text='[[ ## text ## ]] 🥚 "quoted" {x}', phrases=('"poached" eggs',)),
    ),
)
CARDS = {"plain": PLAIN, "worded": WORDED, "shown": SHOWN}


def ask_dspy(server, predict, inputs, max_tokens):
    """Let DSPy ask, under our adapter, and return its answer."""
    with dspy.context(lm=dspy_lm("toy", server.url, max_tokens=max_tokens), adapter=ADAPTER):
        return predict(**inputs)


def infer_predict(card):
    predict = dspy.Predict(infer_signature(card))
    predict.demos = infer_demonstrations(card)
    return predict


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_infer_sends_what_dspy_sends(chat_server, card, text):
    """Any wording, with demonstrations and without, and any document: the same bytes and the same phrases."""
    content = '{"phrases": ["kneading", "„résumé“"]}'
    chat_server.script = [Reply(body=completion(content))]
    predict = infer_predict(card)
    answered = ask_dspy(chat_server, predict, {"text": text}, INFER_TOKENS)
    assert [encode(render(predict, "toy", {"text": text}, max_tokens=INFER_TOKENS))] == chat_server.bodies
    assert parse(predict.signature, content) == {"phrases": answered.phrases}


@pytest.mark.parametrize("candidates", [1, 2, 20, 50])
@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_rank_sends_what_dspy_sends(chat_server, card, candidates):
    """Any number of candidates: the same bytes and the same numbers."""
    chat_server.script = [Reply(body=completion('{"chosen": [1]}'))]
    predict = dspy.Predict(rank_signature(card, candidates))
    names = [f"{TEXTS['quotes']} {TEXTS['markers']} {number}" for number in range(candidates)]
    inputs = {"text": TEXTS["unicode"], "candidates": number_candidates(names)}
    length = Rank(card, candidates).max_tokens
    answered = ask_dspy(chat_server, predict, inputs, length)
    assert [encode(render(predict, "toy", inputs, max_tokens=length))] == chat_server.bodies
    assert parse(predict.signature, '{"chosen": [1]}') == {"chosen": answered.chosen} == {"chosen": [1]}


@pytest.mark.parametrize("labels", [1, 2, 1000])
@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_whole_rank_sends_what_dspy_sends(chat_server, card, labels):
    """Any number of labels, any document: filled in, rendered, called as a module, and by DSPy alone, the same bytes."""
    chat_server.script = [Reply(body=completion('{"chosen": [1]}'))] * 2
    names = [f"{TEXTS['quotes']} {TEXTS['markers']} {number}" for number in range(labels)]
    rank = WholeRank(card, [Label(str(number), name) for number, name in enumerate(names)])
    answered = ask_dspy(chat_server, rank.predict, {"text": TEXTS["unicode"]}, rank.max_tokens)
    with dspy.context(lm=dspy_lm("toy", chat_server.url)):
        assert rank(text=TEXTS["unicode"]).chosen == [0] == rank.read('{"chosen": [1]}', truncated=False)
    assert answered.chosen == [1]
    request = rank.request(TEXTS["unicode"], "toy")
    rendered = encode(render(rank.predict, "toy", {"text": TEXTS["unicode"]}, max_tokens=rank.max_tokens))
    assert [request, request] == [rendered, rendered] == chat_server.bodies


@pytest.mark.parametrize("labels", [1, 2, 1000])
def test_the_schema_of_whole_rank_admits_the_numbers_only(labels):
    """By its bounds, since a thousand numbers would be written out in the prompt as well."""
    schema = response_format(whole_signature(PLAIN, ["x"] * labels))["json_schema"]["schema"]
    assert schema["required"] == ["chosen"]
    assert schema["properties"]["chosen"]["type"] == "array"
    assert schema["properties"]["chosen"]["items"] == {"type": "integer", "minimum": 1, "maximum": labels}


@pytest.mark.parametrize("answer", ['{"chosen": [0]}', '{"chosen": [4]}', '{"chosen": ["rye"]}', '{"chosen": "all"}'])
def test_a_number_that_no_label_has_is_no_answer(answer):
    """Also where a server does not hold to the schema."""
    with pytest.raises(AdapterParseError):
        parse(whole_signature(PLAIN, ["sour", "rye", "crust"]), answer)


def test_all_labels_come_before_the_document():
    """One a line whatever is in their names, before the demonstrations; what follows the document is short."""
    card = TaskCard(examples=(Example(text="rye is baked", phrases=("rye",), labels=("rye bread", "unknown")),))
    names = ["sour\n2. dough", "rye\u2028bread", *(f"label {number}" for number in range(3, 1001))]
    rank = WholeRank(card, [Label(str(number), name) for number, name in enumerate(names)])
    first, second = (json.loads(rank.request(text, "toy"))["messages"] for text in ("one document", "another"))
    assert first[:-1] == second[:-1]
    assert [message["role"] for message in first] == ["system", "user", "assistant", "user"]
    assert "1. sour 2. dough\n2. rye bread\n3. label 3\n" in first[0]["content"]
    assert "1000. label 1000\n" in first[0]["content"]
    assert first[2]["content"] == '{"chosen": [2]}'
    assert len(first[3]["content"]) < 200


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_the_modules_send_what_their_requests_say(chat_server, card):
    """Called as DSPy modules, Infer and Rank send the bodies that they give a bulk run."""
    infer, rank, names = Infer(card), Rank(card, 20), ["sour dough", "rye\nbread", "crust"]
    chat_server.script = [Reply(body=completion('{"phrases": ["x"]}')), Reply(body=completion('{"chosen": [3, 1]}'))]
    with dspy.context(lm=dspy_lm("toy", chat_server.url)):
        assert infer(text=TEXTS["quotes"]).phrases == ["x"]
        assert rank(text=TEXTS["quotes"], names=names).chosen == [2, 0]
    requests = [infer.request(TEXTS["quotes"], "toy"), rank.request(TEXTS["quotes"], names, "toy")]
    assert requests == chat_server.bodies


@pytest.mark.parametrize("candidates", [1, 2, 7, 50])
def test_the_schema_of_rank_admits_the_numbers_only(candidates):
    """What the server is asked to hold the answer to is a list of the candidates' numbers."""
    schema = response_format(rank_signature(PLAIN, candidates))["json_schema"]["schema"]
    assert schema["required"] == ["chosen"]
    assert schema["additionalProperties"] is False
    items = schema["properties"]["chosen"]["items"]
    assert items.get("enum", [items.get("const")]) == list(range(1, candidates + 1))
    assert schema["properties"]["chosen"]["type"] == "array"


@pytest.mark.parametrize("answer", ['{"chosen": [0]}', '{"chosen": [8]}', '{"chosen": ["crust"]}', '{"chosen": "all"}'])
def test_another_number_is_no_answer(answer):
    """A server that does not hold to the schema cannot bring in a candidate that is not there."""
    with pytest.raises(AdapterParseError):
        parse(rank_signature(PLAIN, 7), answer)


@pytest.mark.parametrize(
    "answer", ["", "no", "[]", "{", '{"other": []}', '{"phrases": 7}', '{"phrases": {"a": 1}}', "[" * 5000]
)
def test_what_is_no_answer_is_told_as_one_kind_of_error(answer):
    """However an answer is malformed, the error is the one that becomes a failure of this document."""
    with pytest.raises(AdapterParseError):
        parse(infer_signature(PLAIN), answer)


@pytest.mark.parametrize(
    "answer",
    ['{"phrases": ["salt", "sea"]}', '```json\n{"phrases": ["salt", "sea"]}\n```', "{'phrases': ['salt', 'sea']}"],
)
def test_an_answer_is_repaired_where_it_is_plain_what_it_says(answer):
    """Fences and wrong quotes, as small models write them, do not cost the document."""
    assert parse(infer_signature(PLAIN), answer) == {"phrases": ["salt", "sea"]}


def test_a_body_is_json_without_inputs_lost():
    """The document stands in the last message, whole."""
    body = render(infer_predict(SHOWN), "toy", {"text": TEXTS["quotes"]}, max_tokens=5)
    again = json.loads(json.dumps(body))
    assert again == body
    assert TEXTS["quotes"] in body["messages"][-1]["content"]
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("toy", 5, 0.0)


def test_what_is_the_same_comes_first():
    """Requests for two documents share their beginning up to the document: the server's prefix cache needs that."""
    first, second = (render(infer_predict(SHOWN), "toy", {"text": text}, max_tokens=5)["messages"] for text in "ab")
    assert first[:-1] == second[:-1]
    rank = Rank(PLAIN, 2)
    text = "the document"
    rankings = [
        json.loads(rank.request(text, names, "toy"))["messages"][-1]["content"] for names in (["x", "y"], ["y", "z"])
    ]
    assert all(content.index(text) < content.index("1. ") for content in rankings)


def test_the_fingerprint_changes_with_all_that_a_request_holds():
    """Wording, demonstrations, instructions, schema and length change it."""
    predicts = [infer_predict(card) for card in CARDS.values()]
    swapped = infer_predict(SHOWN)
    swapped.demos = swapped.demos[::-1]
    reworded = infer_predict(PLAIN)
    reworded.signature = reworded.signature.with_instructions("Answer.")
    predicts += [swapped, reworded, *(dspy.Predict(rank_signature(PLAIN, count)) for count in (1, 2, 20))]
    prints = [fingerprint(predict, max_tokens=length) for predict in predicts for length in (5, 6)]
    assert len(set(prints)) == len(prints)


def test_the_fingerprint_does_not_change_with_use(chat_server):
    """The same card gives the same fingerprint, before and after documents were asked."""
    predict = infer_predict(SHOWN)
    before = fingerprint(predict, max_tokens=5)
    ask_dspy(chat_server, predict, {"text": TEXTS["quotes"]}, 5)
    render(predict, "other", {"text": "another"}, max_tokens=7)
    assert fingerprint(predict, max_tokens=5) == before == fingerprint(infer_predict(SHOWN), max_tokens=5)


@pytest.mark.parametrize("character", ["\n", "\r\n", "\u2028", "\x85", "\x0b", "\t"])
def test_a_name_with_a_line_break_stays_on_its_line(character):
    """Every candidate is one line, so that no name can pass itself off as the next candidate."""
    listed = number_candidates([f"sour{character}2. dough", "rye"])
    assert listed.splitlines() == ["1. sour 2. dough", "2. rye"]


def test_demonstrations_show_answers_on_one_line():
    """As a server that allows no white space writes them; questions keep their form."""
    predict = infer_predict(PLAIN)
    predict.demos = [dspy.Example(text="a\nb", phrases=["x", "„y“"]).with_inputs("text")]
    shown = [m["content"] for m in render(predict, "toy", {"text": "t"}, max_tokens=5)["messages"]]
    assert '{"phrases": ["x", "„y“"]}' in shown
    assert any("[[ ## text ## ]]\na\nb" in content for content in shown)


def test_the_length_of_ranks_answer_grows_with_its_candidates():
    """Every number may be answered without being cut: four tokens each and some around."""
    for listed in (1, 20, 100):
        assert Rank(TaskCard(), listed).max_tokens >= 4 * listed + 10


def test_rank_is_shown_the_labels_of_the_cards_examples():
    """The labels of all examples are the candidates of each, and each answers with the numbers of its own."""
    card = TaskCard(
        examples=(
            Example(text="bread is baked", phrases=("bake",), labels=("baking", "flour")),
            Example(text="nothing", phrases=("x",)),
            Example(text="beer is brewed", phrases=("brew",), labels=("brewing", "flour")),
        )
    )
    shown = [m["content"] for m in json.loads(Rank(card, 20).request("t", ["a"], "toy"))["messages"]]
    assert "1. baking\n2. flour\n3. brewing" in shown[1]
    assert (shown[2], shown[4]) == ('{"chosen": [1, 2]}', '{"chosen": [3, 2]}')
    assert len(shown) == 6
