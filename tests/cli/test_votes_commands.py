"""``labelmill votes``: from functions and tables to a run that other commands take."""

from __future__ import annotations

import json

import pytest

from scripted import served, write_jsonl
from scripted_interviewee import Interviewee


@pytest.fixture
def votes(cli, recipes, tags, runs, tmp_path):
    """A file with the votes of names, of rules, and of a run."""
    rules, out = tmp_path / "rules.jsonl", tmp_path / "votes.duckdb"
    write_jsonl(
        rules, [{"label": "bread", "words": ["dough", "flour"]}, {"label": "soup", "words": ["broth", "stock"]}]
    )
    assert cli("votes", "apply", recipes, "-t", tags, "--rules", rules, "--aliases", "-o", out).code == 0
    assert cli("votes", "import", runs, "-o", out).code == 0
    return out


def test_votes_become_a_run_that_other_commands_take(cli, votes, recipes, tmp_path):
    """Combined, evaluated, compared, reported, exported; combined again under the same name."""
    for _ in range(2):
        made = cli("votes", "combine", votes, "--method", "dawid-skene", "--run", "soft", "--json")
        assert made.code == 0, made.err
        done = json.loads(made.out)
        assert done["run"] == "soft"
        assert {each["kind"] for each in done["voters"]} == {"aliases", "rules", "run"}
        assert done["selected"] > 0
    assert cli("votes", "combine", votes, "--method", "majority", "--run", "plain").code == 0
    evaluated = json.loads(cli("eval", votes, "--run", "soft", "--gold", recipes, "--json").out)
    assert evaluated["documents"] == 12
    assert "ece@10" in evaluated["metrics"]
    plain = json.loads(cli("eval", votes, "--run", "plain", "--gold", recipes, "--json").out)
    assert "ece@10" not in plain["metrics"]
    assert cli("compare", f"{votes}:plain", f"{votes}:soft", "--gold", recipes).code == 0
    page = tmp_path / "report.html"
    assert cli("report", votes, "--run", "soft", "--gold", recipes, "--out", page).code == 0
    assert "Combined by" in page.read_text(encoding="utf-8")
    rows = tmp_path / "rows.jsonl"
    assert cli("export", votes, "--run", "soft", "--to", rows).code == 0
    first = json.loads(rows.read_text(encoding="utf-8").splitlines()[0])
    assert 0 <= first["score"] <= 1
    assert cli("runs", votes).code == 0


def test_a_run_of_votes_has_those_who_voted_as_evidence(cli, votes):
    """So that the report can say why."""
    from labelmill.store import Store

    assert cli("votes", "combine", votes, "--run", "soft").code == 0
    with Store(votes) as store:
        lanes = store.connection.execute(
            "SELECT DISTINCT unnest(evidence).lane FROM predictions WHERE run = 'soft'"
        ).fetchall()
    assert {lane for (lane,) in lanes} >= {"aliases", "rules"}


def test_the_summary_says_who_is_right(cli, votes, recipes):
    """A table for people, JSON for programs."""
    shown = cli("votes", "summary", votes, "--gold", recipes)
    assert shown.code == 0
    assert "coverage, %" in shown.out
    found = json.loads(cli("votes", "summary", votes, "--gold", recipes, "--json").out)
    rules = next(each for each in found["voters"] if each["voter"] == "rules")
    assert rules["documents"] == 12
    assert 0 < rules["accuracy"] <= 1
    assert rules["judged"] == rules["votes"]


def test_a_table_of_votes_is_read(cli, tags, tmp_path):
    """Of several rows the first counts; a label that is not there is left out and told, with code 3."""
    table, out = tmp_path / "people.csv", tmp_path / "v.duckdb"
    table.write_text(
        "voter,document,label,vote,confidence\nann,a,bread,1,0.9\nann,a,Bread,-1,1\nbob,a,bread,-1,1\nbob,b,nowhere,1,1\n"
    )
    done = cli("votes", "import", table, "-t", tags, "-o", out)
    assert done.code == 3
    assert done.out.splitlines() == ["ann: 1 vote", "bob: 1 vote"]
    assert "Left out: 1 vote on 1 label that the taxonomy lacks" in done.err
    assert "'nowhere'" in done.err


