"""The ledger of real runs: its losses are those of the evaluation, whatever the program."""

from __future__ import annotations

import pytest
from small_world import NAMES, TEXTS

from labelmill import Label, Taxonomy
from labelmill.artifacts import ARTIFACTS, status
from labelmill.errors import GoldError, ModelRejected
from labelmill.eval.fates import Fate
from labelmill.pipelines.evaluate import evaluate_run
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.ledger import ledger_of_run
from scripted import ScriptedModel, write_jsonl

GOLD = [[NAMES[n % 12], NAMES[(5 * n + 3) % 12], NAMES[(7 * n + 1) % 12]] for n in range(len(TEXTS))]


def corpus_of(path, gold=GOLD) -> GoldCorpus:
    rows = [{"id": f"t{n}", "text": text, "labels": gold[n]} for n, text in enumerate(TEXTS)]
    return GoldCorpus.read([write_jsonl(path, rows)])


@pytest.fixture
def gold(tmp_path):
    return corpus_of(tmp_path / "gold.jsonl")


def assert_agrees(path, gold, run):
    """Found, lost and recall are those of the evaluation of the same run."""
    ledger = ledger_of_run(path, gold, run=run)
    evaluation = evaluate_run(path, gold, run=run, resamples=10).evaluation
    total = len(ledger.entries)
    recall = evaluation.metrics["micro_recall"].value
    assert ledger.counts[Fate.found] == pytest.approx(recall * total)
    assert ledger.lost == pytest.approx((1 - recall) * total)
    assert ledger.ceilings["decided"] == pytest.approx(recall)
    return ledger


@pytest.mark.parametrize(
    "settings",
    [
        {"top_k": 1, "candidates": 3},
        {"top_k": 4, "threshold": 0.6},
        {"infer": "lm", "candidates": 4, "top_k": 2},
        {"infer": "both", "rank": "listwise"},
        {"infer": "lm", "rank": "listwise", "threshold": 1.5},
        {"infer": "windows", "rank": "whole", "candidates": 3},
    ],
)
def test_losses_are_those_of_the_evaluation(make_labeler, corpus, gold, tmp_path, settings):
    """With and without a model, for every kind of Rank."""
    lm = ScriptedModel() if {"infer", "rank"} & set(settings) else "none"
    out = tmp_path / "runs.duckdb"
    make_labeler(lm, **settings).label_corpus([corpus], out, run="r")
    ledger = assert_agrees(out, gold, "r")
    assert ledger.top_k == settings.get("top_k", 3)
    assert len({(entry.document, entry.label) for entry in ledger.entries}) == len(ledger.entries)


def test_a_label_below_the_threshold_was_cut_and_one_below_the_top_was_ranked_low(make_labeler, corpus, gold, tmp_path):
    """One run without a threshold and one with a high one: what the first finds the second cuts."""
    out = tmp_path / "runs.duckdb"
    make_labeler(candidates=12, top_k=2).label_corpus([corpus], out, run="open")
    make_labeler(candidates=12, top_k=2, threshold=9.0).label_corpus([corpus], out, run="shut")
    first, second = (ledger_of_run(out, gold, run=run).counts for run in ("open", "shut"))
    assert first[Fate.found] == second[Fate.cut] > 0
    assert first[Fate.cut] == second[Fate.found] == 0
    assert first[Fate.ranked_low] == second[Fate.ranked_low] > 0


def test_failed_documents_and_unknown_gold_have_fates_of_their_own(make_labeler, corpus, tmp_path):
    """So that nothing is missing from the sum."""
    gold = corpus_of(tmp_path / "gold.jsonl", [[*labels, "walk on stilts"] for labels in GOLD])
    out = tmp_path / "runs.duckdb"
    make_labeler(ScriptedModel(troubles={"Guide": ModelRejected("no")})).label_corpus([corpus], out, run="r")
    ledger = assert_agrees(out, gold, "r")
    assert ledger.counts[Fate.outside] == len(TEXTS)
    assert ledger.counts[Fate.failed] == len(set(GOLD[6]))
    assert {entry.document for entry in ledger.entries if entry.fate is Fate.failed} == {"t6"}
    assert ledger.worst_labels(1)[0].name == "walk on stilts"


