"""Summaries, rankings as arrays, and exports that read back as what was written."""

from __future__ import annotations

import csv
import json
import os

import duckdb
import numpy as np
import pytest
from written_runs import LABELS, ODD

from labelmill.errors import InputError, StoreError
from labelmill.records import Failure, Prediction
from labelmill.store import Spending, Store
from labelmill.store.heartbeat import Heartbeat
from labelmill.store.reader import (
    choose_run,
    count_failures,
    export,
    last_run,
    predictions_of,
    read_failures,
    read_ranked,
    read_taxonomy,
    run_names,
)
from labelmill.store.summary import summarise
from labelmill.taxonomy import Taxonomy

COLUMNS = {
    "document": "VARCHAR",
    "label": "VARCHAR",
    "name": "VARCHAR",
    "rank": "INTEGER",
    "score": "DOUBLE",
    "selected": "BOOLEAN",
}


@pytest.fixture
def odd(written, fill):
    """A run whose documents bear the odd texts as ids, each with every odd label."""
    fill([written.document(text, len(ODD)) for text in ODD])
    return written


def expected_rows(selected_only=False):
    """What an export of the odd run holds, in order."""
    return [
        (document, label.id, label.name, rank, 1 / rank, rank == 1)
        for document in sorted(ODD, key=str.encode)
        for rank, label in enumerate(LABELS.labels, start=1)
        if rank == 1 or not selected_only
    ]


def test_a_summary_counts_what_was_done_and_what_it_cost(written, fill):
    """Documents, failures, predictions; the answers that went in, those of other runs too, and no others."""
    fill([written.document("z", stages=("s1", "s9"))], stages=[written.stage("s1"), written.stage("s9")])
    with Store(written.path, write=True) as store:
        writer = written.writer(store, run="second", key="k2", program={"top_k": 3, "model": "toy"})
        documents = [written.document("a", 3, ("s1", "s2")), written.document("b", 0, ("s2",))]
        spent = [Spending("infer", 3, 300, 180, 30, 1.5), Spending("rank", 1)]
        writer.write(documents, [Failure("c", "read", "empty-text", "m")], [written.stage("s2")], spent)
        writer.write([], [], [written.stage("s3")], spent[:1])
        writer.close("finished", 2.5, [Spending("infer", 1, 10, 5, 1, 0.1)])
    with Store(written.path) as store:
        summary = summarise(store, "second")
        assert (summary.run, summary.state, summary.taxonomy) == ("second", "finished", LABELS.key)
        assert (summary.documents, summary.failures, summary.predictions) == (2, 1, 3)
        assert (summary.selected, summary.unlabelled) == (1, 1)
        assert (summary.calls, summary.answers_prompt_tokens, summary.answers_cached_tokens) == (2, 200, 120)
        assert (summary.answers_completion_tokens, summary.seconds) == (20, 2.5)
        assert (summary.requests, summary.prompt_tokens, summary.cached_tokens) == (8, 610, 365)
        assert (summary.completion_tokens, summary.cached_share) == (61, 365 / 610)
        assert (summary.program, summary.model) == ({"top_k": 3, "model": "toy"}, "toy")
        assert summary.corpus == ["docs.jsonl"]
        assert summary.started <= summary.updated
        assert summary.as_dict()["started"] == summary.started.isoformat()
        assert last_run(store) == "second"
    assert written.rows("SELECT run, stage, requests, seconds FROM spent ORDER BY committed, stage, requests DESC") == [
        ("second", "infer", 3, 1.5),
        ("second", "rank", 1, 0.0),
        ("second", "infer", 3, 1.5),
        ("second", "infer", 1, 0.1),
    ]


def test_a_run_whose_process_is_gone_was_killed(written, fill):
    """Whoever can read the file knows that nobody writes it; but a disk without locks, where the sign of life counts."""
    fill([written.document("a")])
    heartbeat = Heartbeat(written.path)
    with Store(written.path) as store:
        assert summarise(store, "first").state == "killed"
        assert summarise(store, "first").seconds > 0
        heartbeat.beat({"run": "first", "state": "running"})
        assert summarise(store, "first").state == "running"
        heartbeat.beat({"run": "another", "state": "running"}, force=True)
        assert summarise(store, "first").state == "killed"


