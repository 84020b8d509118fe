"""``labelmill export --format``, ``labelmill import``, ``labelmill votes export|import --format``: out and back again."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from labelmill.store import Store
from labelmill.taxonomy import Taxonomy
from scripted import write_jsonl

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"

VOTES = (
    "SELECT voter, document, label, vote, confidence, rank FROM votes WHERE voter IN (SELECT unnest(?::VARCHAR[])) "
    "ORDER BY ALL"
)


def votes_of(path: Path, *voters: str) -> list[tuple]:
    """Read votes as they lie on the disk."""
    with Store(path) as store:
        return store.connection.execute(VOTES, [list(voters)]).fetchall()


@pytest.fixture
def soft(cli, tmp_path: Path, recipes: Path, tags: Path) -> Path:
    """Three voters on the twelve recipes, and a run of probabilities."""
    rows = [json.loads(line) for line in recipes.read_text(encoding="utf-8").splitlines()]
    votes = [
        {"voter": voter, "document": row["id"], "label": label, "vote": 1 if number < 4 else -1, "confidence": 0.5}
        for row in rows
        for voter in ("ann", "bob", "carl, the third")
        for number, label in enumerate(row["labels"])
        if (len(row["id"]) + number + len(voter)) % 3
    ]
    out = tmp_path / "votes.duckdb"
    assert cli("votes", "import", write_jsonl(tmp_path / "votes.jsonl", votes), "-t", tags, "-o", out).code == 0
    assert cli("votes", "combine", out, "--method", "dawid-skene", "--run", "soft").code == 0
    return out


def chosen(cli, path: Path, target: Path) -> list[tuple]:
    """Read final sets out of a table."""
    assert cli("export", path, "--run", "soft", "--selected", "--to", target).code == 0
    lines = map(json.loads, target.read_text(encoding="utf-8").splitlines())
    return sorted((row["document"], row["label"], row["rank"], row["score"]) for row in lines)


@pytest.mark.parametrize(("format_", "name"), [("label-studio", "x.json"), ("argilla", "x.json"), ("huggingface", "x")])
def test_a_run_goes_out_and_comes_back_as_votes(cli, soft, recipes, tags, tmp_path, format_, name):
    """The final sets of the table, with their ranks and probabilities."""
    target, back = tmp_path / name, tmp_path / "back.duckdb"
    done = cli("export", soft, "--run", "soft", "--format", format_, "--to", target, "--docs", recipes, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["documents"], told["texts"], told["not_in_corpus"]) == (12, 12, 0)
    assert all(Path(file).exists() for file in told["files"])
    assert cli("votes", "import", target, "--format", format_, "-t", tags, "-o", back).code == 0
    rows = [(row[1], row[2], row[5], row[4]) for row in votes_of(back, "soft") if row[3] > 0]
    expected = chosen(cli, soft, tmp_path / "table.jsonl")
    assert [row[:3] for row in rows] == [row[:3] for row in expected]
    assert [row[3] for row in rows] == pytest.approx([row[3] for row in expected])


def test_cleanlab_goes_out_and_comes_back_as_gold(cli, soft, recipes, tags, tmp_path):
    """Texts are those of the documents, which it has not."""
    target, gold = tmp_path / "x.npz", tmp_path / "gold.jsonl"
    assert cli("export", soft, "--format", "cleanlab", "--to", target, "--docs", recipes).code == 0
    assert cli("import", target, "--format", "cleanlab", "-t", tags, "--to", gold, "--docs", recipes).code == 0
    assert gold_of(gold) == gold_of(recipes)
    refused = cli("import", target, "--format", "cleanlab", "-t", tags, "--to", gold, "--replace")
    assert (refused.code, "--docs" in refused.err) == (1, True)


def gold_of(path: Path) -> list[tuple]:
    """Read documents with the ids of their gold labels."""
    taxonomy = Taxonomy.read(RECIPES / "tags.csv")
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return sorted(
        (row["id"], row["text"], sorted(taxonomy[taxonomy.resolve(label)].id for label in row["labels"]))
        for row in rows
    )


def test_hugging_face_comes_back_as_gold(cli, soft, recipes, tags, tmp_path):
    """What people said, not what the run said; and eval takes it."""
    folder, gold = tmp_path / "set", tmp_path / "gold.jsonl"
    for options in ([], ["--replace"]):  # a folder of ours is written anew
        assert cli("export", soft, "--format", "huggingface", "--to", folder, "--docs", recipes, *options).code == 0
    assert cli("import", folder, "--format", "huggingface", "-t", tags, "--to", gold).code == 0
    assert gold_of(gold) == gold_of(recipes)
    evaluated = cli("eval", soft, "--run", "soft", "--gold", gold, "--json")
    assert json.loads(evaluated.out)["documents"] == 12


def test_the_card_says_where_it_comes_from_and_how_good_it_is(cli, soft, recipes, tmp_path):
    """The figures of eval; nobody's folders; nothing of quality without gold."""
    folder = tmp_path / "set"
    assert cli("export", soft, "--format", "huggingface", "--to", folder, "--docs", recipes).code == 0
    card = (folder / "README.md").read_text(encoding="utf-8")
    evaluated = json.loads(cli("eval", soft, "--run", "soft", "--gold", recipes, "--json").out)
    figure = evaluated["metrics"]["rp@5"]
    row = f"| RP@5 | {100 * figure['value']:.1f} | {100 * figure['low']:.1f} to {100 * figure['high']:.1f} |"
    assert row in card
    assert "on the 12 documents that have gold labels" in card
    for words in (
        "| Run | soft |",
        "| Taxonomy | tags.csv: 62 labels",
        "| Written by | labelmill ",
        "dawid-skene",
        "| Documents | 12 |",
    ):
        assert words in card
    assert str(tmp_path) not in card
    assert str(recipes.parent) not in card
    header = card.split("---\n")[1]
    assert "path: data/train-*.parquet" in header
    bare = tmp_path / "bare"
    done = cli("export", soft, "--format", "huggingface", "--to", bare)
    assert "Without their text, which --docs brings: 12 of them." in done.err
    assert "Not known: no gold labels were given." in (bare / "README.md").read_text(encoding="utf-8")


