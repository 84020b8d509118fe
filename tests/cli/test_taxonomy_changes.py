"""``labelmill taxonomy diff``: what a person sees of a change, and what a program does."""

from __future__ import annotations

import json

import pytest

from scripted import ScriptedModel, served, write_jsonl

OLD = [
    {"id": "1", "name": "bread", "aliases": ["loaf"]},
    {"id": "2", "name": "pasta"},
    {"id": "3", "name": "noodles", "parents": ["2"]},
    {"id": "4", "name": "soup"},
]
NEW = [
    {"id": "1", "name": "bread and rolls", "aliases": ["loaf"]},
    {"id": "2", "name": "pasta", "aliases": ["noodles"]},
    {"id": "4", "name": "soup"},
    {"id": "5", "name": "cake"},
]


@pytest.fixture
def versions(tmp_path):
    """Two versions: a rename, a merge, an addition."""
    return write_jsonl(tmp_path / "old.jsonl", OLD), write_jsonl(tmp_path / "new.jsonl", NEW)


def test_a_person_is_told_what_changed(cli, versions):
    """Counts, then the labels of each kind; what is detected is not taken for true. Differences are no error."""
    shown = cli("taxonomy", "diff", *versions)
    assert (shown.code, shown.err) == (0, "")
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert lines[0].endswith("new.jsonl (4 labels)")
    assert {"added 1", "removed 1", "renamed 1", "of other aliases 1", "merged 0", "unchanged 1"} <= set(lines)
    assert "bread [1] -> bread and rolls" in lines
    assert "pasta [2]: +'noodles'" in lines
    assert "detected, and not taken (1): confirm by --accept-detected, or by --write-map and --map" in lines
    assert "noodles [3] -> pasta [2]: its name is now an alias of 'pasta'" in lines


def test_what_is_detected_can_be_taken(cli, versions):
    """Then it is a merge."""
    shown = cli("taxonomy", "diff", *versions, "--accept-detected")
    assert "pasta [2] + noodles [3] -> pasta [2]" in shown.out
    assert "not taken" not in shown.out


def test_what_is_detected_can_be_written_and_given_back(cli, versions, tmp_path):
    """The map says the same as taking it does."""
    first = cli("taxonomy", "diff", *versions, "--write-map", tmp_path / "map.csv")
    again = cli("taxonomy", "diff", *versions, "--write-map", tmp_path / "map.csv")
    assert (again.code, "say --replace" in again.err) == (1, True)
    own = cli("taxonomy", "diff", *versions, "--write-map", versions[1], "--replace")
    assert (own.code, "stays as it is" in own.err) == (1, True)
    assert first.code == 0
    assert "Wrote 1 that were detected" in first.err
    by_map = json.loads(cli("taxonomy", "diff", *versions, "--map", tmp_path / "map.csv", "--json").out)
    taken = json.loads(cli("taxonomy", "diff", *versions, "--accept-detected", "--json").out)
    assert by_map == taken
    assert by_map["merged"] == [
        {"id": "2", "name": "pasta", "from": [{"id": "2", "name": "pasta"}, {"id": "3", "name": "noodles"}]}
    ]
    assert by_map["counts"]["removed"] == 0


def test_long_lists_are_cut_and_json_has_all(cli, tmp_path):
    """Ten of a kind, or as many as asked for."""
    old = write_jsonl(tmp_path / "old.jsonl", [{"name": "x"}])
    new = write_jsonl(tmp_path / "new.jsonl", [{"name": f"label {n}"} for n in range(30)])
    assert "… 20 more" in cli("taxonomy", "diff", old, new).out
    assert "… 28 more" in cli("taxonomy", "diff", old, new, "--limit", 2).out
    assert len(json.loads(cli("taxonomy", "diff", old, new, "--json").out)["added"]) == 30


