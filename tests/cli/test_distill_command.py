"""`labelmill distill`, `--program STUDENT` and `--cascade`, as a shell sees them."""

from __future__ import annotations

import json

import pytest

from scripted import ScriptedModel, served, write_jsonl


@pytest.fixture
def corpus(recipes, tmp_path):
    """The recipes four times over, each with other words left out."""
    rows = [json.loads(line) for line in recipes.read_text("utf-8").splitlines()]
    many = [
        {"id": f"{row['id']}-{turn}", "text": " ".join(row["text"].split()[turn:]), "labels": row["labels"]}
        for turn in range(5)
        for row in rows
    ]
    return write_jsonl(tmp_path / "many.jsonl", many)


@pytest.fixture
def taught(cli, corpus, tags, tmp_path):
    """A file with a run of votes of the gold."""
    runs = tmp_path / "votes.duckdb"
    assert cli("votes", "import", corpus, "-t", tags, "--voter", "ann", "-o", runs).code == 0
    assert cli("votes", "combine", runs, "--method", "majority", "--run", "soft").code == 0
    return runs


@pytest.fixture
def distill(cli, taught, corpus, tmp_path):
    """Run `labelmill distill` on that run."""

    def run(*options):
        usual = {"--corpus": corpus, "--out": tmp_path / "student"}
        missing = [part for name, value in usual.items() if name not in options for part in (name, value)]
        return cli("distill", taught, *missing, *options)

    return run


def one_line(outcome):
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("labelmill: ")]
    return line


def test_distill_tells_what_the_student_is_worth(distill, tmp_path):
    """Figures on standard output, the next command on standard error."""
    done = distill()
    assert done.code == 0, done.err
    for said in (
        "Learned 62 labels from 60 documents of run soft",
        "labels' names count 0.3; 24 labels have no lesson but that",
        "linear, tfidf",
        "F1 with its teacher",
        "confidently wrong",
    ):
        assert said in done.out
    assert f"--program {tmp_path / 'student'}" in done.err
    assert sorted(each.name for each in (tmp_path / "student").iterdir()) == [
        "arrays.npz",
        "held.npz",
        "program.json",
        "student.json",
    ]


def test_the_next_command_works(distill, label, recipes, cli, tmp_path):
    """A student labels, is evaluated and exported as any program."""
    assert distill().code == 0
    done = label(recipes, "--program", tmp_path / "student", "--run", "s", "--embedder", "none")
    assert "embedders" in one_line(done)
    done = cli(
        "label", recipes, "-t", recipes.with_name("tags.csv"), "--program", tmp_path / "student",
        "-o", tmp_path / "runs.duckdb", "--run", "s", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["documents"] == 12
    assert "RP@5" in cli("eval", tmp_path / "runs.duckdb", "--run", "s", "--gold", recipes).out
    assert cli("export", tmp_path / "runs.duckdb", "--to", tmp_path / "labels.csv").code == 0
    ledger = cli("eval", tmp_path / "runs.duckdb", "--run", "s", "--gold", recipes, "--ledger").out
    assert "proposed: the student ranks it" in ledger
    assert "phrase" not in ledger
    assert "retrieved at" not in ledger


def test_json_is_all_there_is_on_standard_output(distill):
    """With gold, the figures are against it."""
    said = json.loads(distill("--json").out)
    assert said["documents"] == 60
    assert said["figures"]["judged_by"] == "teacher"


def test_gold_and_a_promise(distill, corpus):
    """A promise is kept against gold, and there is none without."""
    done = distill("--gold", corpus, "--promise", "precision>=0.3", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["figures"]["judged_by"] == "gold"
    assert "a promise needs gold" in one_line(distill("--promise", "precision>=0.3"))


def test_a_cascade_says_how_many_documents_go_on(distill, label, corpus, tmp_path):
    """Before and after, and in the dry run."""
    assert distill("--keep-noise", "--unweighted").code == 0
    with served(ScriptedModel()) as url:
        options = ["--student", tmp_path / "student", "--cascade", "agreement>=0.7", "--lm", f"scripted@{url}"]
        options += ["--rank", "listwise", "--run", "c"]
        dry = label(corpus, *options, "--dry-run", "--json")
        assert dry.code == 0, dry.err
        done = label(corpus, *options)
        assert done.code == 0, done.err
    by_student = json.loads(dry.out)["by_student"]
    assert by_student > 0
    assert "The student answers where it is" in done.err
    assert "The program is expected to be asked about" in done.err
    assert f"The student answered {by_student} documents; {60 - by_student} went on to the program." in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cascade", "f1"], "is no promise of a cascade"),
        (["--cascade", "agreement>=0.9"], "needs a student"),
        (["--student", "nowhere"], "this is no student"),
        (["--program", "."], "the program cannot be read"),
    ],
)
def test_wrong_use_is_one_line(options, said, label, recipes):
    """Which says what to do."""
    assert said in one_line(label(recipes, *options))


def test_a_corpus_of_other_documents_is_one_line(distill, recipes):
    """With how many were found."""
    assert "0 of the 60 documents of run 'soft' are in the corpus" in one_line(distill("--corpus", recipes))