def test_the_card_says_nothing_of_servers(cli, runs, tmp_path):
    """An embedder is called by its model's name."""
    with duckdb.connect(str(runs)) as connection:
        rows = connection.execute("SELECT run, program FROM runs").fetchall()
        for run, program in rows:
            moved = json.loads(program) | {"embedders": ["bge@http://inside.example:8000/v1"]}
            connection.execute("UPDATE runs SET program = ? WHERE run = ?", [json.dumps(moved), run])
    assert cli("export", runs, "--format", "huggingface", "--to", tmp_path / "set").code == 0
    card = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert "vectors (bge)" in card.replace("\\", "")
    assert "inside" not in card


def test_votes_go_to_snorkel_and_come_back(cli, soft, tags, tmp_path):
    """Every vote, for and against, with its confidence."""
    matrix, back = tmp_path / "votes.npz", tmp_path / "back.duckdb"
    assert cli("votes", "export", soft, "--to", matrix).code == 0
    assert cli("votes", "import", matrix, "--format", "snorkel", "-t", tags, "-o", back).code == 0
    voters = ("ann", "bob", "carl, the third")
    assert votes_of(back, *voters) == votes_of(soft, *voters)
    summaries = [json.loads(cli("votes", "summary", path, "--json").out) for path in (soft, back)]
    assert summaries[0]["voters"] == summaries[1]["voters"]


def test_votes_go_to_wrench_and_come_back(cli, recipes, tags, tmp_path):
    """One class a document; texts and gold classes are those of the documents; votes against are told."""
    table, out, folder, back = (tmp_path / name for name in ("v.jsonl", "v.duckdb", "set", "back.duckdb"))
    ids = [json.loads(line)["id"] for line in recipes.read_text(encoding="utf-8").splitlines()]
    rows = [
        {"voter": voter, "document": name, "label": ("bread", "soup", "cake")[(number + len(voter)) % 3]}
        for voter in ("a", "bb", "ccc", "dddd")
        for number, name in enumerate(ids)
        if (number + len(voter)) % 4
    ]
    assert cli("votes", "import", write_jsonl(table, rows), "-t", tags, "-o", out).code == 0
    docs = write_jsonl(
        tmp_path / "docs.jsonl", [{"id": name, "text": f"of {name}", "labels": ["soup"]} for name in ids]
    )
    done = cli(
        "votes", "export", out, "--format", "wrench", "--to", folder, "--split", "test", "--docs", docs, "--json"
    )
    assert done.code == 0, done.err
    assert json.loads(done.out)["left_out"] == 0
    first = json.loads((folder / "test.json").read_text(encoding="utf-8"))[ids[0]]
    assert first["data"] == {"text": f"of {ids[0]}"}
    split = folder / "test.json"
    assert cli("votes", "import", split, "--format", "wrench", "-t", tags, "-o", back).code == 0
    assert votes_of(back, "a", "bb", "ccc", "dddd") == votes_of(out, "a", "bb", "ccc", "dddd")
    gold = tmp_path / "gold.jsonl"
    assert cli("import", split, "--format", "wrench", "-t", tags, "--to", gold).code == 0
    assert gold_of(gold) == sorted((name, f"of {name}", ["soup"]) for name in ids)


