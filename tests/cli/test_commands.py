"""What the commands do when all is well, and what they print where."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from labelmill.errors import ModelRejected
from scripted import ScriptedModel, served, write_jsonl


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_label_then_eval_then_export(label, cli, recipes, tmp_path):
    """The way through the README: people are told on standard error, results are on standard output."""
    out = tmp_path / "runs.duckdb"
    labelled = label(recipes)
    assert labelled.code == 0
    assert labelled.out == ""
    assert "12 documents, 0 failed" in labelled.err
    evaluated = cli("eval", out, "--gold", recipes, "-k", 5, "--resamples", 20)
    assert evaluated.code == 0
    assert "nDCG@5" in evaluated.out
    assert "Run windows-fusion-" in evaluated.out
    assert evaluated.err == ""
    exported = cli("export", out, "--to", tmp_path / "x.csv", "--selected")
    assert exported.code == 0
    rows = list(csv.DictReader(lines_of(tmp_path / "x.csv")))
    assert len(rows) == 12 * 5
    assert {row["document"] for row in rows} == {json.loads(line)["id"] for line in lines_of(recipes)}


def test_json_is_all_there_is_on_standard_output(label, cli, recipes, tags, runs, tmp_path):
    """For every command that has the option, so that a program can read it."""
    shown = [
        label(recipes, "--json"),
        label(recipes, "--json", "--out", tmp_path / "new.duckdb"),
        cli("eval", runs, "--gold", recipes, "--json", "--resamples", 20),
        cli("export", runs, "--to", tmp_path / "x.jsonl", "--json"),
        cli("runs", runs, "--json"),
        cli("runs", runs, "--failures", "--json"),
        cli("taxonomy", "check", tags, "--json"),
        cli("taxonomy", "show", tags, "soup", "--json"),
        cli("models", "list", "--json"),
    ]
    values = [json.loads(outcome.out) for outcome in shown]
    assert [outcome.code for outcome in shown] == [0] * len(shown)
    assert (values[0]["documents"], values[0]["skipped"], values[1]["skipped"]) == (12, 12, 0)
    assert values[2]["documents"] == 12
    assert values[3]["rows"] == len(lines_of(tmp_path / "x.jsonl"))
    assert values[4][0]["state"] == "finished"
    assert values[5] == []
    assert values[7][0]["name"] == "soup"


def test_failed_documents_end_with_code_3_and_a_list(label, cli, tmp_path):
    """The run is finished; what failed, why and where is one command away, and can be tried again."""
    texts = {"good": "Bake bread.", "empty": " ", "long": "A violin in the soup.", "good-2": "Boil eggs."}
    path = write_jsonl(tmp_path / "docs.jsonl", [{"id": key, "text": text} for key, text in texts.items()])
    model = ScriptedModel(troubles={"violin": ModelRejected("too long for this model")})
    with served(model) as url:
        options = ["--lm", url, "--run", "r"]
        first = label(path, *options)
        assert first.code == 3
        assert "2 documents, 2 failed" in first.err
        listed = cli("runs", tmp_path / "runs.duckdb", "--failures")
        assert listed.code == 0
        lines = [line.split("\t") for line in listed.out.splitlines()]
        assert [line[:3] for line in lines] == [["empty", "read", "empty-text"], ["long", "infer", "rejected"]]
        assert "too long for this model" in lines[1][3]
        assert lines[1][4] == f"{path}:3"
        model.troubles.clear()
        asked = len(model.requests)
        assert label(path, *options).code == 3
        assert len(model.requests) == asked
        again = label(path, *options, "--retry-failed", "--json")
        assert again.code == 3
        assert (json.loads(again.out)["documents"], json.loads(again.out)["failures"]) == (3, 1)


def test_a_model_behind_a_server_takes_part(label, docs):
    """Named with the URL, or found at the URL; the summary tells the cost."""
    with served(ScriptedModel(model="org/name-1b")) as url:
        found = label(docs, "--lm", url, "--rank", "listwise")
        assert found.code == 0, found.err
        assert "4 questions asked now; 48 tokens in 4 requests in all" in found.err
        named = label(docs, "--lm", f"org/name-1b@{url}", "--rank", "listwise", "--json")
        assert json.loads(named.out)["skipped"] == 2


def test_documents_can_come_from_standard_input(label, docs, monkeypatch):
    """JSON Lines on `-`."""
    with docs.open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert "2 documents, 0 failed" in label("-", "--run", "piped").err


def test_standard_input_needs_a_name_for_its_run(label):
    """It has no path to make one from, and another pipe must not pass for the same corpus."""
    outcome = label("-")
    assert outcome.code == 1
    assert "Give the run one with --run." in outcome.err.splitlines()[-1]


def test_fields_can_have_other_names(label, cli, tmp_path):
    """In the corpus, and in the gold."""
    path = tmp_path / "docs.csv"
    path.write_text("nr,body,tags\n1,Bake bread,bread\n2,Boil soup,soup\n", encoding="utf-8")
    fields = ["--id-field", "nr", "--text-field", "body", "--labels-field", "tags"]
    assert label(path, *fields).code == 0
    shown = cli("eval", tmp_path / "runs.duckdb", "--gold", path, *fields, "--json", "--resamples", 20)
    assert json.loads(shown.out)["documents"] == 2


def test_labels_can_be_restricted(label, cli, tags, docs, tmp_path):
    """Only what the condition keeps is predicted, and stored as the run's taxonomy."""
    kept = "name LIKE '%soup%' OR name LIKE '%bread%'"
    assert label(docs, "--labels-where", kept).code == 0
    cli("export", tmp_path / "runs.duckdb", "--to", tmp_path / "x.jsonl")
    names = {json.loads(line)["name"] for line in lines_of(tmp_path / "x.jsonl")}
    assert names
    assert all("soup" in name or "bread" in name for name in names)


def test_runs_shows_what_each_run_cost(cli, label, runs, recipes):
    """A line a run, the oldest first."""
    assert label(recipes, "--top-k", 2).code == 0
    shown = cli("runs", runs)
    assert shown.out.count("windows-fusion-") == 2
    assert shown.out.count("finished") == 2


def test_a_taxonomy_can_be_looked_into(cli, tags):
    """By a word of a name, with aliases, path and description."""
    shown = cli("taxonomy", "show", tags, "starter").out
    assert shown.splitlines()[0] == "starter  [starter]"
    assert "  also: appetiser; first course" in shown
    assert "  in: course" in shown
    checked = cli("taxonomy", "check", tags)
    assert checked.code == 0
    assert "62 labels, 0 errors, 0 warnings" in checked.out


def test_models_are_listed(cli):
    """Every embedder by the name that --embedder takes."""
    shown = cli("models", "list")
    assert shown.code == 0
    assert "minilm" in shown.out


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_export_replaces_a_file_where_it_may(cli, runs, tmp_path, suffix):
    """What is there may be somebody's work; with --replace the same command gives the same file."""
    target = tmp_path / f"x.{suffix}"
    cli("export", runs, "--to", target)
    first = target.read_bytes()
    refused = cli("export", runs, "--to", target)
    assert (refused.code, "--replace" in refused.err) == (1, True)
    assert cli("export", runs, "--to", target, "--replace").code == 0
    assert target.read_bytes() == first