def test_a_run_that_has_just_begun(written):
    """Everything is zero, nothing fails."""
    with Store(written.path, write=True) as store:
        written.writer(store)
        summary = summarise(store, "first")
        assert (summary.documents, summary.calls, summary.prompt_tokens, summary.seconds) == (0, 0, 0, 0.0)
        ranked = read_ranked(store, "first", depth=5)
        assert (ranked.documents, ranked.failed, len(ranked.rows)) == ([], [], 0)
        assert read_failures(store, "first") == []


def test_runs_are_chosen_by_name_or_the_newest(written, fill):
    """Names oldest first; an unknown one is told with those that there are; an empty file says how to make one."""
    Store(written.path, write=True).close()
    with (
        Store(written.path) as store,
        pytest.raises(StoreError, match=r"holds no run\. Make one with: labelmill label"),
    ):
        choose_run(store, None)
    for run in ("b", "a, the second"):
        fill(run=run)
    with Store(written.path) as store:
        assert run_names(store) == ["b", "a, the second"]
        assert choose_run(store, None) == "a, the second"
        assert choose_run(store, "b") == "b"
        with pytest.raises(StoreError, match=r"has no run 'c'\. It has: b, a, the second\."):
            choose_run(store, "c")
        with pytest.raises(StoreError, match="has no run 'c'"):
            summarise(store, "c")


def test_a_ranking_as_arrays(written, fill):
    """Rows in the order of the documents, cut at the depth, but for what is selected deeper down."""
    deep = [
        Prediction(LABELS[position].id, LABELS[position].name, rank, 1 / rank, rank == 4, rank)
        for rank, position in enumerate((7, 2, 5, 0), start=1)
    ]
    fill([written.document("b", predictions=deep), written.document("a", 1), written.document("none", 0)])
    fill(failures=[Failure("broken", "infer", "x", "m")])
    with Store(written.path) as store:
        ranked = read_ranked(store, "first", depth=2)
    assert (ranked.documents, ranked.failed) == (["a", "b", "none"], ["broken"])
    assert (ranked.rows.dtype, ranked.labels.dtype, ranked.ranks.dtype) == (np.int64, np.int32, np.int32)
    assert ranked.rows.tolist() == [0, 1, 1, 1]
    assert ranked.labels.tolist() == [0, 7, 2, 0]
    assert ranked.ranks.tolist() == [1, 1, 2, 4]
    assert ranked.selected.tolist() == [True, False, False, True]


def test_the_taxonomy_comes_back_from_the_file(odd):
    """Same labels, same order, same key: a run can be read without the file of its taxonomy."""
    with Store(odd.path) as store:
        again = read_taxonomy(store, "first")
    assert again.labels == LABELS.labels
    assert again.key == LABELS.key


def test_runs_of_two_versions_of_a_taxonomy(written, fill):
    """Each run is read with the labels it was made with, though ids are the same."""
    edited = Taxonomy.from_labels(LABELS.labels[::-1])
    fill([written.document("a", 1)])
    fill([written.document("a", 1)], run="second", key="k2", taxonomy=edited)
    with Store(written.path) as store:
        assert [read_ranked(store, run, depth=5).labels.tolist() for run in ("first", "second")] == [[0], [9]]
        assert len(predictions_of(store, "second", ["a"], depth=5)) == 1
        assert read_taxonomy(store, "second").labels == edited.labels


def test_predictions_of_some_documents(odd):
    """Those asked for, by document and rank, down to a depth."""
    with Store(odd.path) as store:
        rows = predictions_of(store, "first", [ODD[1], ODD[0], "unknown"], depth=2)
    assert rows == [
        (document, rank, label, name, score, selected)
        for document, label, name, rank, score, selected in expected_rows()
        if document in ODD[:2] and rank <= 2
    ]


def test_failures_are_counted_by_their_reason(written, fill):
    """The most frequent reason first."""
    kinds = [("read", "empty-text"), ("rank", "unparseable"), ("read", "empty-text"), ("infer", "too-long")]
    fill(failures=[Failure(str(number), stage, kind, "m") for number, (stage, kind) in enumerate(kinds)])
    with Store(written.path) as store:
        assert count_failures(store, "first") == [
            ("read", "empty-text", 2),
            ("infer", "too-long", 1),
            ("rank", "unparseable", 1),
        ]


