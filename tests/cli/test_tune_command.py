"""`labelmill tune` and `--program`, as a shell sees them."""

from __future__ import annotations

import json
import shutil

import pytest

from labelmill.artifacts import ARTIFACTS, status
from scripted import ScriptedModel, served, write_jsonl


@pytest.fixture(scope="module")
def kept_program(tmp_path_factory):
    """Where the program is kept that the tests of this process share."""
    return tmp_path_factory.mktemp("program") / "recipes.json"


@pytest.fixture
def tune(cli, tags, recipes, tmp_path):
    """Run `labelmill tune` on the recipes, with an embedder that needs no download."""

    def run(*options):
        usual = {"--taxonomy": tags, "--gold": recipes, "--out": tmp_path / "p.json", "--embedder": "wordllama"}
        missing = [part for name, value in usual.items() if name not in options for part in (name, value)]
        return cli("tune", *missing, *options)

    return run


@pytest.fixture
def program(tune, kept_program, tmp_path):
    """A program tuned on the recipes."""
    if not kept_program.exists():
        assert tune("--out", kept_program, "--keep-all").code == 0
    return shutil.copy(kept_program, tmp_path / "kept.json")


def one_line(outcome):
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("labelmill: ")]
    return line


def test_tune_tells_what_it_learned(tune, tmp_path):
    """Figures on standard output, the next command on standard error, the program in its file."""
    done = tune()
    assert done.code == 0, done.err
    for said in (
        "Learned from 12 documents",
        "(fusion by rank)\n",
        "before    RP@5",
        "tuned     RP@5",
        "What to keep",
        "Calibration:",
        "Decision:",
    ):
        assert said in done.out
    assert "the texts of the 12 gold documents" in done.out or "examples" not in (tmp_path / "p.json").read_text()
    assert f"--program {tmp_path / 'p.json'}" in done.err.replace("\n", "")
    assert json.loads((tmp_path / "p.json").read_text("utf-8"))["labelmill_program"] == 1
    assert not list(tmp_path.glob("*.journal"))


def test_documents_that_rightly_have_no_label_are_noted(tune, recipes, tmp_path):
    """An empty list is gold, of which everything is wrong; a document without the field is none."""
    rows = [json.loads(line) for line in recipes.read_text("utf-8").splitlines()]
    rows += [{"id": "news", "text": "The road to the quay is closed on Friday.", "labels": []}]
    rows += [{"id": "mail", "text": "Nobody has read this one yet."}]
    done = tune("--gold", write_jsonl(tmp_path / "gold.jsonl", rows), "--keep-all")
    assert "Learned from 13 documents with 56 gold labels" in done.out
    assert "Note: 1 of them have no label of the taxonomy" in done.err.replace("\n", " ")


def test_json_is_all_there_is_on_standard_output(tune, tmp_path):
    """The figures that are in the file, too."""
    done = tune("--json", "--keep-all")
    said = json.loads(done.out)
    assert said["out"] == str(tmp_path / "p.json")
    figures = json.loads((tmp_path / "p.json").read_text("utf-8"))["figures"]
    assert said["figures"]["after"] == figures["after"]
    assert {"gold", "before", "fusion", "calibration", "after"} <= set(said["figures"])


def test_label_with_a_program_then_eval(cli, label, program, recipes, tags, tmp_path):
    """The scores are probabilities, and evaluated as such; run again, it goes on where it stopped."""
    out = tmp_path / "runs.duckdb"
    done = cli("label", recipes, "--taxonomy", tags, "--out", out, "--program", program, "--json")
    assert done.code == 0, done.err
    assert "Note:" not in done.err
    assert "No language model" not in done.err
    assert json.loads(done.out)["documents"] == 12
    again = cli("label", recipes, "--taxonomy", tags, "--out", out, "--program", program, "--json")
    assert json.loads(again.out)["skipped"] == 12
    evaluated = json.loads(cli("eval", out, "--gold", recipes, "--json", "--resamples", 20).out)
    assert 0 <= evaluated["metrics"]["ece@10"]["value"] <= 1
    exported = cli("export", out, "--to", tmp_path / "x.jsonl")
    assert exported.code == 0
    scores = [json.loads(line)["score"] for line in (tmp_path / "x.jsonl").read_text("utf-8").splitlines()]
    assert scores
    assert all(0 <= score <= 1 for score in scores)


