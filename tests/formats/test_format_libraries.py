"""Snorkel, cleanlab, datasets, Label Studio and Argilla themselves load what labelmill writes, hostile names and all."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from written_formats import HOSTILE, taxonomy_of

from labelmill.corpus import Corpus
from labelmill.pipelines.exchange import export_run, export_votes
from labelmill.pipelines.voting.combine import combine_votes
from labelmill.pipelines.voting.importing import import_votes
from labelmill.pipelines.voting.summary import summarise_votes
from labelmill.store import Store
from labelmill.store.reader import export
from scripted import write_jsonl

PYTHON = "LABELMILL_FORMATS_PYTHON"
NAMES = [name for name in HOSTILE if name.isprintable()]
ODD_RUN = 'one: "of" several # - | it\'s `x`\n'
VOTERS = 'an "LF", really', "two\nlines", "third"


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory):
    """Have a library load files, in its environment and without a network."""
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(f"no libraries: {PYTHON} is not set; `make test-formats` installs them and runs these tests")
    home = tmp_path_factory.mktemp("home")
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"]}

    def run(library: str, *files: object) -> dict[str, Any]:
        command = [python, Path(__file__).with_name("load_in_libraries.py"), library, *map(str, files)]
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    """Forty documents of one label each, what three voters say of them, and that combined; one gold label is wrong."""
    folder = tmp_path_factory.mktemp("made")
    taxonomy = taxonomy_of(NAMES)
    ids = [label.id for label in taxonomy][:4]
    documents, votes = [], []
    for number in range(40):
        name, right = f"d{number:02} {NAMES[number % len(NAMES)]}", ids[number % 4]
        gold = ids[0] if number == 3 else right
        documents.append({"id": name, "text": f"{number}: {NAMES[number % 3]}", "labels": [gold]})
        said = [right, right, ids[(number + (number % 5 == 0)) % 4]]
        votes += [
            {"voter": voter, "document": name, "label": label, "vote": 1, "confidence": 0.5}
            for voter, label in zip(VOTERS, said, strict=True)
            if (number + VOTERS.index(voter)) % 7
        ]
    docs, table = write_jsonl(folder / "docs.jsonl", documents), write_jsonl(folder / "votes.jsonl", votes)
    out = folder / "votes.duckdb"
    import_votes(table, out, taxonomy)
    combine_votes(out, method="dawid-skene", exclusive=True, run=ODD_RUN)
    combine_votes(out, method="weighted", run="several")
    return out, Corpus([docs]), taxonomy


def rows_of(path: Path, run: str, target: Path) -> list[tuple[Any, ...]]:
    """Export a run as a table, and read its rows."""
    with Store(path) as store:
        export(store, run, target)
    lines = map(json.loads, target.read_text(encoding="utf-8").splitlines())
    return sorted((row["document"], row["rank"], row["label"], row["score"], row["selected"]) for row in lines)


def test_datasets_loads_the_rows_of_the_table(load, made, tmp_path):
    """Every document, label, rank and score; the labels are a configuration of their own."""
    path, corpus, taxonomy = made
    folder = tmp_path / "set"
    export_run(path, folder, "huggingface", run=ODD_RUN, corpus=corpus)
    found = load("datasets", folder, tmp_path / "cache")
    rows = sorted(
        (document["id"], each["rank"], each["label"], each["score"], each["selected"])
        for document in found["documents"]
        for each in document["predictions"]
    )
    assert rows == rows_of(path, ODD_RUN, tmp_path / "rows.jsonl")
    given = {document.id: (document.text, list(document.labels)) for document in corpus.documents()}
    assert {each["id"]: (each["text"], each["gold"]) for each in found["documents"]} == given
    assert [(each["id"], each["name"]) for each in found["labels"]] == [(label.id, label.name) for label in taxonomy]


@pytest.mark.parametrize("tree", [False, True])
def test_label_studio_finds_tasks_and_interface_valid(load, made, tmp_path, tree):
    """And would say so if they were not."""
    from written_formats import labels_of

    from labelmill.formats import Item, Scored
    from labelmill.formats.label_studio import write_interface, write_tasks

    path, corpus, _ = made
    tasks, interface = tmp_path / "tasks.json", tmp_path / "tasks.xml"
    export_run(path, tasks, "label-studio", run=ODD_RUN, corpus=corpus)
    if tree:
        labels = labels_of(taxonomy_of(NAMES, tree=True))
        chosen = tuple(Scored(place, place + 1, 0.5, True) for place in range(len(NAMES)))
        write_tasks(tasks, [Item("d", "a text", None, chosen)], labels, "a run")
        write_interface(interface, labels)
    found = load("label_studio", tasks, interface)
    assert found["control"] == ("Taxonomy" if tree else "Choices")
    assert all(found["tasks"])
    assert [each for each in found["errors"] if each] == []
    wrong = json.loads(tasks.read_text(encoding="utf-8"))
    if not tree:
        wrong[0]["predictions"][0]["result"][0]["value"]["choices"] = ["no such label"]
        tasks.write_text(json.dumps(wrong), encoding="utf-8")
        assert load("label_studio", tasks, interface)["errors"][0]


def test_argilla_loads_records_and_settings(load, made, tmp_path):
    """The same records come out of it again."""
    path, corpus, taxonomy = made
    records = tmp_path / "records.json"
    export_run(path, records, "argilla", run=ODD_RUN, corpus=corpus)
    found = load("argilla", records, tmp_path / "records.settings.json")
    assert found["options"] == [label.id for label in taxonomy]
    assert found["records"] == json.loads(records.read_text(encoding="utf-8"))
    scored = [each["suggestions"]["labels"]["score"] for each in found["records"] if each["suggestions"]]
    assert all(0 <= score <= 1 for scores in scored for score in scores)


@pytest.mark.parametrize("exclusive", [True, False])
def test_cleanlab_finds_the_wrong_label(load, made, tmp_path, exclusive):
    """Of one label a document and of several."""
    path, corpus, taxonomy = made
    target = tmp_path / "examples.npz"
    run = ODD_RUN if exclusive else "several"
    done = export_run(path, target, "cleanlab", run=run, corpus=corpus, exclusive=exclusive)
    found = load("cleanlab", *done.files)
    wrong = next(document.id for document in corpus.documents() if document.id.startswith("d03"))
    assert wrong == found["worst"]
    assert wrong in found["issues"]
    given = [taxonomy.resolve(*document.labels) for document in corpus.documents()]
    assert found["labels"] == (given if exclusive else [[each] for each in given])


@pytest.mark.parametrize("exclusive", [True, False])
def test_snorkel_analyses_and_learns_from_the_matrix(load, made, tmp_path, exclusive):
    """Its coverage of each labelling function is ours; its majority is what most of them say."""
    path, _, _ = made
    target = tmp_path / "votes.npz"
    export_votes(path, target, "snorkel", exclusive=exclusive)
    found = load("snorkel", target)
    assert set(found["coverage"]) == set(VOTERS)
    assert found["probabilities"] == [len(found["L"]), len(found["labels"]) if exclusive else 2]
    if exclusive:
        ours = {row["voter"]: row["coverage"] for row in summarise_votes(path, exclusive=True).rows()}
        assert found["coverage"] == pytest.approx(ours)
        unanimous = [set(row) - {-1} for row in found["L"]]
        told = zip(found["majority"], unanimous, strict=True)
        assert all(most in said for most, said in told if len(said) == 1)


def test_every_package_is_pinned_and_no_host_is_named():
    """They are installed without dependencies; a CUDA build of torch would take gigabytes more."""
    text = (Path(__file__).parents[2] / "requirements-formats.txt").read_text(encoding="utf-8")
    pins = dict(line.split("==") for line in text.splitlines() if line and not line.startswith("#"))
    assert pins["torch"].endswith("+cpu")
    assert [name for name in pins if name.startswith(("nvidia", "cuda", "triton"))] == []
    assert "://" not in text
