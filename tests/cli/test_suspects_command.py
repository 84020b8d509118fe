"""`labelmill eval --suspects`: a table, JSON, and a file for review."""

from __future__ import annotations

import csv
import json


def test_suspects_as_a_table_and_as_json(cli, runs, recipes):
    shown = cli("eval", runs, "--gold", recipes, "--suspects", 2)
    assert shown.code == 0
    assert "gold, probably wrong" in shown.out
    assert "not gold, probably missing" in shown.out
    assert "Note: The scores of this run are no probabilities." in shown.err
    found = json.loads(cli("eval", runs, "--gold", recipes, "--suspects", 2, "--json").out)
    assert len(found["missing"]) == 2
    assert found["missing"][0]["name"] in shown.out


def test_suspects_for_review(cli, runs, recipes, tmp_path):
    """One row each in JSONL and CSV, with room for a verdict."""
    rows = {}
    for suffix in ("jsonl", "csv"):
        out = tmp_path / f"review.{suffix}"
        done = cli("eval", runs, "--gold", recipes, "--suspects", 3, "--out", out)
        assert done.code == 0
        assert str(out) in done.err
        with out.open(encoding="utf-8", newline="") as file:
            rows[suffix] = list(csv.DictReader(file)) if suffix == "csv" else [json.loads(line) for line in file]
    assert [row["label"] for row in rows["csv"]] == [row["label"] for row in rows["jsonl"]]
    assert {row["verdict"] for row in rows["csv"]} == {""}
    assert rows["jsonl"][0]["kind"] in {"wrong", "missing"}


def test_a_file_that_cannot_be_written_is_one_line(cli, runs, recipes, tmp_path):
    for out, message in (
        (tmp_path / "x.xlsx", "unknown format '.xlsx'"),
        (tmp_path / "no" / "x.csv", "no such folder"),
    ):
        failed = cli("eval", runs, "--gold", recipes, "--suspects", 3, "--out", out)
        assert failed.code == 1
        assert message in failed.err


def test_a_file_is_written_with_suspects_only(cli, runs, recipes, tmp_path):
    """`--out` alone would be ignored silently."""
    failed = cli("eval", runs, "--gold", recipes, "--out", tmp_path / "x.csv")
    assert failed.code == 1
    assert "--suspects" in failed.err


def test_what_looks_like_markup_is_shown_as_it_is(label, cli, tmp_path, tags):
    """A text with brackets, long enough to be cut."""
    docs = tmp_path / "docs.jsonl"
    rows = [{"id": f"[red]{n}", "text": "[/bold] bread and soup " * 9, "labels": ["bread"]} for n in range(2)]
    docs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert label(docs).code == 0
    shown = cli("eval", tmp_path / "runs.duckdb", "--gold", docs, "--suspects", 2)
    assert shown.code == 0
    assert "[red]0" in shown.out


def test_verdicts_are_not_written_over(cli, runs, recipes, tmp_path):
    """A reviewer may have filled them in; --replace says that they may go, and gold stays in any case."""
    out = tmp_path / "review.csv"
    out.write_text("verdict\nright\n", encoding="utf-8")
    command = ["eval", runs, "--gold", recipes, "--suspects", 3, "--out"]
    refused = cli(*command, out)
    assert (refused.code, "--replace" in refused.err) == (1, True)
    assert out.read_text(encoding="utf-8") == "verdict\nright\n"
    assert cli(*command, out, "--replace").code == 0
    assert "verdict" in out.read_text(encoding="utf-8")
    gold = tmp_path / "gold.jsonl"
    gold.write_bytes(recipes.read_bytes())
    refused = cli("eval", runs, "--gold", gold, "--suspects", 3, "--out", gold, "--replace")
    assert (refused.code, "stays as it is" in refused.err) == (1, True)
    assert gold.read_bytes() == recipes.read_bytes()
