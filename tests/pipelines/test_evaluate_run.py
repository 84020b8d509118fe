"""A run against gold: which documents count, what they score, and what a reader is told beside the figures."""

from __future__ import annotations

import json
import math

import pytest
from small_world import TEXTS

from labelmill.errors import GoldError, ModelRejected, StoreError
from labelmill.pipelines.evaluate import evaluate_run
from scripted import ScriptedModel, write_jsonl
from word_server import WordServer

GOLD = [
    "bake sourdough bread",
    "repair bicycles",
    "play the violin",
    "grow tomatoes",
    "sail small boats",
    "restore old furniture",
    "train guide dogs",
    "paint with watercolour",
]


@pytest.fixture
def gold(tmp_path):
    rows = [{"id": f"t{n}", "text": text, "labels": [GOLD[n]]} for n, text in enumerate(TEXTS)]
    return write_jsonl(tmp_path / "gold.jsonl", rows)


@pytest.fixture
def out(make_labeler, gold, tmp_path):
    path = tmp_path / "runs.duckdb"
    make_labeler().label_corpus([gold], path, run="r")
    return path


def value(result, metric: str) -> float:
    return result.as_dict()["metrics"][metric]["value"]


def test_the_figures_are_those_of_the_rows(make_labeler, gold, out):
    """Precision at 1 counted by hand from what the labeler says."""
    firsts = [found[0].name for found in make_labeler().label(TEXTS)]
    result = evaluate_run(out, [gold], ks=[1, 8], resamples=50)
    assert math.isclose(value(result, "p@1"), sum(map(str.__eq__, firsts, GOLD)) / 8)
    assert result.run == "r"
    assert result.warnings == []
    assert result.evaluation.documents == 8


def test_gold_by_id_and_by_name_are_the_same(make_labeler, tmp_path):
    """A taxonomy with ids of its own; gold may use either."""
    from labelmill import Label, Taxonomy

    taxonomy = Taxonomy.from_labels([Label(f"L{n}", name) for n, name in enumerate(GOLD)])
    figures = []
    for key in ("id", "name"):
        gold = write_jsonl(
            tmp_path / f"{key}.jsonl",
            [
                {"id": f"t{n}", "text": text, "labels": [f"L{n}" if key == "id" else GOLD[n]]}
                for n, text in enumerate(TEXTS)
            ],
        )
        out = tmp_path / f"{key}.duckdb"
        make_labeler(taxonomy=taxonomy).label_corpus([gold], out, run="r")
        figures.append(evaluate_run(out, [gold], resamples=50).as_dict())
    assert figures[0] == figures[1]


def test_documents_that_the_run_never_met_are_left_out_and_counted(make_labeler, gold, tmp_path):
    """A run with a limit is not punished for what it was told to leave."""
    out = tmp_path / "few.duckdb"
    make_labeler().label_corpus([gold], out, limit=3)
    result = evaluate_run(out, [gold], resamples=50)
    assert (result.evaluation.documents, result.documents_not_in_run) == (3, 5)
    assert "left out: 5 of the documents with gold, not in the run" in result.warnings[0]


def test_a_document_that_failed_scores_zero(make_labeler, gold, tmp_path):
    """To leave it out would reward failing on what is hard."""
    out = tmp_path / "failed.duckdb"
    model = ScriptedModel(troubles={"Guide": ModelRejected("no")})
    make_labeler(model).label_corpus([gold], out, run="failed")
    make_labeler(ScriptedModel(model="other")).label_corpus([gold], out, run="whole")
    failed, whole = (evaluate_run(out, [gold], run=run, ks=[8], resamples=50) for run in ("failed", "whole"))
    assert failed.evaluation.documents == whole.evaluation.documents == 8
    assert math.isclose(value(failed, "r@8"), value(whole, "r@8") - 1 / 8)


def test_gold_that_the_taxonomy_does_not_have_is_told(out, gold):
    """It counts as missed, and the reader learns how much of it there is."""
    rows = [json.loads(line) for line in gold.read_text(encoding="utf-8").splitlines()]
    rows[0]["labels"].append("walk on stilts")
    write_jsonl(gold, rows)
    result = evaluate_run(out, [gold], resamples=50)
    assert any("walk on stilts" in line for line in result.warnings)


