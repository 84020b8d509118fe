"""Whatever a user gets wrong: one line on standard error that says what, where and what to do, and code 1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from scripted import ScriptedModel, served, write_jsonl


def complaint(outcome, *words: str) -> str:
    """Check the form of an error, and that it names what it should; return its line."""
    assert outcome.code == 1, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    notes = ("No language model", "Run ", "labelled ", "aliases.", "names.", "descriptions.", "Note: ")
    lines = [line for line in outcome.err.splitlines() if not line.startswith(notes)]
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("labelmill: ")
    assert len(lines[0]) < 400
    for word in words:
        assert word in lines[0], lines[0]
    return lines[0]


@pytest.fixture
def write(tmp_path: Path):
    """Write a file, and give its path."""

    def put(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.jsonl", None, ["absent.jsonl", "Check the path"]),
        ("empty.jsonl", "", ["empty.jsonl", "no documents"]),
        ("notes.docx", "x", ["notes.docx", ".jsonl", ".csv"]),
        ("body.jsonl", '{"id": "a", "body": "x"}\n', ["body.jsonl", "'text'", "'body'", "--text-field"]),
        ("body.csv", "id,body\na,x\n", ["body.csv", "'text'", "--text-field"]),
        ("damaged.parquet", b"PAR1 and then nonsense", ["damaged.parquet"]),
        ("damaged.jsonl.gz", b"\x1f\x8b and then nonsense", ["damaged.jsonl.gz"]),
    ],
)
def test_a_corpus_that_cannot_be_read(label, write, tmp_path, name, content, words):
    """The file, and what would make it right."""
    if content is not None:
        write(name, content)
    complaint(label(tmp_path / name), *words)


def test_a_corpus_that_is_named_twice(cli, tags, docs, tmp_path):
    """Which would give every id twice."""
    complaint(cli("label", docs, docs, "--taxonomy", tags, "--out", tmp_path / "r.duckdb"), "docs.jsonl", "twice")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.csv", None, ["absent.csv"]),
        ("empty.csv", "", ["empty.csv"]),
        ("cycle.csv", "id,name,parents\na,Ale,b\nb,Beer,a\n", ["cycle.csv", "cycle"]),
        ("twice.csv", "id,name\na,Ale\na,Beer\n", ["twice.csv:3", "'a'"]),
        ("nameless.csv", "id,colour\na,red\n", ["nameless.csv", "name"]),
        ("broken.jsonl", '{"id": "a", "name": "Ale"}\n{"id": \n', ["broken.jsonl:2"]),
        ("labels.xlsx", "x", ["labels.xlsx"]),
    ],
)
def test_a_taxonomy_that_cannot_be_used(label, write, docs, tmp_path, name, content, words):
    """The file, the line where there is one."""
    if content is not None:
        write(name, content)
    complaint(label(docs, "--taxonomy", tmp_path / name), *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--labels-where", "nme = 'soup'"], ["nme"]),
        (["--labels-where", "name = 'nothing at all'"], ["name = 'nothing at all'"]),
        (["--labels-where", "name ="], ["name ="]),
        (["--lm", "gpt-4"], ["unknown language model 'gpt-4'", "MODEL@"]),
        (["--lm", "@http://127.0.0.1:1/v1"], ["no model name"]),
        (["--lm", "m@http://user:secret@127.0.0.1:1/v1"], ["OPENAI_API_KEY"]),
        (["--infer", "lm"], ["infer='lm'", "language model"]),
        (["--rank", "listwise"], ["rank='listwise'", "language model"]),
        (["--embedder", "nosuch"], ["nosuch", "minilm"]),
        (["--task", "nosuch.toml"], ["nosuch.toml"]),
        (["--out", "nosuch/folder/runs.duckdb"], ["nosuch/folder"]),
    ],
)
def test_an_option_that_cannot_be_followed(label, docs, options, words):
    """What was given, and what could be."""
    line = complaint(label(docs, *options), *words)
    assert "secret" not in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('document = "a recipe"\nlabel = \n', ["card.toml", "line 2"]),
        ('dokument = "a recipe"\n', ["card.toml", "'dokument'", "A card has document, label"]),
        ('[[examples]]\ntext = "x"\n', ["card.toml", "examples.0.phrases"]),
        (b'document = "\xff"\n', ["card.toml"]),
    ],
)
def test_a_task_card_that_cannot_be_used(label, docs, write, content, words):
    """The field, or the line."""
    complaint(label(docs, "--task", write("card.toml", content)), *words)


def test_a_server_that_is_not_there(label, docs):
    """Asked for its model at once, before anything slow; no key, no traceback."""
    complaint(label(docs, "--lm", "http://127.0.0.1:9/v1"), "http://127.0.0.1:9/v1", "Check that the server runs")


def test_a_model_that_the_server_does_not_have(label, docs):
    """With those that it has."""
    with served(ScriptedModel()) as url:
        complaint(label(docs, "--lm", f"other@{url}"), "'other'", "scripted")


def test_a_file_that_is_no_database(label, cli, docs, recipes, write):
    """Whatever command meets it; the file is left as it was."""
    path = write("runs.duckdb", "my dissertation\n" * 1000)
    before = path.read_bytes()
    for outcome in (
        label(docs),
        cli("eval", path, "--gold", recipes),
        cli("runs", path),
        cli("export", path, "--to", "x.csv"),
    ):
        complaint(outcome, "runs.duckdb", "not a DuckDB file")
    assert path.read_bytes() == before


def test_a_database_of_somebody_else(label, cli, docs, tmp_path):
    """Its tables are not added to."""
    path = tmp_path / "runs.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE about (schema_version INTEGER, mine VARCHAR)")
        connection.execute("CREATE TABLE letters AS SELECT 1 AS x")
    complaint(cli("runs", path), "runs.duckdb")
    complaint(label(docs), "runs.duckdb")
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(2,)]


def test_a_database_that_another_process_has_open(label, cli, docs, runs):
    """It is named by its process id."""
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(runs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        complaint(label(docs), "runs.duckdb", f"process {holder.pid}", "Wait")
        complaint(cli("runs", runs), "runs.duckdb", f"process {holder.pid}")
        holder.stdin.close()
    assert cli("runs", runs).code == 0


def test_a_database_that_is_not_there(cli, recipes, tmp_path):
    """With the command that makes one."""
    path = tmp_path / "nosuch.duckdb"
    for outcome in (
        cli("eval", path, "--gold", recipes),
        cli("runs", path),
        cli("export", path, "--to", tmp_path / "x.csv"),
    ):
        complaint(outcome, "nosuch.duckdb", "labelmill label")
    assert not path.exists()


def test_a_run_of_another_program_under_the_same_name(label, docs):
    """Rows of two programs are not mixed."""
    assert label(docs, "--run", "r").code == 0
    complaint(label(docs, "--run", "r", "--top-k", 2), "'r'", "--run")


def test_an_export_that_cannot_be_written(cli, runs, tmp_path):
    """An unknown format, a folder that is not there, an unknown run."""
    complaint(cli("export", runs, "--to", tmp_path / "x.xlsx"), "x.xlsx", ".parquet, .jsonl or .csv")
    complaint(cli("export", runs, "--to", tmp_path / "nosuch" / "x.csv"), "nosuch", "Create it first")
    complaint(cli("export", runs, "--to", tmp_path / "x.csv", "--run", "other"), "'other'", "windows-fusion-")
    complaint(cli("runs", runs, "--run", "other"), "'other'", "windows-fusion-")


def test_gold_that_does_not_fit(cli, runs, recipes, tmp_path):
    """Other documents, labels of another taxonomy, no labels at all, an unknown run, no file."""
    other = write_jsonl(tmp_path / "other.jsonl", [{"id": "x", "text": "x", "labels": ["soup"]}])
    complaint(cli("eval", runs, "--gold", other), "other.jsonl", "--id-field")
    stilts = write_jsonl(tmp_path / "stilts.jsonl", [{"id": "lentil-pot", "text": "x", "labels": ["walk on stilts"]}])
    complaint(cli("eval", runs, "--gold", stilts), "walk on stilts")
    none = write_jsonl(tmp_path / "none.jsonl", [{"id": "lentil-pot", "text": "x"}])
    complaint(cli("eval", runs, "--gold", none), "--labels-field")
    complaint(cli("eval", runs, "--gold", recipes, "--run", "other"), "'other'")
    complaint(cli("eval", runs, "--gold", tmp_path / "absent.jsonl"), "absent.jsonl")


def test_names_that_the_commands_do_not_know(cli, tags, tmp_path):
    """A taxonomy to fetch, a model to fetch, a taxonomy to look into."""
    complaint(cli("taxonomy", "fetch", "nosuch", "--out", tmp_path / "x.jsonl"), "'nosuch'", "esco")
    complaint(cli("models", "fetch", "nosuch"), "nosuch", "minilm")
    complaint(cli("taxonomy", "show", tmp_path / "absent.csv", "x"), "absent.csv")


def test_a_taxonomy_with_errors_is_reported_whole(cli, write):
    """`taxonomy check` is there to list them all: on standard output, each with its line, and code 1."""
    path = write("bad.csv", "id,name,parents\na,Ale,b\nb,Beer,a\nc,Cider,\nc,Again,\nd,,\n")
    shown = cli("taxonomy", "check", path)
    assert shown.code == 1
    assert shown.err == ""
    for line in ("bad.csv:5", "bad.csv:6", "cycle"):
        assert line in shown.out


@pytest.mark.parametrize(
    "args", [["nosuch"], ["label"], ["label", "x", "--nosuch"], ["label", "x", "--top-k", "0"], ["eval", "x"]]
)
def test_wrong_usage_ends_with_code_2(cli, args):
    """As everywhere."""
    shown = cli(*args)
    assert shown.code == 2
    assert "Usage" in shown.err
    assert "Traceback" not in shown.err
