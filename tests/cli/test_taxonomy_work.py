"""`labelmill taxonomy show --tree`, `gaps`, and the hierarchy in `label`, `export` and `eval`, as a shell sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labelmill.taxonomy import Taxonomy
from scripted import write_jsonl


@pytest.fixture
def food(tmp_path: Path) -> Path:
    rows = [
        {"id": "f", "name": "food", "kind": "group"},
        {"id": "b", "name": "bread", "parents": ["f"], "kind": "group"},
        {"id": "r", "name": "rye bread", "parents": ["b"], "kind": "item"},
        {"id": "s", "name": "lentil soup", "parents": ["f", "c"], "kind": "item"},
        {"id": "c", "name": "camping", "kind": "group"},
        {"id": "d", "name": "cooking stove", "parents": ["c"], "kind": "item"},
    ]
    return write_jsonl(tmp_path / "food.jsonl", rows)


def test_a_tree(cli, food):
    """Each label under each of its parents, drawn in full once."""
    shown = cli("taxonomy", "show", food, "--tree")
    assert shown.code == 0
    assert shown.out.splitlines() == [
        "food  [f]",
        "  bread  [b]",
        "    rye bread  [r]",
        "  lentil soup  [s]",
        "camping  [c]",
        "  lentil soup  [s]  ↑ drawn under food",
        "  cooking stove  [d]",
    ]


def test_a_tree_that_is_bounded_says_what_is_left_out(cli, food):
    """By depth, by the number of lines, by branch."""
    assert cli("taxonomy", "show", food, "--tree", "--depth", 1).out.splitlines() == [
        "food  [f]  (3 below)",
        "camping  [c]  (2 below)",
    ]
    assert cli("taxonomy", "show", food, "--tree", "-k", 3).out.splitlines() == [
        "food  [f]",
        "  bread  [b]  (1 below)",
        "  … 1 more",
        "camping  [c]  (2 below)",
    ]
    branch = cli("taxonomy", "show", food, "--tree", "--under", "bread", "--under", "d")
    assert branch.out.splitlines() == ["bread  [b]", "  rye bread  [r]", "cooking stove  [d]"]
    found = json.loads(cli("taxonomy", "show", food, "--tree", "--under", "c", "--json").out)
    assert [(twig["level"], twig["id"]) for twig in found] == [(0, "c"), (1, "s"), (1, "d")]


def test_a_search_stays_in_its_branch(cli, food):
    assert "rye bread" in cli("taxonomy", "show", food, "bread", "--under", "food").out
    assert "rye bread" not in cli("taxonomy", "show", food, "bread", "--under", "camping").out


def test_a_check_of_a_branch(cli, food, tmp_path):
    """Warnings of the branch alone, errors always."""
    food.write_text(food.read_text() + '{"id": "x", "name": "Rye Bread", "parents": ["gone"]}\n')
    whole = cli("taxonomy", "check", food)
    branch = cli("taxonomy", "check", food, "--under", "camping")
    assert "2 warnings" in whole.out
    assert branch.out.endswith("3 labels, 0 errors, 0 warnings\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "Give a QUERY or --tree"),
        (["x", "--tree"], "Give a QUERY or --tree"),
        (["x", "--depth", 2], "--depth is for a tree"),
        (["--tree", "--under", "wine"], "no label has the id or the name 'wine'"),
    ],
)
def test_options_that_do_not_go_together(cli, food, options, says):
    failed = cli("taxonomy", "show", food, *options)
    assert failed.code == 1
    assert says in failed.err
    assert failed.err.count("\n") == 1


def test_labelling_under_a_branch_and_seeing_it_from_higher_up(label, cli, food, tmp_path):
    """Labels of the branch alone are given, without ancestors; export and eval know the whole taxonomy."""
    rows = [{"id": "a", "text": "A rye bread with lentil soup.", "labels": ["r", "s"]}]
    docs = write_jsonl(tmp_path / "food-docs.jsonl", rows)
    done = label(docs, "--taxonomy", food, "--under", "food", "--no-ancestors", "--candidates", 4, "--top-k", 4)
    assert done.code == 0
    runs, out = tmp_path / "runs.duckdb", tmp_path / "out.jsonl"
    assert cli("export", runs, "--to", out).code == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["label"] for row in found} <= {"f", "b", "r", "s"}
    assert {row["label"] for row in found if row["selected"]} == {"r", "s"}
    assert cli("export", runs, "--to", out, "--replace", "--depth", 1, "--taxonomy", food).code == 0
    tops = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["label"] for row in tops} == {"f", "c"}
    whole = "--taxonomy", food
    above = json.loads(cli("eval", runs, "--gold", docs, "--depth", 1, *whole, "--json").out)
    assert above["metrics"]["micro_f1"]["value"] == 1.0
    assert cli("eval", runs, "--gold", docs, "--ancestors", *whole).code == 0
    for options in (["--depth", 1, "--ledger"], whole):
        assert cli("eval", runs, "--gold", docs, *options).code == 1
    assert "parents that the run left out" in cli("eval", runs, "--gold", docs, "--depth", 1).err


def test_a_dry_run_and_a_plan_take_a_branch(label, cli, food, tmp_path):
    docs = write_jsonl(tmp_path / "two.jsonl", [{"id": n, "text": "A rye bread."} for n in "ab"])
    assert label(docs, "--taxonomy", food, "--under", "food", "--candidates", 2, "--top-k", 2, "--dry-run").code == 0
    shared = ["--embedder", "wordllama", "--candidates", 2, "--top-k", 2, "--pilot", 2]
    assert cli("plan", docs, "--taxonomy", food, "--under", "bread", *shared).code == 0
    failed = label(docs, "--taxonomy", food, "--under", "bred")
    assert failed.code == 1
    assert "Did you mean 'bread'?" in failed.err


SAID = ["We sharpen kitchen knives.", "He sharpens kitchen knives well.", "Sharpen kitchen knives on Monday."]


@pytest.fixture
def knives(label, food, tmp_path) -> tuple[Path, Path]:
    """A run over documents about knives, which no label is about; and the documents."""
    docs = write_jsonl(tmp_path / "knives.jsonl", [{"id": f"k{n}", "text": text} for n, text in enumerate(SAID)])
    assert label(docs, "--taxonomy", food, "--labels-where", "kind = 'item'", "--candidates", 3, "--top-k", 2).code == 0
    return tmp_path / "runs.duckdb", docs


def test_gaps_are_proposed_edited_and_accepted(cli, knives, food, tmp_path):
    """A table, a file for review; nothing is accepted before somebody says so; then a valid next version."""
    runs, docs = knives
    out, new = tmp_path / "proposals.jsonl", tmp_path / "next.jsonl"
    found = cli("taxonomy", "gaps", runs, "--docs", docs, "--taxonomy", food, "--out", out)
    assert found.code == 0, found.err
    assert "kitchen knives" in found.out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["accept"] for row in rows} == {False}
    assert rows[0]["documents"] >= 2
    refused = cli("taxonomy", "gaps", runs, "--taxonomy", food, "--accept", out, "--new-taxonomy", new)
    assert refused.code == 1
    assert "no proposal is accepted" in refused.err
    assert not new.exists()
    knives_row = next(row for row in rows if "knives" in row["name"])
    write_jsonl(
        out,
        [
            knives_row
            | {"accept": True, "name": "knife sharpening", "id": "k-9", "kind": "new", "label": "", "parents": ["c"]}
        ],
    )
    done = cli("taxonomy", "gaps", runs, "--taxonomy", food, "--accept", out, "--new-taxonomy", new)
    assert done.code == 0, done.err
    taxonomy = Taxonomy.read(new)
    added = taxonomy[taxonomy.resolve("knife sharpening")]
    assert (added.id, added.parents) == ("k-9", ("c",))
    assert knives_row["name"] in added.aliases
    assert len(taxonomy) == 7
    assert cli("taxonomy", "check", new).code == 0


def test_what_a_person_may_have_edited_is_not_written_over(cli, knives, food, tmp_path):
    """Not unless it is said, and what is read is never; before anything is looked for."""
    runs, docs = knives
    reviewed = tmp_path / "proposals.jsonl"
    reviewed.write_text("mine", "utf-8")
    command = "taxonomy", "gaps", runs, "--docs", docs, "--taxonomy", food
    refused = cli(*command, "--out", reviewed)
    assert (refused.code, reviewed.read_text("utf-8")) == (1, "mine")
    assert "say --replace" in refused.err
    before = food.read_bytes()
    for target in (food, docs, runs):
        failed = cli(*command, "--accept-all", "--new-taxonomy", target, "--replace")
        assert failed.code == 1
    assert food.read_bytes() == before
    assert cli(*command, "--out", reviewed, "--replace").code == 0
    assert json.loads(reviewed.read_text("utf-8").splitlines()[0])["kind"]


def test_accepting_all_at_once(cli, knives, food, tmp_path):
    """Of the whole file, with the fields of its labels; JSON for programs."""
    runs, docs = knives
    new = tmp_path / "next.jsonl.gz"
    command = "taxonomy", "gaps", runs, "--docs", docs, "--accept-all", "--new-taxonomy", new
    assert "Give the taxonomy's file with --taxonomy" in cli(*command).err
    done = cli(*command, "--taxonomy", food, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["proposals"]
    assert found["far"] <= found["looked_at"] <= found["phrases"]
    assert cli("taxonomy", "check", new).code == 0
    assert len(Taxonomy.read(new)) > 3


def test_interrupted_gaps_say_what_to_do(cli, knives, monkeypatch):
    def interrupted(*_args, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("labelmill.pipelines.gaps.gaps_of_run", interrupted)
    shown = cli("taxonomy", "gaps", knives[0], "--docs", knives[1])
    assert (shown.code, shown.out) == (130, "")
    assert "Interrupted: nothing is written. Run the same command again" in shown.err


def test_parents_that_no_model_is_shown_are_told(label, food, tmp_path):
    """A setting without effect is a note."""
    docs = write_jsonl(tmp_path / "one.jsonl", [{"id": "a", "text": "A rye bread."}])
    shared = "--taxonomy", food, "--candidates", 2, "--top-k", 2, "--dry-run"
    assert "Note: showing parents has no effect" in label(docs, *shared, "--show-parents", 2).err
    assert "has no effect" not in label(docs, *shared, "--show-parents", 0).err


def test_a_check_counts_in_words(cli, tmp_path):
    one = write_jsonl(tmp_path / "one.jsonl", [{"name": "x", "parents": ["gone"]}])
    assert cli("taxonomy", "check", one).out.endswith(": 1 label, 0 errors, 1 warning\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--accept-all"], "Give both"),
        (["--new-taxonomy", "x.jsonl"], "Give both"),
        (["--accept", "p", "--accept-all", "--new-taxonomy", "x.jsonl"], "Give one of them"),
        (["--accept-all", "--new-taxonomy", "x.csv"], "written as JSONL"),
        (["--out", "no/such/p.jsonl"], "no such folder"),
        (["--accept", "absent.jsonl", "--new-taxonomy", "x.jsonl"], "Give the taxonomy's file"),
        (["--out", "p.csv"], "p.csv: proposals are written as JSONL. Name it .jsonl."),
        (["--docs", "wrong.jsonl"], "wrong.jsonl: none of these documents can be read and is in the run (1 documents"),
        ([], "no language model proposed phrases"),
        (["--under", "food"], "Give it with --taxonomy"),
    ],
)
def test_gaps_asked_for_wrongly_are_one_line(cli, knives, monkeypatch, tmp_path, options, says):
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "wrong.jsonl", [{"id": "elsewhere", "text": "Sharpen kitchen knives."}])
    failed = cli("taxonomy", "gaps", knives[0], *options)
    assert failed.code == 1
    assert says in failed.err
    assert failed.err.splitlines()[-1].startswith("labelmill: ")