def test_rows_of_the_gold_that_cannot_be_read_are_told(out, gold):
    """Silence would look like completeness."""
    with gold.open("a", encoding="utf-8") as file:
        file.write('{"id": "cut\n')
    result = evaluate_run(out, [gold], resamples=50)
    assert result.gold_unreadable == 1
    assert result.warnings == ["could not be read: 1 of the rows of the gold corpus"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"id": "other", "text": "x", "labels": ["repair bicycles"]}],
            "none of the 1 documents with gold is in run 'r'",
        ),
        ([{"id": "t0", "text": "x", "labels": ["walk on stilts"]}], "walk on stilts"),
        ([{"id": "t0", "text": "x"}], "gold"),
    ],
)
def test_gold_that_does_not_fit_is_one_line(out, tmp_path, rows, message):
    """With what to do."""
    with pytest.raises(GoldError, match=message) as caught:
        evaluate_run(out, [write_jsonl(tmp_path / "other.jsonl", rows)])
    assert "\n" not in str(caught.value)


def test_runs_that_are_not_there_are_named(out, gold, tmp_path):
    """An unknown run with those that there are; a missing file with how to make one."""
    with pytest.raises(StoreError, match=r"has no run 'x'\. It has: r\."):
        evaluate_run(out, [gold], run="x")
    with pytest.raises(StoreError, match=r"nosuch\.duckdb: no such file"):
        evaluate_run(tmp_path / "nosuch.duckdb", [gold])


def test_rarity_may_come_from_another_corpus(out, gold, tmp_path):
    """There the violin is frequent and all else is rare; a label that the taxonomy lacks does no harm."""
    labels = [["play the violin"]] * 30 + [["repair bicycles", "walk on stilts"]]
    elsewhere = write_jsonl(
        tmp_path / "elsewhere.jsonl", [{"id": str(n), "text": "x", "labels": row} for n, row in enumerate(labels)]
    )
    own, other = (evaluate_run(out, [gold], ks=[8], resamples=20, frequencies=given) for given in ((), [elsewhere]))
    assert value(other, "r@8") == value(own, "r@8")
    assert value(own, "psp@8") == pytest.approx(value(own, "r@8"))  # one gold label each, all equally rare
    assert not any(name.endswith("_head") for name in own.as_dict()["metrics"])
    assert any(name.endswith("_head") for name in other.as_dict()["metrics"])


def test_a_taxonomy_with_parents_is_measured_by_them(make_labeler, tmp_path):
    """A label's sibling is worth something."""
    from labelmill import Label, Taxonomy

    labels = [Label(f"L{n}", name, parents=("T",)) for n, name in enumerate(GOLD)]
    gold = write_jsonl(tmp_path / "gold.jsonl", [{"id": "t", "text": TEXTS[0], "labels": [GOLD[1]]}])
    out = tmp_path / "tree.duckdb"
    taxonomy = Taxonomy.from_labels([*labels, Label("T", "things that people do")])
    make_labeler(taxonomy=taxonomy, top_k=1).label_corpus([gold], out)
    result = evaluate_run(out, [gold], ks=[1], resamples=20)
    assert value(result, "near_f1") == pytest.approx(1 / 3)
    assert value(result, "hf1") == 0


def test_the_calibration_error_is_there_only_for_probabilities(make_labeler, out, gold, tmp_path):
    """Those of pointwise Rank where all of the first were judged, and not the scores of a fusion."""
    assert "ece@10" not in evaluate_run(out, [gold], resamples=20).as_dict()["metrics"]
    with WordServer() as server:
        for listed in (8, 4):
            path = tmp_path / f"{listed}.duckdb"
            make_labeler(f"toy@{server.url}", rank="pointwise", infer="windows", listed=listed).label_corpus(
                [gold], path
            )
            metrics = evaluate_run(path, [gold], resamples=20).as_dict()["metrics"]
            assert ("ece@10" in metrics) == (listed == 8)