def test_an_untuned_run_has_no_calibration_error(cli, runs, recipes):
    """Its scores lie in 0..1 as well, and are no probabilities."""
    evaluated = json.loads(cli("eval", runs, "--gold", recipes, "--json", "--resamples", 20).out)
    assert "ece@10" not in evaluated["metrics"]


def test_a_tuned_run_has_a_ledger(cli, program, recipes, tags, tmp_path):
    """Where each gold label was lost can be told of the rows that are stored."""
    out = tmp_path / "runs.duckdb"
    assert cli("label", recipes, "--taxonomy", tags, "--out", out, "--program", program).code == 0
    done = cli("eval", out, "--gold", recipes, "--ledger", "--json", "--resamples", 20)
    assert done.code == 0, done.err


def test_plan_and_dry_run_with_a_program(cli, program, recipes, tags, tmp_path):
    """Both take it, and nothing is stored."""
    planned = cli("plan", recipes, "--taxonomy", tags, "--program", program, "--json")
    assert planned.code == 0, planned.err
    assert json.loads(planned.out)
    dry = cli("label", recipes, "--taxonomy", tags, "--program", program, "--out", tmp_path / "x.duckdb", "--dry-run")
    assert dry.code == 0, dry.err
    assert not (tmp_path / "x.duckdb").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rank", "listwise"], "rank cannot be set beside a program"),
        (["--infer", "windows"], "infer cannot be set beside a program"),
        (["--candidates", 20], "candidates cannot be set beside a program"),
        (["--listed", 5, "--chunk-characters", 500], "chunk_characters and listed cannot be set beside a program"),
    ],
)
@pytest.mark.parametrize("command", ["label", "plan"])
def test_what_a_program_says_is_not_said_again(cli, program, recipes, tags, tmp_path, command, options, said):
    """One clear line."""
    out = ["--out", tmp_path / "x.duckdb"] if command == "label" else []
    done = cli(command, recipes, "--taxonomy", tags, "--program", program, *out, *options)
    assert said in one_line(done)


@pytest.mark.parametrize("command", ["label", "plan"])
def test_a_program_that_names_another_machine_is_refused(cli, program, recipes, tags, tmp_path, command):
    """Before anything is made or sent; the line says how to allow it."""
    content = json.loads(program.read_text("utf-8"))
    content["spec"]["embedders"] = ["wordllama@http://far.example/v1"]
    program.write_text(json.dumps(content), "utf-8")
    out = ["--out", tmp_path / "x.duckdb"] if command == "label" else []
    said = one_line(cli(command, recipes, "--taxonomy", tags, "--program", program, *out))
    assert "--embedder 'wordllama@http://far.example/v1'" in said
    assert not (tmp_path / "x.duckdb").exists()


def test_size_and_threshold_may_be_set(cli, program, recipes, tags, tmp_path):
    """They change the final sets alone."""
    out = tmp_path / "x.duckdb"
    options = ["--program", program, "--top-k", 1, "--threshold", 0]
    assert cli("label", recipes, "--taxonomy", tags, "--out", out, *options).code == 0
    assert cli("export", out, "--to", tmp_path / "x.jsonl", "--selected").code == 0
    assert len((tmp_path / "x.jsonl").read_text("utf-8").splitlines()) == 12


