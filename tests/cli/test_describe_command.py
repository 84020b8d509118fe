"""`labelmill taxonomy describe` and `--usages`, as a shell sees them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from labelmill.taxonomy import Taxonomy
from scripted import served, write_jsonl
from scripted_writer import ScriptedWriter


@pytest.fixture
def loaves(tmp_path):
    """Three labels, of which one is described."""
    rows = [
        {"id": "rye", "name": "rye bread"},
        {"id": "stick", "name": "baguette", "description": "Long and thin."},
        {"id": "flat", "name": "flatbread"},
    ]
    return write_jsonl(tmp_path / "loaves.jsonl", rows)


@pytest.fixture
def gold(tmp_path):
    rows = [{"id": f"r{n}", "text": f"A dark dense loaf, {n} days old.", "labels": ["rye"]} for n in range(4)]
    rows += [{"id": f"s{n}", "text": f"A crisp golden crust, {n} of them.", "labels": ["stick"]} for n in range(4)]
    return write_jsonl(tmp_path / "gold.jsonl", rows)


def rows(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def one_line(outcome):
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("labelmill: ")]
    return line


def test_from_gold_to_the_next_version(cli, loaves, gold, tmp_path):
    """Drafted by a model, read by a person, accepted, checked; the first version is as it was."""
    before, drafts, new = loaves.read_bytes(), tmp_path / "drafts.jsonl", tmp_path / "new.jsonl"
    with served(ScriptedWriter()) as url:
        done = cli("taxonomy", "describe", loaves, "--gold", gold, "--lm", f"writer@{url}", "--out", drafts)
    assert done.code == 0, done.err
    assert "drafts for 2 of 3 labels" in done.out
    assert "1 label without documents" in done.err
    assert [(row["id"], row["field"]) for row in rows(drafts)] == [
        ("rye", "description"),
        ("rye", "includes"),
        ("rye", "excludes"),
        ("stick", "includes"),
        ("stick", "excludes"),
    ]
    accepted = cli("taxonomy", "describe", loaves, "--accept", drafts, "--out", new)
    assert accepted.out.startswith("5 drafts accepted")
    assert cli("taxonomy", "check", new).code == 0
    shown = cli("taxonomy", "show", new, "rye", "--json")
    assert json.loads(shown.out)[0]["description"] == "Work in which one has to rye bread."
    assert loaves.read_bytes() == before


def test_failures_are_rows_and_end_with_code_3(cli, loaves, gold, tmp_path):
    """The same command asks for those alone again."""
    drafts = tmp_path / "drafts.jsonl"
    command = "taxonomy", "describe", loaves, "--gold", gold, "--out", drafts
    with served(ScriptedWriter(troubles={"rye bread": "I cannot say."})) as url:
        done = cli(*command, "--lm", f"writer@{url}", "--json")
    assert done.code == 3
    counted = json.loads(done.out)
    assert (counted["labels"], counted["written"], counted["failed"]) == (3, 1, 1)
    failed = rows(drafts)[0]
    assert failed["text"] == ""
    assert failed["problem"].startswith("unparseable: ")
    assert cli("taxonomy", "describe", loaves, "--accept", drafts, "--out", tmp_path / "n.jsonl").code == 0
    good = ScriptedWriter()
    with served(good) as url:
        assert cli(*command, "--lm", f"writer@{url}", "--replace").code == 0
    assert [wish.label for wish in good.requests] == ["rye bread"]


def test_without_a_model_words_and_phrases_come_out_of_the_documents(cli, loaves, gold, tmp_path):
    drafts, phrases = tmp_path / "drafts.jsonl", tmp_path / "usages.jsonl"
    assert cli("taxonomy", "describe", loaves, "--gold", gold, "--out", drafts).code == 0
    (draft,) = rows(drafts)
    assert (draft["id"], draft["source"]) == ("rye", "words")
    assert "dense" in draft["text"]
    options = "--phrases", 2, "--embedder", "wordllama", "--out", phrases
    made = cli("taxonomy", "describe", loaves, "--gold", gold, *options)
    assert made.code == 0
    assert "wrote of 2 of 2 labels" in made.err
    assert "tokens" not in made.err
    assert [(row["id"], len(row["phrases"]), len(row["documents"])) for row in rows(phrases)] == [
        ("rye", 2, 4),
        ("stick", 2, 4),
    ]


def test_what_a_run_has_labelled_serves_as_well(cli, label, runs, tags, recipes, tmp_path):
    """Its documents are read where it found them."""
    out = tmp_path / "d.jsonl"
    done = cli("taxonomy", "describe", tags, "--run", f"{runs}", "--phrases", 2, "--embedder", "none", "--out", out)
    assert done.code == 0, done.err
    known = {row["id"] for row in rows(recipes)}
    assert rows(out)
    assert {document for row in rows(out) for document in row["evidence"]} <= known


def test_phrases_are_searched_by_label_and_weighed_by_tune(label, cli, recipes, tags, tmp_path):
    """Phrases of the gold itself are refused; a program that keeps phrases asks for them."""
    own = tmp_path / "own.jsonl"
    made = cli("taxonomy", "describe", tags, "--gold", recipes, "--phrases", 3, "--embedder", "none", "--out", own)
    assert made.code == 0
    assert label(recipes, "--usages", own).code == 0
    tune = "tune", "--taxonomy", tags, "--gold", recipes, "--embedder", "wordllama", "--out", tmp_path / "p.json"
    assert "12 of 12 gold documents are among those" in one_line(cli(*tune, "--usages", own))
    hand = write_jsonl(tmp_path / "hand.jsonl", [{"id": "vegan", "phrases": ["no egg and no milk"]}])
    done = cli(*tune, "--usages", hand, "--keep-all")
    assert done.code == 0, done.err
    assert "--usages FILE" in done.err
    tuned = "--program", tmp_path / "p.json", "--out", tmp_path / "other.duckdb"
    assert "Give that file with --usages" in one_line(label(recipes, *tuned))
    assert label(recipes, *tuned, "--usages", hand).code == 0


def test_a_run_of_other_labels_is_told(cli, label, runs, tags, recipes, tmp_path):
    """How many are gone, changed and new; a run of these very labels is used without a word."""
    out, describe = tmp_path / "d.jsonl", ("taxonomy", "describe", "--run", runs, "--out", tmp_path / "d.jsonl")
    assert "another version" not in cli(*describe, tags).err
    labels = list(Taxonomy.read(tags))
    others = [{"id": each.id, "name": each.name, "aliases": each.aliases} for each in labels[2:]]
    other = write_jsonl(tmp_path / "other.jsonl", [*others, {"id": "new", "name": "brand new"}])
    shown = cli(*describe, other, "--replace")
    assert out.exists()
    assert "was labelled with another version or part of the taxonomy: 2 of its labels are not in this one" in shown.err
    assert "1 of this one it did not know." in shown.err


@pytest.mark.parametrize("model", [True, False])
def test_an_interrupted_command_says_what_is_kept(cli, loaves, gold, tmp_path, monkeypatch, model):
    """Answers of a model are in the journal; without one there is none."""

    def interrupted(*_args, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("labelmill.pipelines.describing.describe", interrupted)
    given = ["--lm", "writer@http://127.0.0.1:9/v1"] if model else []
    shown = cli("taxonomy", "describe", loaves, "--gold", gold, "--out", tmp_path / "d.jsonl", *given)
    assert shown.code == 130
    assert ("in the journal" in shown.err) is model
    assert "Interrupted: " in shown.err


def test_gold_outside_the_taxonomy_is_told_in_one_sentence(cli, loaves, gold, tmp_path):
    gold.write_text(gold.read_text() + '{"id": "x", "text": "A thing.", "labels": ["unheard of"]}\n')
    shown = cli("taxonomy", "describe", loaves, "--gold", gold, "--out", tmp_path / "d.jsonl")
    (note,) = [line for line in shown.err.splitlines() if line.startswith("Note: ")]
    assert note.startswith("Note: 1 gold label is not in the taxonomy, for example 'unheard of': ")
    assert note.endswith("by name.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Give --gold DOCS or --run RUNS.duckdb"),
        (("--gold", "{gold}", "--run", "r.duckdb"), "Give one of them"),
        (("--gold", "{gold}", "--out", "{loaves}"), "this file is read, and stays as it is"),
        (("--gold", "{gold}", "--out", "{gold}"), "say --replace"),
        (("--accept", "{gold}"), "no 'taxonomy'"),
        (("--accept", "{folder}/none.jsonl"), "cannot be read"),
        (("--accept", "{gold}", "--phrases", "3"), "Leave out --gold, --run and --phrases"),
        (("--accept", "{gold}", "--out", "{gold}"), "say --replace"),
        (("--accept", "{gold}", "--out", "{folder}/n.csv"), "Name a file that ends in .jsonl"),
        (("--gold", "{gold}", "--out", "{folder}/none/d.jsonl"), "there is no such folder"),
        (("--gold", "{gold}", "--labels-where", "kind ="), "condition"),
    ],
)
def test_wrong_use_is_one_line_with_a_remedy(cli, loaves, gold, tmp_path, options, said):
    places = {"gold": gold, "loaves": loaves, "folder": tmp_path}
    given = [option.format(**places) for option in options]
    out = [] if "--out" in given else ["--out", tmp_path / "d.jsonl"]
    assert said in one_line(cli("taxonomy", "describe", loaves, *given, *out))


def test_a_usages_file_for_other_labels_is_told_by_its_line(label, recipes, tmp_path):
    path = write_jsonl(tmp_path / "u.jsonl", [{"id": "vegan", "phrases": ["x"]}, {"id": "no such", "phrases": ["y"]}])
    assert f"{path}:2: no label has the id 'no such'" in one_line(label(recipes, "--usages", path))


def test_a_killed_command_goes_on_where_it_was(loaves, tmp_path):
    """By SIGKILL, with answers in flight: what was answered is not asked again, and the drafts are the same."""
    names = [f"task {n}" for n in range(12)]
    many = write_jsonl(tmp_path / "many.jsonl", [{"id": name, "name": name} for name in names])
    texts = [
        {"id": f"{n}-{m}", "text": f"Word{n} again, {m}.", "labels": [name]}
        for n, name in enumerate(names)
        for m in (1, 2)
    ]
    gold = write_jsonl(tmp_path / "many-gold.jsonl", texts)
    model = ScriptedWriter(pause=0.3)
    with served(model) as url:
        command = [sys.executable, "-m", "labelmill", "taxonomy", "describe", many, "--gold", gold]
        command += ["--lm", f"writer@{url}", "--concurrency", "2", "--out", tmp_path / "d.jsonl"]
        started = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL)
        journal = tmp_path / "d.jsonl.journal"
        while started.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 4):
            time.sleep(0.02)
        os.kill(started.pid, signal.SIGKILL)
        started.wait()
        assert not (tmp_path / "d.jsonl").exists()
        before = len(model.requests)
        answered = journal.read_bytes().count(b"\n") - 1
        assert 4 <= answered < 12
        assert subprocess.run([str(part) for part in command], check=False, capture_output=True).returncode == 0
    assert len(model.requests) - before == 12 - answered
    assert before - answered <= 2 + 1
    assert len({row["id"] for row in rows(tmp_path / "d.jsonl")}) == 12
