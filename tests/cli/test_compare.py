"""``labelmill compare`` and ``labelmill eval --ledger``: what a person and a program see of them."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def two(label, recipes, tmp_path):
    """A file with two runs."""
    assert label(recipes, "--run", "plain").code == 0
    assert label(recipes, "--run", "a:b", "--top-k", 2).code == 0
    return tmp_path / "runs.duckdb"


def test_two_runs_of_a_file_are_compared(cli, two, recipes):
    """A run's name may hold a colon; results are on standard output."""
    shown = cli("compare", f"{two}:plain", f"{two}:a:b", "--gold", recipes, "--resamples", 50)
    assert shown.code == 0, shown.err
    assert shown.err == ""
    assert shown.out.splitlines()[:2] == [f"A: run plain of {two}", f"B: run a:b of {two}"]
    assert "micro F1" in shown.out
    assert "Final sets that changed: 12 of 12" in shown.out
    assert "labels lost most often in B" in shown.out
    assert "labels gained most often in B" not in shown.out


def test_json_holds_the_whole_comparison(cli, two, recipes):
    """As many labels and documents as are asked for; without a run the newest is taken."""
    options = ["--gold", recipes, "--resamples", 50, "-k", 3, "--most", 2, "--json"]
    shown = cli("compare", f"{two}:plain", two, *options)
    result = json.loads(shown.out)
    assert (result["a"]["run"], result["b"]["run"]) == ("plain", "a:b")
    assert set(result["metrics"]["rp@3"]) == {"a", "b", "difference", "low", "high", "p_value"}
    assert result["documents"] == result["documents_changed"] == 12
    assert len(result["most_changed"]) == len(result["labels_changed"]["lost"]) == 2


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("{two}", "{two}:a:b", "cannot be compared with itself. Name two runs as FILE:RUN"),
        ("{two}", "{two}:other", "has no run 'other'. It has: plain, a:b."),
        ("{two}", "nosuch.duckdb:x", "nosuch.duckdb: no such file"),
        ("{two}", "nosuch.duckdb", "nosuch.duckdb: no such file"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_code_1(cli, two, recipes, a, b, message):
    """With what to do."""
    shown = cli("compare", a.format(two=two), b.format(two=two), "--gold", recipes)
    assert shown.code == 1
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert message in line


def test_the_ledger_says_where_gold_labels_were_lost(cli, runs, recipes):
    """Behind the metrics; its losses and what was found are all gold labels."""
    shown = cli("eval", runs, "--gold", recipes, "--ledger", "--worst", 1, "--resamples", 20)
    assert shown.code == 0, shown.err
    assert "micro F1" in shown.out
    assert "ranked too low" in shown.out
    assert "documents that lost most labels" in shown.out
    plain = json.loads(cli("eval", runs, "--gold", recipes, "--ledger", "--worst", 1, "--json", "--resamples", 20).out)
    ledger = plain["ledger"]
    gold = sum(len(json.loads(line)["labels"]) for line in recipes.read_text(encoding="utf-8").splitlines())
    assert sum(ledger["fates"].values()) == ledger["lost"] + ledger["found"] == gold
    assert ledger["found"] / gold == pytest.approx(plain["metrics"]["micro_recall"]["value"])
    assert len(ledger["worst_labels"]) == len(ledger["worst_documents"]) == 1


def test_without_the_option_there_is_no_ledger(cli, runs, recipes):
    """It costs time, and says nothing that the metrics need."""
    assert "ledger" not in json.loads(cli("eval", runs, "--gold", recipes, "--json", "--resamples", 20).out)


def test_gold_may_come_from_standard_input(cli, runs, recipes, monkeypatch):
    """It is read once for metrics and ledger."""
    with recipes.open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        shown = cli("eval", runs, "--gold", "-", "--ledger", "--json", "--resamples", 20)
    assert shown.code == 0, shown.err
    assert json.loads(shown.out)["ledger"]["found"] > 0