def test_a_class_of_several_is_refused(cli, soft, tmp_path):
    """The voter and the document are named."""
    refused = cli("votes", "export", soft, "--exclusive", "--to", tmp_path / "x.npz")
    assert refused.code == 1
    assert "voter 'ann' votes for" in refused.err
    assert not (tmp_path / "x.npz").exists()


TASKS = [
    {
        "id": number,
        "data": {"id": name, "text": f"text of {name}"},
        "annotations": [
            {
                "completed_by": {"id": 5, "email": who} if "@" in who else int(who),
                "result": [{"from_name": "labels", "type": "choices", "value": {"choices": labels}}],
            }
            for who, labels in said.items()
        ],
        "predictions": [{"model_version": "m", "result": [], "score": 0.5}],
    }
    for number, (name, said) in enumerate(
        {
            "a": {"ann@x.org": ["bread", "soup"], "7": ["bread"], "8": ["bread", "nowhere"]},
            "b": {"ann@x.org": ["cake"], "7": ["cake"]},
            "c": {},
        }.items()
    )
]


def test_annotators_are_kept_apart(cli, tags, tmp_path):
    """As votes, each was shown what it answered; as gold, labels of most, and what each said. Unknown labels are told."""
    path, out, gold = tmp_path / "tasks.json", tmp_path / "v.duckdb", tmp_path / "gold.jsonl"
    path.write_text(json.dumps(TASKS), encoding="utf-8")
    done = cli("votes", "import", path, "--format", "label-studio", "-t", tags, "-o", out)
    assert done.code == 3
    assert done.out.splitlines() == ["7: 2 votes", "8: 1 vote", "ann@x.org: 3 votes"]
    assert "Left out: 1 vote on 1 label that the taxonomy lacks" in done.err
    assert "'nowhere'" in done.err
    summary = json.loads(cli("votes", "summary", out, "--json").out)
    assert {each["voter"]: each["documents"] for each in summary["voters"]} == {"7": 2, "8": 1, "ann@x.org": 2}
    done = cli("import", path, "--format", "label-studio", "-t", tags, "--to", gold)
    assert done.code == 3
    assert "Annotators do not say the same of 1 document;" in done.err
    rows = [json.loads(line) for line in gold.read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], row["labels"]) for row in rows] == [("a", ["bread"]), ("b", ["cake"])]
    assert rows[0]["annotations"] == {"ann@x.org": ["bread", "soup"], "7": ["bread"], "8": ["bread"]}
    for options, labels in (
        (["--agreement", "any"], ["bread", "soup"]),
        (["--annotator", "ann@x.org"], ["bread", "soup"]),
        (["--agreement", "all"], ["bread"]),
    ):
        command = "import", path, "--format", "label-studio", "-t", tags, "--to", gold, *options
        assert "say --replace" in cli(*command).err
        cli(*command, "--replace")
        assert json.loads(gold.read_text(encoding="utf-8").splitlines()[0])["labels"] == labels
    before = path.read_bytes()
    own = cli("import", path, "--format", "label-studio", "-t", tags, "--to", path, "--replace")
    assert (own.code, path.read_bytes()) == (1, before)