def test_failures_are_read_in_the_order_of_the_corpus(written, fill):
    """With every column."""
    failures = [
        Failure("b", "infer", "too-long", 'm "1",\n2', "docs.jsonl:1", 3),
        Failure("a", "read", "k", "m", "docs.jsonl:2"),
        Failure("0", "read", "k", "m", "docs.jsonl:11"),
        Failure("1", "read", "k", "m", "more.jsonl:3"),
    ]
    fill(failures=failures[::-1])
    with Store(written.path) as store:
        found = read_failures(store, "first")
    assert [failure["document"] for failure in found] == ["b", "a", "0", "1"]
    assert found[0] == {
        "document": "b",
        "stage": "infer",
        "kind": "too-long",
        "message": 'm "1",\n2',
        "source": "docs.jsonl:1",
        "attempts": 3,
    }


@pytest.mark.parametrize("selected_only", [False, True])
@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv", ".CSV"])
def test_an_export_reads_back_as_it_was(odd, tmp_path, suffix, selected_only):
    """DuckDB reads the same values out of every format, names with commas, quotes, line breaks and emoji included."""
    target = tmp_path / f"out{suffix}"
    with Store(odd.path) as store:
        count = export(store, "first", target, selected_only=selected_only)
    readers = {
        ".parquet": lambda: duckdb.read_parquet(str(target)),
        ".jsonl": lambda: duckdb.read_json(str(target), columns=COLUMNS, format="newline_delimited"),
        ".csv": lambda: duckdb.read_csv(str(target), dtype=COLUMNS, header=True, quotechar='"', escapechar='"'),
    }
    relation = readers[suffix.lower()]()
    assert relation.columns == list(COLUMNS)
    rows = relation.fetchall()
    assert sorted(rows) == sorted(expected_rows(selected_only))
    assert [row[3] for row in rows] == [row[3] for row in expected_rows(selected_only)]
    assert count == len(rows)


def test_an_export_is_read_by_others(odd, tmp_path):
    """Python's own readers agree."""
    with Store(odd.path) as store:
        export(store, "first", tmp_path / "out.csv")
        export(store, "first", tmp_path / "out.jsonl")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = (tmp_path / "out.jsonl").read_bytes().decode().split("\n")
    assert [row["name"] for row in rows] == [json.loads(line)["name"] for line in lines if line]
    assert {row["document"] for row in rows} == set(ODD)
    assert {row["name"] for row in rows} == set(ODD)


def test_an_export_of_nothing(written, fill, tmp_path):
    """No rows, but the columns."""
    fill()
    with Store(written.path) as store:
        assert [export(store, "first", tmp_path / f"out{suffix}") for suffix in (".parquet", ".jsonl", ".csv")] == [
            0
        ] * 3
    assert (tmp_path / "out.csv").read_text() == "document,label,name,rank,score,selected\n"
    assert (tmp_path / "out.jsonl").read_text() == ""
    assert duckdb.read_parquet(str(tmp_path / "out.parquet")).columns == list(COLUMNS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.xlsx", r"unknown format '\.xlsx'\. Use \.parquet"),
        ("out", "unknown format ''"),
        ("no/out.csv", "does not exist. Create it"),
    ],
)
def test_a_target_that_is_none(odd, tmp_path, name, message):
    """Unknown formats and missing folders are told before anything is read."""
    with Store(odd.path) as store, pytest.raises(InputError, match=message):
        export(store, "first", tmp_path / name)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_an_export_that_cannot_be_written(odd, tmp_path, suffix):
    """The message names the target, not the store, and nothing is left behind."""
    target = tmp_path / "folder" / f"out{suffix}"
    target.mkdir(parents=True)
    with Store(odd.path) as store, pytest.raises(StoreError, match=f"^{target} is a folder") as caught:
        export(store, "first", target)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path / "folder") == [target.name]  # noqa: PTH208


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_an_export_replaces_the_old_one_whole(odd, tmp_path, suffix):
    """A longer old file leaves no rest."""
    target = tmp_path / f"out{suffix}"
    with Store(odd.path) as store:
        export(store, "first", target, selected_only=True)
        fresh = target.read_bytes()
        target.write_bytes(b"old\n" * 100_000)
        export(store, "first", target, selected_only=True)
    assert target.read_bytes() == fresh
