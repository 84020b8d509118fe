"""``labelmill next``: the table, the JSON, and the file that a person fills in."""

from __future__ import annotations

import json


def test_documents_to_label_are_written_with_suggestions(cli, runs, recipes, tmp_path):
    """Their texts come from where the run found them; a file that is there is not written over."""
    out = tmp_path / "to_label.jsonl"
    done = cli("next", runs, "-n", 3, "--out", out)
    assert done.code == 0, done.err
    assert "3 of 12 documents without gold" in done.out
    assert "no probabilities" in done.err
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    texts = {row["id"]: row["text"] for row in map(json.loads, recipes.read_text(encoding="utf-8").splitlines())}
    assert [row["text"] for row in rows] == [texts[row["id"]] for row in rows]
    assert all(row["labels"] is None and row["suggestions"] for row in rows)
    again = cli("next", runs, "-n", 3, "--out", out)
    assert again.code == 1
    assert "a person may have filled it in" in again.err


def test_the_json_says_why(cli, runs, recipes):
    """For every document each part, and the labels in doubt; with gold, other documents remain."""
    found = json.loads(cli("next", runs, "-n", 2, "--json").out)
    assert [set(each["parts"]) for each in found["documents"]] == [
        {"uncertainty", "disagreement", "tail", "diversity"}
    ] * 2
    assert all(each["doubtful"] for each in found["documents"])
    again = json.loads(cli("next", runs, "-n", 2, "--among", "gold", "--gold", recipes, "--json").out)
    assert all(each["labelled"] for each in again["documents"])
    assert (again["pool"], again["labelled"]) == (0, 12)


def test_what_cannot_be_is_one_line(cli, runs, recipes, tmp_path):
    """All documents labelled; an unknown run; a file of another kind."""
    for options, message in (
        (("--gold", recipes), "no document that could be chosen"),
        (("--run", "other"), "has no run 'other'"),
        (("--out", tmp_path / "x.csv"), "Use .jsonl"),
    ):
        told = cli("next", runs, *options)
        assert told.code == 1
        assert message in told.err


def test_a_reason_has_one_name(cli, runs, recipes, tmp_path):
    """On the screen, in the file and in the options; one document is told of in the singular."""
    out = tmp_path / "to_label.jsonl"
    shown = cli("next", runs, "-n", 1, "--docs", recipes, "--out", out)
    assert shown.code == 0, shown.err
    (row,) = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    assert f" {row['reason']} " in shown.out
    assert "Wrote 1 document to" in shown.err