def test_an_edited_taxonomy_is_noted(cli, program, recipes, tags, tmp_path):
    """The program labels with it all the same."""
    edited = tmp_path / "tags.csv"
    edited.write_text(tags.read_text("utf-8") + "gravy,gravy,,Poured over a roast.,\n", "utf-8")
    done = cli("label", recipes, "--taxonomy", edited, "--out", tmp_path / "x.duckdb", "--program", program)
    assert done.code == 0
    assert "another version of the taxonomy" in " ".join(done.err.split())


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"labelmill_program": 2}', '{"labelmill_program": 1}'])
def test_a_file_that_is_no_program(cli, recipes, tags, tmp_path, content):
    """Exit 1 and one line that names it, before anything is made."""
    path = tmp_path / "p.json"
    if content is not None:
        path.write_text(content)
    done = cli("label", recipes, "--taxonomy", tags, "--out", tmp_path / "x.duckdb", "--program", path)
    assert "p.json" in one_line(done)
    assert not (tmp_path / "x.duckdb").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--promise", "fame"], "'fame' is no promise"),
        (["--promise", "precision<=0.9"], "promises nothing"),
        (["--promise", "precision>=0.99"], "cannot be promised"),
        (["--delta", 3], "delta=3"),
        (["--rank", "listwise"], "needs a language model"),
        (["--embedder", "nonesuch"], "nonesuch"),
        (["--labels-field", "nothing"], "labels"),
        (["--labels-where", "kind = 'skill'"], ""),
        (["--top-k", 90], "top_k=90"),
        (["--limit", 1], "gold"),
        (["--out", "no/such/folder/p.json"], "folder"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(tune, tmp_path, monkeypatch, options, said):
    """Exit 1, no traceback, and no program."""
    monkeypatch.chdir(tmp_path)
    done = tune("--keep-all", *options)
    assert said in one_line(done)
    assert not (tmp_path / "p.json").exists()


@pytest.mark.parametrize(
    "options", [["--optimiser", "magic"], ["--top-k", 0], ["--budget", 0], ["--gold", "none.jsonl"]]
)
def test_wrong_usage(tune, tmp_path, monkeypatch, options):
    """The usage, exit 2; a file that is not there may be either."""
    monkeypatch.chdir(tmp_path)
    done = tune(*options)
    assert done.code in ({2} if options[0] != "--gold" else {1, 2})
    assert "Traceback" not in done.err


def test_rows_that_cannot_be_read_are_told(tune, recipes, tmp_path):
    """None is dropped in silence."""
    rows = [json.loads(line) for line in recipes.read_text("utf-8").splitlines()]
    gold = write_jsonl(tmp_path / "gold.jsonl", [*rows, {"id": "blank", "text": "", "labels": ["soup"]}])
    done = tune("--gold", gold, "--keep-all")
    assert done.code == 0, done.err
    assert "Note: 1 rows of" in done.err
    assert "Learned from 12 documents" in done.out


def test_a_model_is_asked_once(tune, cli, recipes, tags, tmp_path):
    """Answers are kept beside the program: the same command asks nothing; the program asks its model when it labels."""
    with served(ScriptedModel()) as url:
        first = tune("--lm", url, "--optimiser", "none", "--keep-all", "--json")
    assert first.code == 0, first.err
    assert (tmp_path / "p.json.journal").exists()
    model = ScriptedModel()
    with served(model) as url:
        again = tune("--lm", url, "--optimiser", "none", "--keep-all", "--json")
        assert model.requests == []
        run = cli(
            "label",
            recipes,
            "--taxonomy",
            tags,
            "--out",
            tmp_path / "x.duckdb",
            "--program",
            tmp_path / "p.json",
            "--lm",
            url,
        )
    assert json.loads(again.out)["figures"]["after"] == json.loads(first.out)["figures"]["after"]
    assert run.code == 0, run.err
    assert len(model.asked("infer")) == 12
    without = cli(
        "label", recipes, "--taxonomy", tags, "--out", tmp_path / "y.duckdb", "--program", tmp_path / "p.json"
    )
    assert "asks a language model, 'scripted'" in one_line(without)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.shared_data
def test_tuning_on_esco_is_worth_it(cli, shared_data, tmp_path, monkeypatch):
    """Cross-validated on the validation documents themselves, no test document seen: well above the untuned."""
    monkeypatch.delenv("LABELMILL_CACHE")  # the embedder's files and the vectors of ESCO are worth keeping
    if not status(ARTIFACTS["minilm"]).cached:
        pytest.skip("the artifact 'minilm' is not in the cache")
    esco = shared_data / "esco"
    gold = [part for path in sorted(esco.glob("docs-*-val.jsonl.gz")) for part in ("--gold", path)]
    labels = ["--taxonomy", esco / "labels.jsonl.gz", "--labels-where", "kind = 'skill'"]
    done = cli("tune", *labels, *gold, "--out", tmp_path / "esco.json", "--embedder", "minilm", "--json")
    assert done.code == 0, done.err
    figures = json.loads(done.out)["figures"]
    assert figures["gold"]["documents"] >= 130
    assert figures["after"]["rp@10"] > figures["before"]["rp@10"] + 0.02
    assert figures["calibration"]["ece@10_after"] < 0.05


def test_auto_shows_every_kind_of_rank(tune, tmp_path):
    """A line for each, with what it costs a document; the file says the same."""
    with served(ScriptedModel()) as url:
        done = tune("--lm", url, "--infer", "windows", "--rank", "auto", "--optimiser", "none", "--keep-all")
    assert done.code == 0, done.err
    lines = [line for line in done.out.splitlines() if line.startswith("Rank by the model")]
    assert [line.split(":")[0] for line in lines] == [
        "Rank by the model (listwise)",
        "Rank by the model (whole)",
    ]
    assert all("tokens a document" in line for line in lines)
    figures = json.loads((tmp_path / "p.json").read_text("utf-8"))["figures"]
    assert [each["kept"] for each in figures["ranks"]] == ["; kept" in line for line in lines]


@pytest.mark.parametrize(
    ("lm", "said"), [("none", "nothing is written"), ("embedded", "what the model answered is kept")]
)
def test_an_interrupted_tune_says_what_is_kept(tune, monkeypatch, tmp_path, lm, said):
    """With a model, its answers are in a journal; without one, all begins anew."""

    def interrupted(*_args, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("labelmill.pipelines.tuning.tune", interrupted)
    monkeypatch.setattr("labelmill.cli.tune.fetch_models", lambda *_: None)
    done = tune("--lm", lm)
    assert (done.code, done.out) == (130, "")
    assert done.err.endswith("again to go on.\n" if lm == "embedded" else "reads fewer documents.\n")
    assert f"Interrupted: {said}" in done.err
    assert not (tmp_path / "p.json").exists()


def test_parents_that_no_model_is_shown_are_told_when_tuning(tune, monkeypatch):
    """A setting without effect is a note, before the work."""

    def interrupted(*_args, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("labelmill.pipelines.tuning.tune", interrupted)
    assert "Note: showing parents has no effect" in tune("--show-parents", 2).err
    assert "has no effect" not in tune("--show-parents", 2, "--rank", "listwise").err


def test_eval_says_that_a_program_learned_from_this_gold(cli, label, program, recipes, tags, tmp_path):
    """By the texts, under whatever ids; what it learned from is in no key of the run."""
    out = tmp_path / "runs.duckdb"
    rows = [json.loads(line) for line in recipes.read_text("utf-8").splitlines()]
    new = {"id": "new", "text": "A rye loaf that rises overnight.", "labels": ["bread"]}
    docs = write_jsonl(tmp_path / "docs.jsonl", [*({**row, "id": f"renamed-{row['id']}"} for row in rows), new])
    assert cli("label", docs, "--taxonomy", tags, "--out", out, "--program", program).code == 0
    done = cli("eval", out, "--gold", docs, "--json", "--resamples", 20)
    assert json.loads(done.out)["documents_learned_from"] == 12
    assert "learned from 12 of 13 documents with gold" in done.err
    fresh = cli("eval", out, "--gold", write_jsonl(tmp_path / "new.jsonl", [new]), "--json", "--resamples", 20)
    assert json.loads(fresh.out)["documents_learned_from"] == 0
    assert "learned from" not in fresh.err