def test_a_label_that_is_not_there_is_a_failure_of_who_named_it(cli, tags, tmp_path):
    """And of nobody else in the table; rows that repeat or contradict one before them are told by their lines."""
    table, out = tmp_path / "people.csv", tmp_path / "v.duckdb"
    table.write_text(
        "voter,document,label,vote\nann,a,bread,1\nann,a,bread,-1\nann,a,bread,1\nbob,b,nowhere,1\nbob,c,soup,1\n"
    )
    told = cli("votes", "import", table, "-t", tags, "-o", out, "--json")
    assert told.code == 3
    example = "line 3 of ann on a, 'bread', after line 2"
    assert json.loads(told.out)["repeated"] == {"same": 1, "against": 1, "example": example}
    assert f"Opposite to a row before, which counts: 1 row, for example {example}" in told.err
    failures = json.loads(cli("votes", "summary", out, "--json").out)["failures"]
    assert [(each["voter"], each["kind"], each["kept"]) for each in failures] == [("bob", "outside-taxonomy", 1)]
    table.write_text("voter,document,label\nann,a,bread\nann,a,Bread\n")
    again = cli("votes", "import", table, "-t", tags, "-o", out)
    assert (again.code, "Note: said once more: 1 row, for example" in again.err) == (0, True)


def test_voters_of_a_table_may_have_been_shown_more(cli, docs, tags, tmp_path):
    """Those that --docs names; a document that is voted on counts in any case."""
    table, out = tmp_path / "people.csv", tmp_path / "v.duckdb"
    table.write_text("voter,document,label\nann,a,bread\nann,elsewhere,bread\n")
    done = cli("votes", "import", table, "-t", tags, "-o", out, "--docs", docs)
    assert (done.code, "Note: not among --docs, and counted as shown, too: 1 document with votes" in done.err) == (
        0,
        True,
    )
    assert json.loads(cli("votes", "summary", out, "--json").out)["voters"][0]["documents"] == 3
    told = cli("votes", "import", table, "-t", tags, "-o", out, "--docs", docs, "--own-documents")
    assert (told.code, "Give one" in told.err) == (1, True)


