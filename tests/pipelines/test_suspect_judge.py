"""A model's word on suspects, over HTTP: it is asked of each, orders them, and may fail on some documents."""

from __future__ import annotations

import pytest
from small_world import NAMES, TEXTS

from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.suspect_judge import judge_suspects
from labelmill.pipelines.suspects import suspects_of_run
from scripted import write_jsonl
from word_server import WordServer

GOLD = [[NAMES[place]] for place in (11, 11, 11, 3, 4, 10, 11, 7)]


@pytest.fixture
def gold(tmp_path) -> GoldCorpus:
    rows = [{"id": f"t{n}", "text": text, "labels": GOLD[n]} for n, text in enumerate(TEXTS)]
    return GoldCorpus.read([write_jsonl(tmp_path / "gold.jsonl", rows)])


@pytest.fixture
def out(make_labeler, corpus, tmp_path):
    path = tmp_path / "runs.duckdb"
    make_labeler().label_corpus([corpus], path, run="r")
    return path


def says(text: str, candidate: str) -> dict[str, float]:
    """Affirm the violin, deny the dogs more or less, be undecided else."""
    yes = 0.9 if candidate == "play the violin" else 0.1 if "bread" in text else 0.4
    return {"yes": yes, "no": 1 - yes}


def test_suspects_are_ordered_by_what_the_model_says(out, gold):
    found = suspects_of_run(out, gold)
    with WordServer(says) as server:
        judged = judge_suspects(out, gold, found, f"toy@{server.url}")
    assert {one.label for one in judged.missing} == {one.label for one in found.missing}
    assert [one.judged for one in judged.wrong] == sorted(one.judged for one in judged.wrong)
    assert [one.judged for one in judged.missing] == sorted((one.judged for one in judged.missing), reverse=True)
    assert judged.wrong[0].judged == pytest.approx(0.1)
    assert (judged.missing[0].name, judged.missing[0].judged) == ("play the violin", pytest.approx(0.9))
    assert judged.notes == found.notes


def test_a_document_that_the_model_rejects_is_told_and_comes_last(out, gold, tmp_path):
    """Its text is longer than the model's context."""
    rows = [{"id": f"t{n}", "text": text, "labels": GOLD[n]} for n, text in enumerate(TEXTS)]
    rows[2]["text"] = "violin " * 150
    longer = GoldCorpus.read([write_jsonl(tmp_path / "longer.jsonl", rows)])
    found = suspects_of_run(out, longer)
    assert "t2" in {one.document for one in found.wrong}
    with WordServer(says) as server:
        server.context_tokens = 150
        judged = judge_suspects(out, longer, found, f"toy@{server.url}")
    assert judged.wrong[-1].document == "t2"
    assert judged.wrong[-1].judged is None
    assert "did not judge" in judged.notes[-1]
    assert judged.wrong[0].judged is not None