def test_documents_with_unknown_labels_alone_are_no_gold(cli, soft, tags, tmp_path):
    """That no label is right is what nobody said of them; of those that have none it is."""
    path, gold, folder = tmp_path / "tasks.json", tmp_path / "gold.jsonl", tmp_path / "set"
    tasks = [
        {"data": {"id": name, "text": text}, "annotations": [choosing(labels)]}
        for name, text, labels in (("a", "x", ["nowhere"]), ("b", "x", []), ("c", "x", ["soup"]), ("d", " ", ["soup"]))
    ]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    importing = ("import", path, "--format", "label-studio", "-t", tags, "--to", gold)
    done = cli(*importing)
    assert done.code == 3
    assert "Left out: 1 document, of whose labels none is in the taxonomy." in done.err
    assert "Left out: 1 document without a text." in done.err
    rows = [json.loads(line) for line in gold.read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], row["labels"]) for row in rows] == [("b", []), ("c", ["soup"])]
    path.write_text(json.dumps(tasks[:1]), encoding="utf-8")
    refused = cli(*importing, "--replace")
    assert (refused.code, "no label is in the taxonomy" in refused.err) == (1, True)
    docs = write_jsonl(tmp_path / "docs.jsonl", [{"id": "lentil-pot", "text": "x", "labels": ["nowhere"]}])
    cli("export", soft, "--run", "soft", "--format", "huggingface", "--to", folder, "--docs", docs)
    refused = cli("import", folder, "--format", "huggingface", "-t", tags, "--to", tmp_path / "other.jsonl")
    assert (refused.code, "no document has gold labels" in refused.err) == (1, True)


def choosing(labels: list[str]) -> dict:
    """Make an annotation of Label Studio."""
    region = {"from_name": "labels", "type": "choices", "value": {"choices": labels}}
    return {"completed_by": 1, "result": [region] if labels else []}


def test_programs_vote_where_they_are_asked(cli, tags, tmp_path):
    """Beside people, or where there are none."""
    path, out = tmp_path / "records.json", tmp_path / "v.duckdb"
    record = {
        "id": "d",
        "fields": {"text": "t"},
        "suggestions": {"labels": {"value": ["soup"], "score": [0.25], "agent": "m"}},
        "responses": {"labels": [{"value": ["cake"], "user_id": "u1"}]},
    }
    path.write_text(json.dumps([record]), encoding="utf-8")
    importing = ("votes", "import", path, "--format", "argilla", "-t", tags, "-o", out)
    assert cli(*importing).out.splitlines() == ["u1: 1 vote"]
    assert cli(*importing, "--predictions").out.splitlines() == ["m: 1 vote", "u1: 1 vote"]
    assert votes_of(out, "m") == [("m", "d", "soup", 1, 0.25, 1)]
    refused = cli(
        "import", path, "--format", "argilla", "-t", tags, "--to", tmp_path / "g.jsonl", "--annotator", "nobody"
    )
    assert (refused.code, "'nobody'" in refused.err) == (1, True)


def test_a_file_of_another_format_is_refused(cli, tags, tmp_path):
    """Array or not, as votes and as gold: with the line, and nothing is written."""
    path, out, gold = tmp_path / "file.json", tmp_path / "v.duckdb", tmp_path / "gold.jsonl"
    path.write_text(json.dumps(TASKS), encoding="utf-8")
    for refused in (
        cli("votes", "import", path, "--format", "argilla", "-t", tags, "-o", out),
        cli("import", path, "--format", "argilla", "-t", tags, "--to", gold),
    ):
        assert refused.code == 1
        assert "file.json:1: the record has neither fields nor responses" in refused.err
    assert "an object was expected" in cli("import", path, "--format", "wrench", "-t", tags, "--to", gold).err
    assert not out.exists()
    assert not gold.exists()


def test_a_bad_entry_is_left_out_and_told(cli, tags, tmp_path):
    """With code 3; an entry that comes again, too."""
    path, out = tmp_path / "tasks.json", tmp_path / "v.duckdb"
    path.write_text(json.dumps([*TASKS, 5, TASKS[1]]), encoding="utf-8")
    done = cli("votes", "import", path, "--format", "label-studio", "-t", tags, "-o", out)
    assert done.code == 3
    assert "Could not be read: 2 rows." in done.err