def test_rows_that_cannot_be_read_are_named(cli, tags, tmp_path):
    """With their lines and reasons: of the corpus in a few lines, and in JSON; of a table in one."""
    corpus, table, out = tmp_path / "d.jsonl", tmp_path / "people.jsonl", tmp_path / "v.duckdb"
    corpus.write_text('{"id": "a", "text": "bread"}\n' + '{"id": "b", "text": ""}\n' * 7)
    told = cli("votes", "apply", corpus, "-t", tags, "--aliases", "-o", out, "--json")
    assert told.code == 3
    rows = json.loads(told.out)["unreadable_rows"]
    assert (len(rows), rows[0]) == (7, {"source": f"{corpus}:2", "kind": "empty-text", "message": "the text is empty"})
    assert f"  {corpus}:6: the id 'b' is that of an earlier document\n  … --json lists them." in told.err
    table.write_text('{"document": "a", "label": "bread"}\n{"document": "b" "label": "bread"}\n')
    told = cli("votes", "import", table, "-t", tags, "-o", out)
    assert (told.code, told.err) == (1, f"labelmill: {table}:2: the line is no JSON object. Mend the line.\n")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("document,label,vote\na,bread,1\na,bread,2\n", "people.csv:3: the vote is not 1 or -1: '2'"),
        ("document,label,confidence\na,bread,7\n", "people.csv:2: the confidence is not above 0 and at most 1: '7'"),
        ("document,label,confidence\na,bread,0\n", "people.csv:2: the confidence is not above 0 and at most 1: '0'"),
        (
            "document,label,rank\na,bread,first\n",
            "people.csv:2: the rank is no whole number from 1, or 0 for none: 'first'",
        ),
        ("document,label,rank\na,bread,1\na,soup,nan\n", "people.csv:3: the rank is no whole number"),
        ("document,label,rank\na,bread,1.5\n", "people.csv:2: the rank is no whole number"),
        ("document,label,rank\na,bread,99999999999\n", "people.csv:2: the rank is no whole number"),
        ("document,label\n,bread\n", "people.csv:2: the document is missing"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_its_line(cli, tags, tmp_path, rows, message):
    """And nothing is imported."""
    table = tmp_path / "people.csv"
    table.write_text(rows)
    done = cli("votes", "import", table, "-t", tags, "-o", tmp_path / "v.duckdb")
    assert done.code == 1
    assert message in done.err


@pytest.mark.parametrize("name", ["[red]ann[/red]", "bob[/]", ":smile:"])
def test_voters_may_be_called_what_looks_like_markup(cli, tags, tmp_path, name):
    """They are shown as they are called, in both tables."""
    table, out = tmp_path / "votes.jsonl", tmp_path / "v.duckdb"
    write_jsonl(table, [{"voter": name, "document": "a", "label": "bread"}])
    assert cli("votes", "import", table, "-t", tags, "-o", out).code == 0
    assert name in cli("votes", "summary", out).out
    assert name in cli("votes", "combine", out, "--method", "weighted").out


def test_documents_with_labels_are_a_voter(cli, recipes, tags, tmp_path):
    """Called after the file; against its own labels it is always right."""
    out = tmp_path / "v.duckdb"
    done = json.loads(cli("votes", "import", recipes, "-t", tags, "-o", out, "--voter", "ann", "--json").out)
    assert done["documents"] == 12
    found = json.loads(cli("votes", "summary", out, "--gold", recipes, "--json").out)
    assert found["voters"][0]["accuracy"] == 1


def test_exclusive_labels_get_one_label_each(cli, tags, tmp_path):
    """The best, whatever its probability."""
    table, out = tmp_path / "votes.jsonl", tmp_path / "v.duckdb"
    write_jsonl(
        table,
        [{"voter": v, "document": f"d{n}", "label": ("bread", "soup")[n % 2]} for v in "ab" for n in range(10)],
    )
    assert cli("votes", "import", table, "-t", tags, "-o", out).code == 0
    done = json.loads(cli("votes", "combine", out, "--exclusive", "--json").out)
    assert done["selected"] == 10


def test_what_cannot_be_combined_is_an_error_in_one_line(cli, runs, votes):
    """No votes; no such voter; a run that is made of votes as a voter."""
    for told, message in (
        (cli("votes", "combine", runs), "holds no votes"),
        (cli("votes", "combine", votes, "--voter", "nobody"), "has no voter 'nobody'"),
        (cli("votes", "summary", votes, "--voter", "nobody"), "has no voter 'nobody'"),
    ):
        assert told.code == 1
        assert message in told.err
        assert [line.startswith("labelmill: ") for line in told.err.splitlines()].count(True) == 1
    assert cli("votes", "combine", votes, "--run", "soft").code == 0
    again = cli("votes", "import", votes, "--run", "soft", "-o", votes)
    assert (again.code, "made of votes" in again.err) == (1, True)


def test_a_voter_is_taken_out(cli, votes, tmp_path):
    """With its votes; one that is not there, or a file that is not there, is an error that changes nothing."""
    told = cli("votes", "remove", votes, "--voter", "aliases", "--voter", "nobody")
    assert (told.code, "has no voter 'nobody'" in told.err) == (1, True)
    done = cli("votes", "remove", votes, "--voter", "aliases", "--json")
    assert done.code == 0
    assert json.loads(done.out)["removed"]["aliases"] > 0
    left = json.loads(cli("votes", "summary", votes, "--json").out)["voters"]
    assert "aliases" not in {each["voter"] for each in left}
    assert cli("votes", "remove", tmp_path / "none.duckdb", "--voter", "x").code == 1
    assert not (tmp_path / "none.duckdb").exists()


def test_a_command_that_fails_leaves_the_voters_as_they_were(cli, votes, recipes, tags, tmp_path):
    """Of an empty file, one without documents, one of other labels, one of another taxonomy, one run of two."""

    def voters():
        return json.loads(cli("votes", "summary", votes, "--json").out)["voters"]

    assert cli("votes", "import", recipes, "-t", tags, "--voter", "ann", "-o", votes).code == 0
    before = voters()
    empty, odd, strange = tmp_path / "empty.jsonl", tmp_path / "odd.jsonl", tmp_path / "strange.jsonl"
    empty.write_text("")
    odd.write_text('{"no": "document"}\n')
    write_jsonl(strange, [{"id": "a", "text": "x", "labels": ["nowhere"]}])
    other = tmp_path / "other.csv"
    other.write_text("id,name\nred,red\nblue,blue\n")
    for command, message in (
        (("import", empty, "-t", tags, "--voter", "ann"), "empty.jsonl"),
        (("import", odd, "-t", tags, "--voter", "ann"), "odd.jsonl"),
        (("import", strange, "-t", tags, "--voter", "ann"), "no vote is on a label of the taxonomy"),
        (("import", strange, "-t", tags, "--voter", "new"), "no vote is on a label of the taxonomy"),
        (("apply", empty, "-t", tags, "--aliases"), "empty.jsonl"),
        (("apply", odd, "-t", tags, "--aliases"), "odd.jsonl"),
        (("apply", recipes, "-t", other, "--aliases"), "votes on another taxonomy"),
        (("import", strange.with_name("none.duckdb")), "no such file"),
    ):
        told = cli("votes", *command, "-o", votes)
        assert (told.code, message in told.err) == (1, True), told.err
        assert voters() == before


def test_a_function_that_fails_ends_with_code_3(cli, docs, tags, tmp_path):
    """Its name, what happened and on how many documents, on standard error."""
    module = tmp_path / "lf.py"
    module.write_text(
        "from labelmill import labeling_function\n@labeling_function\ndef breaks(d): return 1 / 0\n"
        "@labeling_function\ndef works(d): return 'bread'\n"
    )
    done = cli("votes", "apply", docs, "-t", tags, "--functions", module, "-o", tmp_path / "v.duckdb", "--json")
    assert done.code == 3
    assert json.loads(done.out)["votes"] == {"works": 2}
    assert "breaks: raised on 2 documents, the first one a: ZeroDivisionError: division by zero" in done.err


def test_a_model_that_answers_questions_is_a_voter(cli, docs, tags, tmp_path):
    """Behind a server; the same command again asks nothing, and a file that names no label is told at once."""
    questions, out = tmp_path / "questions.toml", tmp_path / "v.duckdb"
    questions.write_text(
        '[[questions]]\nname = "course"\nquestion = "What is it?"\nanswers = ["baked", "soup", "other"]\n'
        '[questions.votes]\nbaked = "bread"\nsoup = "soup"\n'
    )
    model = Interviewee(lambda text, _: {"course": "soup" if "soup" in text else "baked"})
    with served(model) as url:
        command = ("votes", "apply", docs, "-t", tags, "--prompts", questions, "--lm", url, "-o", out)
        first, again = cli(*command, "--json"), cli(*command)
    assert first.code == again.code == 0, first.err
    assert json.loads(first.out) | {"seconds": 0, "out": ""} == {
        "out": "",
        "documents": 2,
        "unreadable": 0,
        "unreadable_rows": [],
        "votes": {"course": 2},
        "failures": [],
        "given_up": [],
        "requests": 2,
        "tokens": 24,
        "seconds": 0,
    }
    assert len(model.requests) == 2
    assert "course: 2 votes" in again.out
    questions.write_text(questions.read_text().replace('"bread"', '"brick"'))
    told = cli("votes", "apply", docs, "-t", tags, "--prompts", questions, "--lm", "embedded", "-o", out)
    assert (told.code, "'baked' votes on no label" in told.err) == (1, True)


def test_snorkel_is_for_exclusive_labels(cli, votes):
    """Else it is refused before it is looked for."""
    told = cli("votes", "combine", votes, "--method", "snorkel")
    assert told.code == 1
    assert "Give --exclusive if they have" in told.err


def test_eval_and_compare_say_which_gold_taught(cli, votes, recipes, tmp_path):
    """Votes combined with gold keep it: figures on these documents say nothing of others."""
    rows = [json.loads(line) for line in recipes.read_text(encoding="utf-8").splitlines()]
    half = write_jsonl(tmp_path / "half.jsonl", rows[:5])
    rest = write_jsonl(tmp_path / "rest.jsonl", rows[5:])
    assert cli("votes", "combine", votes, "--method", "dawid-skene", "--gold", half, "--run", "soft").code == 0
    assert cli("votes", "combine", votes, "--method", "majority", "--run", "plain").code == 0
    for gold, taught, words in ((half, 5, "all 5"), (recipes, 5, "5 of 12"), (rest, 0, "")):
        done = cli("eval", votes, "--run", "soft", "--gold", gold, "--json")
        assert json.loads(done.out)["documents_learned_from"] == taught
        assert (f"learned from {words} documents with gold" in done.err) is bool(taught)
        both = cli("compare", f"{votes}:plain", f"{votes}:soft", "--gold", gold, "--json", "--resamples", 20)
        told = json.loads(both.out)
        assert (told["documents_a_learned_from"], told["documents_b_learned_from"]) == (0, taught)
        assert (f"run 'soft' learned from {words}" in both.err) is bool(taught)
    assert "learned_from" not in cli("runs", votes, "--json").out


def test_the_ledger_of_votes_speaks_of_voters(cli, votes, recipes):
    """Nothing was asked with phrases, and no name of a label is near to one."""
    assert cli("votes", "combine", votes, "--method", "dawid-skene", "--run", "soft").code == 0
    shown = cli("eval", votes, "--run", "soft", "--gold", recipes, "--ledger", "--worst", 50).out
    assert "no voter put it forward" in shown
    assert "proposed: votes rank it" in shown
    assert "phrase" not in shown
    assert "retrieved at" not in shown


def test_an_import_that_is_stopped_changes_nothing_and_says_so(cli, tags, tmp_path, monkeypatch):
    """In the midst of a query too, which DuckDB then calls interrupted."""
    out, table = tmp_path / "votes.duckdb", tmp_path / "ann.csv"
    table.write_text("document,label\nd1,soup\nd2,bread\n", encoding="utf-8")
    assert cli("votes", "import", table, "-t", tags, "-o", out, "--voter", "ann").code == 0

    def interrupted(_incoming):
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr("labelmill.store.incoming.Incoming.documents", interrupted)
    table.write_text("document,label\nd1,bread\n", encoding="utf-8")
    done = cli("votes", "import", table, "-t", tags, "-o", out, "--voter", "ann")
    assert (done.code, done.out) == (130, "")
    assert f"Interrupted: the votes in {out} are as they were" in done.err
    told = json.loads(cli("votes", "summary", out, "--json").out)
    assert [(each["voter"], each["votes"]) for each in told["voters"]] == [("ann", 2)]
