"""Suspects of a run: what is planted in the gold is found, described, and honestly introduced."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import NAMES, TEXTS

from labelmill.errors import GoldError
from labelmill.pipelines.excerpts import LONGEST, excerpt
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.suspects import suspects_of_run
from scripted import write_jsonl

GOLD = [[NAMES[place]] for place in (0, 1, 2, 3, 4, 10, 11, 7)]


def gold_of(tmp_path, labels) -> GoldCorpus:
    rows = [{"id": f"t{n}", "text": text, "labels": labels[n]} for n, text in enumerate(TEXTS)]
    return GoldCorpus.read([write_jsonl(tmp_path / "gold.jsonl", rows)])


@pytest.fixture
def out(make_labeler, corpus, tmp_path):
    path = tmp_path / "runs.duckdb"
    make_labeler().label_corpus([corpus], path, run="r")
    return path


def test_a_planted_label_is_the_first_suspect(out, tmp_path):
    """Dogs for a text on bread; and the label of the bicycles taken away."""
    labels = [[*row] for row in GOLD]
    labels[0].append("train guide dogs")
    labels[1] = ["brew dark beer"]
    found = suspects_of_run(out, gold_of(tmp_path, labels), count=3)
    assert {(one.document, one.name) for one in found.wrong[:2]} == {
        ("t0", "train guide dogs"),
        ("t1", "brew dark beer"),
    }
    assert ("t1", "repair bicycles") in {(one.document, one.name) for one in found.missing}
    assert (found.run, found.documents, found.gold_labels) == ("r", 8, 9)
    assert {one.kind for one in found.wrong} == {"wrong"}
    assert all(one.score < one.threshold for one in found.wrong)
    assert all(one.score >= one.threshold for one in found.missing)
    (missing,) = (one for one in found.missing if one.name == "repair bicycles")
    assert missing.rank == 1
    assert missing.excerpt == TEXTS[1]


def test_a_run_without_probabilities_says_so(out, tmp_path):
    """The scores of a fusion look like probabilities and are none."""
    notes = suspects_of_run(out, gold_of(tmp_path, GOLD)).notes
    assert any("no probabilities" in note for note in notes)
    assert any("learned from" in note for note in notes)


def test_documents_without_gold_have_no_suspects(out, tmp_path):
    """To have no labels is not to have none that apply; what the taxonomy lacks is no suspect either."""
    labels = [[], *GOLD[1:]]
    labels[2] = [*labels[2], "walk on stilts"]
    found = suspects_of_run(out, gold_of(tmp_path, labels), count=50)
    assert (found.documents, found.gold_labels) == (7, 7)
    assert "t0" not in {one.document for one in [*found.wrong, *found.missing]}


def test_the_lists_are_as_long_as_was_asked_and_plain_json(out, tmp_path):
    labels = [["train guide dogs"] if n < 3 else row for n, row in enumerate(GOLD)]
    found = suspects_of_run(out, gold_of(tmp_path, labels), count=1)
    assert (len(found.wrong), len(found.missing)) == (1, 1)
    assert json.loads(json.dumps(found.as_dict()))["wrong"][0]["kind"] == "wrong"


def test_gold_of_other_documents_is_an_error(out, tmp_path):
    other = write_jsonl(tmp_path / "other.jsonl", [{"id": "x", "text": "x", "labels": [NAMES[0]]}])
    with pytest.raises(GoldError, match="none of the 1 documents with gold is in run 'r'"):
        suspects_of_run(out, GoldCorpus.read([other]))


def test_a_judge_orders_what_was_found(out, tmp_path):
    """Gold that it denies comes first, and so does what it affirms."""
    labels = [["train guide dogs"] if n < 3 else row for n, row in enumerate(GOLD)]
    found = suspects_of_run(out, gold_of(tmp_path, labels))
    assert len(found.wrong) > 1
    assert len(found.missing) > 1
    places = {(one.document, one.label): place for place, one in enumerate([*found.wrong, *found.missing])}
    judged = found.judged({pair: 1 / (1 + place) for pair, place in places.items()})
    assert [one.label for one in judged.wrong] == [one.label for one in reversed(found.wrong)]
    assert [one.label for one in judged.missing] == [one.label for one in found.missing]
    assert all(one.judged is not None for one in [*judged.wrong, *judged.missing])


def test_an_excerpt_shows_the_query():
    """Up to case, whitespace and punctuation."""
    text = "word " * 100 + "the  Ovens,\nare hot " + "word " * 100
    shown = excerpt(text, "ovens are hot")
    assert "Ovens, are hot" in shown
    assert shown[0] == shown[-1] == "…"
    assert excerpt(text, "nowhere").startswith("word word")
    assert excerpt("short\ntext") == "short text"


@given(st.text(max_size=400), st.text(max_size=20))
def test_an_excerpt_is_one_short_line_of_the_text(text, query):
    shown = excerpt(text, query)
    assert len(shown) <= LONGEST
    assert "\n" not in shown
    assert shown.strip("…") in " ".join(text.split()) or "…" in text