def test_the_nearest_phrase_is_one_that_was_asked(make_labeler, tmp_path):
    """The model's phrases for a program that asks it alone; windows of the text for one without."""
    path = write_jsonl(
        tmp_path / "one.jsonl",
        [
            {
                "id": "a",
                "text": "Sourdough breads are baked here.",
                "labels": ["bake sourdough bread", "keep honey bees"],
            }
        ],
    )
    gold = GoldCorpus.read([path])
    taxonomy = Taxonomy.from_labels([Label(f"L{n}", name) for n, name in enumerate(NAMES)])
    out = tmp_path / "runs.duckdb"
    make_labeler(taxonomy=taxonomy, candidates=1, top_k=1).label_corpus([path], out, run="windows")
    asking = ScriptedModel(phrases=lambda _: ["bread", "bee hives"])
    make_labeler(asking, infer="lm", taxonomy=taxonomy, candidates=1, top_k=1).label_corpus([path], out, run="lm")
    windows, phrases = (
        {entry.name: entry for entry in ledger_of_run(out, gold, run=run).entries} for run in ("windows", "lm")
    )
    assert windows["bake sourdough bread"].fate is Fate.found
    assert windows["keep honey bees"].fate is Fate.not_proposed
    assert windows["keep honey bees"].label == "L6"
    assert {entry.query for entry in phrases.values()} <= {"bread", "bee hives", ""}
    assert phrases["keep honey bees"].query == "bee hives"


def test_stretches_change_nothing(make_labeler, corpus, gold, tmp_path, monkeypatch):
    """Documents are looked up some at a time, for the sake of memory alone."""
    out = tmp_path / "runs.duckdb"
    make_labeler(candidates=3, top_k=1).label_corpus([corpus], out, run="r")
    whole = ledger_of_run(out, gold)
    monkeypatch.setattr("labelmill.pipelines.ledger._AT_ONCE", 3)
    assert ledger_of_run(out, gold) == whole


def test_documents_that_the_run_never_met_are_left_out(make_labeler, corpus, gold, tmp_path):
    """As the evaluation does; and a corpus of other documents is one line."""
    out = tmp_path / "runs.duckdb"
    make_labeler().label_corpus([corpus], out, run="r", limit=2)
    assert {entry.document for entry in assert_agrees(out, gold, "r").entries} == {"t0", "t1"}
    other = write_jsonl(tmp_path / "other.jsonl", [{"id": "x", "text": "y", "labels": [NAMES[0]]}])
    with pytest.raises(GoldError, match="none of the 1 documents with gold is in run 'r'"):
        ledger_of_run(out, GoldCorpus.read([other]))


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.models
def test_losses_are_those_of_the_evaluation_on_job_ads(make_labeler, shared_data, tmp_path, monkeypatch):
    """The validation split of TECH over all skills of ESCO."""
    monkeypatch.delenv("LABELMILL_CACHE")  # the vectors of ESCO are worth keeping
    if not status(ARTIFACTS["minilm"]).cached:
        pytest.skip("the artifact 'minilm' is not in the cache")
    docs, out = shared_data / "esco" / "docs-tech-val.jsonl.gz", tmp_path / "esco.duckdb"
    taxonomy = Taxonomy.read(shared_data / "esco" / "labels.jsonl.gz", where="kind = 'skill'")
    make_labeler(taxonomy=taxonomy, embedders=["minilm"], candidates=50, top_k=5).label_corpus([docs], out, run="r")
    ledger = assert_agrees(out, GoldCorpus.read([docs]), "r")
    assert len(ledger.entries) > 100
    assert ledger.ceilings["retrieved"] > ledger.ceilings["decided"]
