"""`labelmill taxonomy generate` and `eval`, as a shell sees them."""

from __future__ import annotations

import json

import pytest

from generating_models import Taxonomist, topic_rows
from scripted import served, write_jsonl


@pytest.fixture
def topics(tmp_path):
    """Documents about four topics."""
    return write_jsonl(tmp_path / "topics.jsonl", topic_rows())


@pytest.fixture
def generate(cli, topics, tmp_path):
    """Generate labels.jsonl with an embedder that needs no download."""

    def run(*options, docs=topics):
        out = tmp_path / "labels.jsonl"
        return cli("taxonomy", "generate", docs, "--out", out, "--use-case", "sort notes", "--embedder", "wordllama",
                   *options)  # fmt: skip

    return run


def test_a_taxonomy_is_made_checked_and_evaluated(cli, generate, topics, tmp_path):
    """The whole way: labels with how many documents each has, a clean check, and a table."""
    made = generate("--max-labels", 6)
    assert made.code == 0, made.err
    assert "Wrote" in made.err
    assert "Next: labelmill taxonomy eval" in made.err
    assert "chosen" not in made.err
    out = tmp_path / "labels.jsonl"
    checked = cli("taxonomy", "check", out)
    assert checked.code == 0
    assert "0 errors, 0 warnings" in checked.out
    found = cli("taxonomy", "eval", out, topics, "--embedder", "wordllama")
    assert found.code == 0, found.err
    for column in ("labels used", "coverage", "NMI", "ARI", "purity", "accuracy"):
        assert column in found.out
    assert "k-means on these documents" in found.out
    assert "% of the labels without narrower ones" in found.out
    as_json = json.loads(cli("taxonomy", "eval", out, topics, "--embedder", "wordllama", "--json").out)
    assert as_json["documents"] == 48
    assert as_json["ways"][0]["agreement"]["nmi"] > 0.9


@pytest.mark.parametrize("options", [(), ("--lm", "embedded")])
def test_an_interrupted_evaluation_says_what_to_do(cli, topics, tmp_path, monkeypatch, options):
    """What a model answered is kept; without one there is nothing to keep."""

    def interrupted(*_args, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("labelmill.pipelines.generating.evaluating.evaluate_taxonomy", interrupted)
    monkeypatch.setattr("labelmill.cli.taxonomy.evaluation.fetch_models", lambda *_: None)
    (tmp_path / "t.txt").write_text("bread\nsoup\n")
    shown = cli("taxonomy", "eval", tmp_path / "t.txt", topics, *options)
    assert (shown.code, shown.out) == (130, "")
    kept = "every answer so far is kept. " if options else "nothing is kept. "
    assert shown.err.startswith(f"Interrupted: {kept}Run the same command again")


def test_gold_that_is_in_no_document_is_told(cli, topics, tmp_path):
    """Rather than columns that are empty without a word; for a program too."""
    (tmp_path / "t.txt").write_text("bread\nsoup\n")
    evaluate = "taxonomy", "eval", tmp_path / "t.txt", topics, "--embedder", "wordllama"
    said = "no document has a label in the field 'nope': no agreement is measured"
    shown = cli(*evaluate, "--gold-field", "nope")
    assert f"Note: {said}.\n" in shown.err
    assert said in json.loads(cli(*evaluate, "--gold-field", "nope", "--json").out)["notes"]
    assert "no document has a label" not in cli(*evaluate).err


def test_a_model_behind_a_server_makes_and_judges(cli, generate, topics, tmp_path):
    """Over HTTP, with progress; the second time nothing is asked."""
    model = Taxonomist()
    with served(model) as url:
        made = generate("--lm", url, "--max-labels", 6, "--batch", 8, "--json")
        assert made.code == 0, made.err
        assert "48 of 48" in made.err
        told = json.loads(made.out)
        assert told["labels"] == 4
        assert told["asked"] == len(model.asked)
        again = json.loads(generate("--lm", url, "--max-labels", 6, "--batch", 8, "--json").out)
        assert (again["asked"], again["key"]) == (0, told["key"])
        evaluated = ("eval", tmp_path / "labels.jsonl", topics, "--lm", url, "--embedder", "wordllama", "--judged", 10)
        found = json.loads(cli("taxonomy", *evaluated, "--json").out)
        labelled = next(way for way in found["ways"] if way["name"].startswith("labelling"))
        assert labelled["coverage"] == 1.0
        assert labelled["agreement"]["accuracy"] == 1.0
        assert (found["judged"]["wins"], found["judged"]["losses"], found["unjudged"]) == (10, 0, 0)
        before = len(model.asked)
        shown = cli("taxonomy", *evaluated)
        assert "Judged against another label, drawn: preferred in 100.0%" in shown.out
        assert len(model.asked) == before


def test_documents_that_cannot_be_read_end_with_3(generate, tmp_path):
    """The others make the taxonomy."""
    rows = [*topic_rows(), {"id": "empty", "text": ""}]
    made = generate(docs=write_jsonl(tmp_path / "some.jsonl", rows))
    assert made.code == 3
    assert "1 document could not be read or summarised" in made.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--max-labels", 1), 2, "greater than or equal to 2"),
        (("--depth", 4), 2, "less than or equal to 3"),
        (("--lm", "no such"), 1, "no such"),
        (("--embedder", "word2vec"), 1, "unknown embedder"),
    ],
)
def test_what_cannot_be_is_one_line(generate, options, code, said):
    """With the code that says whose mistake it is."""
    made = generate(*options)
    assert made.code == code
    assert said in made.err
    assert "Traceback" not in made.err


def test_a_changed_taxonomy_is_left_alone(generate, tmp_path):
    """The line names the file and says what to do."""
    assert generate().code == 0
    out = tmp_path / "labels.jsonl"
    content = out.read_text(encoding="utf-8").replace('"name": "', '"name": "My ', 1)
    out.write_text(content, encoding="utf-8")
    made = generate()
    assert made.code == 1
    assert f"{out}: there is a taxonomy that was not generated, or was changed since" in made.err
    assert out.read_text(encoding="utf-8") == content