def test_a_file_that_breaks_late_replaces_no_votes(cli, tags, tmp_path):
    """It is read to its end before anything is written."""
    path, out = tmp_path / "tasks.json", tmp_path / "v.duckdb"
    path.write_text(json.dumps(TASKS), encoding="utf-8")
    cli("votes", "import", path, "--format", "label-studio", "-t", tags, "-o", out)
    before = votes_of(out, "7")
    path.write_text(json.dumps(TASKS)[:-1] + ", {]", encoding="utf-8")
    refused = cli("votes", "import", path, "--format", "label-studio", "-t", tags, "-o", out)
    assert refused.code == 1
    assert "tasks.json:1: this is not JSON" in refused.err
    assert votes_of(out, "7") == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "x.npz", "--format", "cleanlab"], "cleanlab needs probabilities"),
        (["--to", "x.csv", "--docs", "DOCS"], "a table has no texts"),
        (["--to", "x.json", "--format", "argilla", "--depth", "1"], "are for tables"),
        (["--to", "x.csv", "--format", "label-studio"], "Use .json"),
        (["--to", "nosuch/x.json", "--format", "argilla"], "nosuch"),
        (["--to", "DOCS", "--format", "huggingface"], "cannot be made"),
        (["--to", "x.json", "--format", "argilla", "--docs", "absent.jsonl"], "absent.jsonl"),
    ],
)
def test_an_export_that_cannot_be_made(cli, runs, recipes, tmp_path, monkeypatch, options, words):
    """One line says why, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    refused = cli("export", runs, *(str(recipes) if each == "DOCS" else each for each in options))
    assert refused.code == 1, refused
    assert words in refused.err
    assert "Traceback" not in refused.err
    assert sorted(tmp_path.rglob("*")) == before


def test_cleanlab_needs_documents_with_gold(cli, soft, tmp_path):
    """It compares them with probabilities."""
    refused = cli("export", soft, "--format", "cleanlab", "--to", tmp_path / "x.npz")
    assert (refused.code, "--docs" in refused.err) == (1, True)
    assert not (tmp_path / "x.npz").exists()


def test_gold_that_the_taxonomy_lacks_is_told(cli, soft, tmp_path):
    """And left out; documents that are not in both are counted."""
    docs = write_jsonl(
        tmp_path / "some.jsonl",
        [
            {"id": "lentil-pot", "text": "x", "labels": ["soup", "stilts"]},
            {"id": "other", "text": "y"},
            {"id": "no text"},
        ],
    )
    done = cli(
        "export", soft, "--run", "soft", "--format", "huggingface", "--to", tmp_path / "x", "--docs", docs, "--json"
    )
    assert done.code == 3
    told = json.loads(done.out)
    assert told["outside_taxonomy"] == {"stilts": 1}
    assert [told[name] for name in ("documents", "not_in_run", "not_in_corpus", "unreadable")] == [1, 1, 11, 1]
    assert "'stilts'" in done.err


@pytest.mark.parametrize(
    ("command", "format_", "name", "beside"),
    [
        ("export", "table", "x.jsonl", "x.jsonl"),
        ("export", "label-studio", "x.json", "x.xml"),
        ("export", "argilla", "x.json", "x.settings.json"),
        ("export", "cleanlab", "x.npz", "x.labels.json"),
        ("export", "huggingface", "x", "x/README.md"),
        ("votes export", "snorkel", "x.npz", "x.npz"),
        ("votes export", "wrench", "x", "x/label.json"),
    ],
)
def test_an_export_writes_over_nothing_that_is_there(cli, soft, tmp_path, command, format_, name, beside):
    """Nor over a file beside the one that was named."""
    theirs = tmp_path / beside
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("precious", encoding="utf-8")
    refused = cli(*command.split(), soft, "--format", format_, "--to", tmp_path / name)
    assert (refused.code, str(theirs) in refused.err, "--replace" in refused.err) == (1, True, True), refused
    assert theirs.read_text(encoding="utf-8") == "precious"


def test_an_export_never_writes_over_what_it_reads(cli, soft, recipes, tmp_path):
    """Neither the database nor the documents, whatever they are called and whatever is said."""
    store = soft.rename(tmp_path / "votes.jsonl")
    docs = tmp_path / "docs.json"
    docs.write_bytes(recipes.read_bytes())
    link = tmp_path / "link.csv"
    link.symlink_to(store)
    inside = tmp_path / "set" / "data" / "train-00000-of-00001.parquet"
    inside.parent.mkdir(parents=True)
    inside.write_bytes(recipes.read_bytes())
    before = store.read_bytes(), docs.read_bytes(), inside.read_bytes()
    for target, options in (
        (store, []),
        (link, []),
        (docs, ["--format", "argilla", "--docs", docs]),
        (tmp_path / "set", ["--format", "huggingface", "--docs", inside]),
    ):
        refused = cli("export", store, "--to", target, "--replace", *options)
        assert (refused.code, "stays as it is" in refused.err) == (1, True), refused
    refused = cli("votes", "export", store, "--to", store, "--replace")
    assert (refused.code, "stays as it is" in refused.err) == (1, True), refused
    assert (store.read_bytes(), docs.read_bytes(), inside.read_bytes()) == before


def test_a_second_split_of_wrench_needs_no_replace(cli, soft, recipes, tmp_path):
    """Names of classes and voters are the same; the split itself is a file like any other."""
    table, out = tmp_path / "one.jsonl", tmp_path / "one.duckdb"
    ids = [json.loads(line)["id"] for line in recipes.read_text(encoding="utf-8").splitlines()]
    rows = [{"voter": "a", "document": name, "label": "bread"} for name in ids]
    assert cli("votes", "import", write_jsonl(table, rows), "-t", RECIPES / "tags.csv", "-o", out).code == 0
    command = ["votes", "export", out, "--format", "wrench", "--to", tmp_path / "x", "--split"]
    assert [cli(*command, each).code for each in ("train", "test", "test")] == [0, 0, 1]
    assert cli(*command, "test", "--replace").code == 0


def test_an_import_says_where_what_it_left_out_stands(cli, tags, tmp_path):
    """The first few labels and entries, with their lines; and how many of each."""
    path, gold = tmp_path / "tasks.json", tmp_path / "gold.jsonl"
    tasks = [
        {"data": {"id": "a", "text": "x"}, "annotations": [choosing(["soup"])]},
        {"data": {"id": "b", "text": "x"}, "annotations": [choosing(["soup", "nowhere"])]},
        {"data": {"text": "no id"}, "annotations": []},
        {"data": {"id": "c", "text": "x"}, "annotations": [choosing(["soup", "nowhere", "elsewhere"])]},
    ]
    path.write_text("[\n" + ",\n".join(map(json.dumps, tasks)) + "\n]\n", encoding="utf-8")
    done = cli("import", path, "--format", "label-studio", "-t", tags, "--to", gold)
    assert done.code == 3
    lines = done.err.splitlines()
    at = lines.index("Left out: 3 labels, 2 different, that the taxonomy lacks:")
    assert lines[at + 1].startswith(f"  {path}:3: ")
    assert "'nowhere'" in lines[at + 1]
    assert lines[at + 2].startswith(f"  {path}:5: ")
    at = lines.index("Could not be read: 1 entry")
    assert lines[at + 1].startswith(f"  {path}:4: data.id")
    docs = tmp_path / "docs.jsonl"
    docs.write_text('{"id": "a", "text": "x"}\n{"id": "b"\n', encoding="utf-8")
    runs = tmp_path / "runs.duckdb"
    assert cli("label", docs, "-t", tags, "-o", runs, "--embedder", "wordllama").code == 3
    done = cli("export", runs, "--format", "argilla", "--to", tmp_path / "x.json", "--docs", docs)
    assert "Wrote 1 document of run" in done.err
    assert f"  {docs}:2: " in done.err


@pytest.mark.parametrize("bad", [{}, {"data": {"text": "an entry without id"}}])
def test_an_annotator_who_is_not_there_is_named(cli, tags, tmp_path, bad):
    """With those who are, whatever else is wrong with the file, and beside one who is there."""
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([bad, *TASKS]), encoding="utf-8")
    command = ["import", path, "--format", "label-studio", "-t", tags, "--to", tmp_path / "g.jsonl"]
    for others in ([], ["--annotator", "7"]):
        refused = cli(*command, *others, "--annotator", "nobody")
        assert refused.code == 1
        assert "there is no annotator 'nobody'" in refused.err
        assert "ann@x.org, 7, 8" in refused.err.replace("7, ann@x.org", "ann@x.org, 7")
    assert not (tmp_path / "g.jsonl").exists()
