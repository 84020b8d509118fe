"""``labelmill taxonomy diff``: what a person sees of a change, and what a program does."""

from __future__ import annotations

import json

import pytest

from scripted import write_jsonl

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
