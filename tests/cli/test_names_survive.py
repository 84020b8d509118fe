"""A name with commas, colons, quotes, line breaks and emoji is one name from the file to the export."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb
import pytest

from scripted import ScriptedModel, served, write_jsonl

HARD = 'soups, "stews": a | b\\c; [[ ## text ## ]] {x}\n🍲 d\'hiver'
NAMES = [HARD, "bread, rye", "bread", "1. bread", "пироги", "ΑΣ", "null", "#tag", "=1+1", "<b>bold</b>"]
TEXT = "Soups and stews d'hiver, with rye bread and пироги."


def write_taxonomy(path: Path) -> Path:
    if path.suffix == ".jsonl":
        return write_jsonl(path, [{"id": f"id,{n}|x", "name": name} for n, name in enumerate(NAMES)])
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([("id", "name"), *((f"id,{n}|x", name) for n, name in enumerate(NAMES))])
    return path


def read_back(path: Path) -> list[tuple[str, str]]:
    """Read an export as another program would: (label, name) of each row."""
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return [(row["label"], row["name"]) for row in rows]
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [(row["label"], row["name"]) for row in csv.DictReader(file)]
    return duckdb.sql("SELECT label, name FROM read_parquet(?)", params=[str(path)]).fetchall()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("rank", ["fusion", "listwise", "whole"])
def test_a_hard_name_survives_every_step(label, cli, tmp_path, suffix, rank):
    """Read, labelled, chosen by number, stored, met by gold of that name, exported in three formats and read back."""
    taxonomy = write_taxonomy(tmp_path / f"labels{suffix}")
    docs = write_jsonl(tmp_path / "docs.jsonl", [{"id": "d", "text": TEXT, "labels": [HARD]}])
    shown = " ".join(HARD.split())  # the model sees one line for each candidate
    model = ScriptedModel(choose=lambda request: [request.candidates.index(shown) + 1])
    with served(model) as url:
        options = ["--lm", url, "--infer", "windows", "--rank", rank] if rank != "fusion" else []
        done = label(docs, "--taxonomy", taxonomy, "--top-k", len(NAMES), *options)
    assert done.code == 0, done.err
    if rank != "fusion":
        assert set(model.requests[0].candidates) == {" ".join(name.split()) for name in NAMES}
    out = tmp_path / "runs.duckdb"
    evaluated = json.loads(cli("eval", out, "--gold", docs, "--json", "--resamples", 20, "-k", len(NAMES)).out)
    assert evaluated["labels_outside_taxonomy"] == 0
    assert evaluated["metrics"][f"r@{len(NAMES)}"]["value"] == 1.0
    if rank != "fusion":
        assert evaluated["metrics"]["micro_precision"]["value"] == 1.0
    expected = {(f"id,{n}|x", name) for n, name in enumerate(NAMES)}
    for ending in ("csv", "jsonl", "parquet"):
        target = tmp_path / f"export.{ending}"
        assert cli("export", out, "--to", target).code == 0
        rows = read_back(target)
        assert len(rows) == len(NAMES)
        assert set(rows) == expected
    assert rows[0] == ("id,0|x", HARD) or rank == "fusion"


def test_an_export_of_gold_is_a_corpus_again(label, cli, tmp_path):
    """What was exported as JSON Lines can be read as labels of documents, and then meets itself perfectly."""
    taxonomy = write_taxonomy(tmp_path / "labels.jsonl")
    docs = write_jsonl(tmp_path / "docs.jsonl", [{"id": "d", "text": TEXT}])
    assert label(docs, "--taxonomy", taxonomy, "--top-k", 3).code == 0
    out, target = tmp_path / "runs.duckdb", tmp_path / "selected.jsonl"
    cli("export", out, "--to", target, "--selected")
    gold = write_jsonl(
        tmp_path / "gold.jsonl", [{"id": "d", "text": TEXT, "labels": [name for _, name in read_back(target)]}]
    )
    evaluated = json.loads(cli("eval", out, "--gold", gold, "--json", "--resamples", 20).out)
    assert evaluated["metrics"]["micro_f1"]["value"] == 1.0