def test_errors_are_one_line(cli, versions, tmp_path):
    """A file that is not there, a map to nowhere; code 1."""
    shown = cli("taxonomy", "diff", versions[0], tmp_path / "no.jsonl")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.count("\n") == 1
    (tmp_path / "map.csv").write_text("old,new\n3,77\n")
    shown = cli("taxonomy", "diff", *versions, "--map", tmp_path / "map.csv")
    assert (shown.code, shown.out) == (1, "")
    assert "map.csv:2: the new taxonomy has no label of the id '77'" in shown.err


@pytest.fixture
def gold(tmp_path):
    """Three documents."""
    rows = [{"id": "a", "text": "x", "labels": ["noodles", "bread"]}, {"id": "b", "text": "y", "labels": ["3", "2"]}]
    return write_jsonl(tmp_path / "gold.jsonl", [*rows, {"id": "c", "text": "z", "labels": ["noodles"]}])


def test_gold_is_carried_over(cli, versions, gold, tmp_path):
    """By what is detected, if that is taken; the report says what was left out, and where it stands first."""
    out = tmp_path / "out.jsonl"
    shown = cli("taxonomy", "migrate", *versions, gold, "--out", out, "--accept-detected")
    assert (shown.code, shown.err) == (0, "")
    assert "3 documents" in shown.out
    assert "1 merged into one that was there" in shown.out
    labels = [json.loads(line)["labels"] for line in out.read_text().splitlines()]
    assert labels == [["pasta", "bread and rolls"], ["2"], ["pasta"]]
    for target, says in ((out, "say --replace"), (gold, "stays as it is"), (versions[1], "stays as it is")):
        before = target.read_bytes()
        refused = cli(
            "taxonomy", "migrate", *versions, gold, "--out", target, *(["--replace"] if target != out else [])
        )
        assert (refused.code, target.read_bytes()) == (1, before)
        assert says in refused.err
    shown = cli("taxonomy", "migrate", *versions, gold, "--out", out, "--replace")
    assert "Note: 1 label seeming gone" in shown.err
    assert f"noodles: 2 times, first in {gold}:1" in shown.out
    assert "1 document without any label left" in shown.out
    plain = json.loads(cli("taxonomy", "migrate", *versions, gold, "--out", out, "--replace", "--json").out)
    assert (plain["emptied"], [each["text"] for each in plain["removed"]]) == (1, ["noodles", "3"])


def test_a_run_is_carried_over(cli, label, versions, gold, tmp_path):
    """Into a run of the new version, which is evaluated and exported by it, while the old one is by its own."""
    runs, out = tmp_path / "runs.duckdb", tmp_path / "out.jsonl"
    assert label(gold, "--taxonomy", versions[0], "--run", "old").code == 0
    before = cli("export", runs, "--to", tmp_path / "before.csv"), (tmp_path / "before.csv").read_text()
    shown = cli("taxonomy", "migrate", *versions, runs, "--accept-detected", "--as", "new")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("Run new, of run old: 3 documents, 0 failed, ")
    listed = json.loads(cli("runs", runs, "--json").out)
    assert [(each["run"], each["state"]) for each in listed] == [("old", "finished"), ("new", "migrated")]
    assert cli("export", runs, "--to", tmp_path / "carried.jsonl").code == 0
    found = {
        row["label"]: row["name"] for row in map(json.loads, (tmp_path / "carried.jsonl").read_text().splitlines())
    }
    assert {each["id"]: each["name"] for each in NEW}.items() >= found.items()
    assert found["1"] == "bread and rolls"
    cli("taxonomy", "migrate", *versions, gold, "--out", out, "--accept-detected")
    evaluated = json.loads(cli("eval", runs, "--gold", out, "--json").out)
    assert (evaluated["run"], evaluated["labels_outside_taxonomy"]) == ("new", 0)
    old = json.loads(cli("eval", runs, "--gold", gold, "--run", "old", "--json").out)
    assert (old["run"], old["labels_outside_taxonomy"]) == ("old", 0)
    assert cli("export", runs, "--run", "old", "--to", tmp_path / "after.csv").code == before[0].code == 0
    assert (tmp_path / "after.csv").read_text() == before[1]
    assert "migrated" in cli("status", runs).out
    assert cli("report", runs, "--gold", out, "--out", tmp_path / "report.html").code == 0


