"""Two real runs compared: which documents count, what each is measured against, and what changed."""

from __future__ import annotations

import json

import pytest
from small_world import NAMES, TEXTS

from labelmill import Label, Taxonomy
from labelmill.errors import GoldError, InputError, ModelRejected, StoreError
from labelmill.pipelines.comparison import compare_runs
from labelmill.pipelines.evaluate import evaluate_run
from labelmill.pipelines.gold import GoldCorpus
from scripted import ScriptedModel, write_jsonl

GOLD = [[NAMES[n % 12], NAMES[(5 * n + 3) % 12]] for n in range(len(TEXTS))]


@pytest.fixture
def gold(tmp_path) -> GoldCorpus:
    rows = [{"id": f"t{n}", "text": text, "labels": GOLD[n]} for n, text in enumerate(TEXTS)]
    return GoldCorpus.read([write_jsonl(tmp_path / "gold.jsonl", rows)])


@pytest.fixture
def out(make_labeler, corpus, tmp_path):
    """A file with a narrow run and a wide one, and a third that is as the first."""
    path = tmp_path / "runs.duckdb"
    make_labeler(top_k=1).label_corpus([corpus], path, run="one")
    make_labeler(top_k=4).label_corpus([corpus], path, run="four")
    make_labeler(top_k=1).label_corpus([corpus], path, run="again")
    return path


def test_each_value_is_that_of_eval(out, gold):
    """Over documents that both met, comparing and evaluating are the same."""
    result = compare_runs((out, "one"), (out, "four"), gold, ks=(2, 5), resamples=50)
    for side, run in (("a", "one"), ("b", "four")):
        alone = evaluate_run(out, gold, run=run, ks=(2, 5), resamples=10).evaluation.metrics
        for name, metric in result.comparison.metrics.items():
            assert getattr(metric, side) == pytest.approx(alone[name].value), name
    assert result.warnings == []


def test_what_changed_is_what_the_wider_run_has_more(out, gold):
    """Three labels a document came and none went; rankings are the same, so no document ranks better."""
    plain = json.loads(json.dumps(compare_runs((out, "one"), (out, "four"), gold, resamples=20).as_dict(most=99)))
    assert plain["documents_changed"] == len(TEXTS)
    assert sum(label["documents"] for label in plain["labels_changed"]["gained"]) == 3 * len(TEXTS)
    assert plain["labels_changed"]["lost"] == []
    assert plain["wins"]["rp@5"] == {"a": 0, "b": 0, "ties": len(TEXTS)}
    for row in plain["most_changed"]:
        assert len(row["gained"]) == 3
        assert set(row["gained"]) <= set(NAMES)


def test_runs_of_the_same_program_differ_in_nothing(out, gold):
    """p = 1 and no document changed, also where the second run is the newest of its file."""
    result = compare_runs((out, "one"), (out, None), gold, resamples=50)
    assert result.sides[1].run == "again"
    assert {metric.p_value for metric in result.comparison.metrics.values()} == {1.0}
    assert {metric.difference.value for metric in result.comparison.metrics.values()} == {0.0}
    assert result.document_changes(9) == []


def test_only_documents_that_both_met_count(make_labeler, corpus, gold, tmp_path):
    """What one run left, or both, is counted and said; a failure is met, and scores zero."""
    first, second = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    model = ScriptedModel(troubles={"violin": ModelRejected("no")})
    make_labeler(model).label_corpus([corpus], first, limit=5, run="five")
    make_labeler().label_corpus([corpus], second, limit=3, run="three")
    result = compare_runs((first, None), (second, None), gold, resamples=20)
    assert result.documents == ("t0", "t1", "t2")
    assert (result.documents_of_one_run, result.documents_of_neither) == ((2, 0), 3)
    assert result.comparison.scores[2, 0] == 0
    assert result.warnings == [
        "left out: 2 of the documents with gold, in run 'five' alone",
        "left out: 3 of the documents with gold, in neither run",
    ]


def test_runs_with_different_taxonomies_are_compared_by_id(make_labeler, corpus, gold, tmp_path):
    """The second lacks a third of the labels and has them in another order; its gold is resolved by itself."""
    labels = [Label(f"L{n}", name) for n, name in enumerate(NAMES)]
    first, second = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    make_labeler(taxonomy=Taxonomy.from_labels(labels), candidates=8).label_corpus([corpus], first, run="all")
    fewer = Taxonomy.from_labels([*reversed(labels[:8]), Label("new", "walk on stilts")])
    make_labeler(taxonomy=fewer, candidates=8).label_corpus([corpus], second, run="few")
    result = compare_runs((first, None), (second, None), gold, resamples=20)
    for side, path in (("a", first), ("b", second)):
        alone = evaluate_run(path, gold, ks=(5, 10), resamples=10).evaluation.metrics
        for name, metric in result.comparison.metrics.items():
            assert getattr(metric, side) == pytest.approx(alone[name].value), name
    assert result.warnings[0] == "the runs have different taxonomies: labels are compared by id"
    assert "run 'few': 3 gold labels are not in the taxonomy" in result.warnings[1]
    lost = {label["id"]: label["name"] for label in result.label_changes(99)["lost"]}
    assert lost
    assert all(NAMES[int(label[1:])] == name for label, name in lost.items())


def test_what_cannot_be_compared_is_one_line(make_labeler, corpus, out, gold, tmp_path):
    """The same run twice, runs without a common document, runs and files that are not there."""
    with pytest.raises(InputError, match=r"run 'again' of .* cannot be compared with itself\. Name two runs"):
        compare_runs((out, None), (out, "again"), gold)
    with pytest.raises(StoreError, match="has no run 'x'"):
        compare_runs((out, None), (out, "x"), gold)
    with pytest.raises(StoreError, match="no such file"):
        compare_runs((out, None), (tmp_path / "nosuch.duckdb", None), gold)
    other = write_jsonl(tmp_path / "other.jsonl", [{"id": "x", "text": TEXTS[0], "labels": [NAMES[0]]}])
    apart = tmp_path / "apart.duckdb"
    make_labeler().label_corpus([other], apart, run="apart")
    with pytest.raises(GoldError, match="none of the 8 documents with gold is in run 'one' and in run 'apart'"):
        compare_runs((out, "one"), (apart, None), gold)