def test_rows_that_cannot_be_read_end_with_3(cli, versions, gold, tmp_path):
    """They are copied and told, for a person and a program."""
    gold.write_text(gold.read_text() + "{\n")
    for options in ([], ["--json"]):
        shown = cli("taxonomy", "migrate", *versions, gold, "--out", tmp_path / "out.jsonl", "--replace", *options)
        assert shown.code == 3
    assert json.loads(shown.out)["unreadable"] == 1
    assert (tmp_path / "out.jsonl").read_text().endswith("{\n")


def test_a_program_is_told_by_name_what_became_of_predictions(cli, label, versions, gold, tmp_path):
    """How many were dropped, of which label, and how many became one with another."""
    runs = tmp_path / "runs.duckdb"
    assert label(gold, "--taxonomy", versions[0], "--run", "old", "--candidates", 4, "--top-k", 4).code == 0
    dropped = json.loads(cli("taxonomy", "migrate", *versions, runs, "--run", "old", "--as", "a", "--json").out)
    assert dropped["removed"] == {"3": {"predictions": 3, "selected": 3}}
    assert (dropped["predictions"], dropped["merged"]) == (9, 0)
    merged = "migrate", *versions, runs, "--run", "old", "--accept-detected"
    told = json.loads(cli("taxonomy", *merged, "--as", "b", "--json").out)
    assert (told["removed"], told["predictions"], told["merged"]) == ({}, 9, 3)
    assert "; 3 merged into one that was there" in cli("taxonomy", *merged, "--as", "b").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gold.jsonl"], "nothing says where to write to. Name a file with --out."),
        (["gold.jsonl", "--out", "out.jsonl", "--run", "x"], "--run and --as are for a DuckDB file"),
        (["runs.duckdb", "--out", "out.jsonl"], "--out is for gold"),
        (["no.duckdb"], "no.duckdb: no such file"),
        (["runs.duckdb"], "run 'old' was labelled with another version than"),
        (["runs.duckdb", "--run", "x"], "has no run 'x'. It has: old."),
    ],
)
def test_a_wrong_migration_is_said_in_one_line(cli, label, versions, gold, tmp_path, monkeypatch, arguments, said):
    """With code 1, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert label(gold, "--taxonomy", versions[1], "--run", "old").code == 0
    shown = cli("taxonomy", "migrate", *versions, *arguments)
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.splitlines()[-1].startswith("labelmill: ")
    assert said in shown.err.splitlines()[-1]
    assert [run["run"] for run in json.loads(cli("runs", "runs.duckdb", "--json").out)] == ["old"]


def test_a_dry_run_and_the_run_say_on_what_they_build(cli, label, versions, gold, tmp_path):
    """How many documents keep their candidates, and so need no model; to the number."""
    with served(ScriptedModel()) as url:
        model = ("--lm", url, "--infer", "windows", "--rank", "listwise", "--listed", 1)
        assert label(gold, "--taxonomy", versions[0], "--run", "old", *model).code == 0
        new = (gold, "--taxonomy", versions[1], "--run", "new", *model)
        foretold = json.loads(label(*new, "--dry-run", "--json").out)
        assert foretold["builds_on"]["run"] == "old"
        assert foretold["builds_on"]["documents"] == 3
        said = "uilds on run old, of an older version of the taxonomy (4 labels): "
        assert f"b{said}" in label(*new, "--dry-run").out
        done = json.loads(label(*new, "--json").out)
        assert done["builds_on"] == foretold["builds_on"]
        assert done["new_calls"] == foretold["calls"]
        assert f"B{said}" in label(*new).err
