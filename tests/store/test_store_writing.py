"""What is written is what is read: every table, every character, batch by batch."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_runs import key_of

from labelmill.errors import StoreError
from labelmill.records import Failure, Label, LaneHit, Prediction
from labelmill.store import DocumentResult, RunWriter, StageResult, Store
from labelmill.store.reader import read_failures, read_taxonomy
from labelmill.taxonomy import Taxonomy

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAME = TEXT.filter(str.strip)
COUNT = st.integers(0, 2**31 - 1)
HITS = st.builds(LaneHit, NAME, COUNT, st.floats(width=32, allow_nan=False, allow_infinity=False), TEXT)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
PREDICTIONS = st.builds(
    Prediction,
    label=NAME,
    name=st.just(""),
    rank=COUNT,
    score=st.floats(allow_nan=False, allow_infinity=False),
    selected=st.booleans(),
    retrieval_rank=COUNT,
    evidence=st.lists(HITS, max_size=3).map(tuple),
    retrieval_score=st.floats(allow_nan=False, allow_infinity=False),
)
KEYS = st.text("0123456789abcdef", min_size=32, max_size=32)
DOCUMENTS = st.builds(
    DocumentResult,
    NAME,
    KEYS,
    TEXT,
    COUNT,
    st.lists(PREDICTIONS, max_size=3),
    st.lists(NAME, max_size=2).map(tuple),
    st.just("") | KEYS,
)
FAILURES = st.builds(Failure, NAME, TEXT, TEXT, TEXT, TEXT, COUNT)
STAGES = st.builds(
    StageResult, KEYS, TEXT, TEXT, st.lists(JSON, max_size=3), COUNT, COUNT, COUNT, st.floats(0, 1e9), COUNT
)
SQL = {
    "documents": "SELECT document, key, source, chunks, stages, retrieval FROM documents WHERE run = ?",
    "predictions": "SELECT document, label, rank, score, selected, retrieval_rank, evidence, retrieval_score "
    "FROM predictions WHERE run = ?",
    "failures": "SELECT document, stage, kind, message, source, attempts, key FROM failures WHERE run = ?",
}


def as_rows(documents, failures):
    """What the tables should hold."""
    return {
        "documents": [(d.document, d.key, d.source, d.chunks, list(d.stages), d.retrieval) for d in documents],
        "predictions": [
            (
                d.document,
                p.label,
                p.rank,
                p.score,
                p.selected,
                p.retrieval_rank,
                [asdict(hit) for hit in p.evidence],
                p.retrieval_score,
            )
            for d in documents
            for p in d.predictions
        ],
        "failures": [tuple(asdict(failure).values()) for failure in failures],
    }


@settings(max_examples=15)
@given(
    run=NAME,
    documents=st.lists(DOCUMENTS, max_size=4, unique_by=lambda item: item.document),
    failures=st.lists(FAILURES, max_size=3),
    stages=st.lists(STAGES, max_size=3, unique_by=lambda item: item.key),
    program=st.dictionaries(TEXT, JSON, max_size=3),
)
def test_rows_read_are_rows_written(run, documents, failures, stages, program):
    """Any text, any finite number, NUL included: the same values come back from the closed file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.duckdb"
        name = run.replace("\0", "0")  # a taxonomy holds no NUL
        taxonomy = Taxonomy.from_labels([Label("x", name, (name,), name, (f"above {name}",))])
        with Store(path, write=True) as store:
            writer = RunWriter(
                store,
                run=run,
                key=run,
                program=program,
                taxonomy=taxonomy,
                taxonomy_source=run,
                corpus=[run, run],
                version=run,
            )
            writer.write(documents, failures, stages)
            assert writer.stored.answers([stage.key for stage in stages]) == {
                stage.key: stage.output for stage in stages
            }
        with Store(path) as store:
            for table, rows in as_rows(documents, failures).items():
                assert store.connection.execute(SQL[table], [run]).fetchall() == rows
            found = store.connection.execute("SELECT run, key, version, corpus, taxonomy FROM runs").fetchall()
            assert found == [(run, run, run, [run, run], taxonomy.key)]
            assert read_taxonomy(store, run).labels == taxonomy.labels
            assert len(read_failures(store, run)) == len(failures)


def test_very_long_texts(written, fill):
    """A phrase, a message and a name of megabytes."""
    long = "loaf, „Brot“ 🥖\n" * 200_000
    hit = LaneHit("lane", 1, 0.5, long)
    document = written.document("d", predictions=[Prediction("x", "x", 1, 0.5, True, 1, (hit,))])
    fill([document], [Failure("f", "infer", "kind", long)], taxonomy=Taxonomy.from_names(["x", long]))
    assert written.rows("SELECT evidence[1].query FROM predictions") == [(long,)]
    assert written.rows("SELECT message FROM failures") == [(long,)]
    assert written.rows("SELECT name FROM labels WHERE position = 1") == [(long,)]


def test_a_run_is_taken_up(written):
    """A second sitting knows what is done, what failed, and what the model said."""
    with Store(written.path, write=True) as store:
        writer = written.writer(store)
        assert (writer.stored.done(key_of("a")), writer.stored.failed(), writer.stored.answers([key_of("s1")])) == (
            False,
            {},
            {},
        )
        documents = [written.document(name) for name in "abc"]
        writer.write(documents, [Failure("d", "infer", "rejected", "too long")], [written.stage("s1")])
    with Store(written.path, write=True) as store:
        writer = written.writer(store, corpus=["other.jsonl"])
        assert [writer.stored.done(key_of(name)) for name in "abcd"] == [True, True, True, False]
        assert writer.stored.failed() == {"d": ("", "rejected")}
        assert writer.stored.answers([key_of("s1"), key_of("s2")]) == {key_of("s1"): ["salt"]}
        assert writer.stored.answers([]) == {}
    assert written.rows("SELECT corpus, state FROM runs") == [(["other.jsonl"], "running")]


def test_a_document_is_replaced_whole(written, fill):
    """Done twice, it has the newer rows alone; failed and then done, it failed no more; and the reverse."""
    fill(
        [written.document("a", 3), written.document("b", 1)],
        [Failure("c", "infer", "x", "m"), Failure("e", "read", "x", "m")],
    )
    fill([written.document("a", 1), written.document("c", 2)], [Failure("b", "rank", "y", "m")])
    assert written.rows("SELECT document, count(*) FROM predictions GROUP BY 1 ORDER BY 1") == [("a", 1), ("c", 2)]
    assert written.rows("SELECT document FROM documents ORDER BY 1") == [("a",), ("c",)]
    assert written.rows("SELECT document, stage FROM failures ORDER BY 1") == [("b", "rank"), ("e", "read")]


def test_a_batch_that_fails_midway_leaves_nothing(written):
    """Predictions that cannot be stored undo the whole batch, its deletions too; the next batch is written."""
    with Store(written.path, write=True) as store:
        writer = written.writer(store)
        writer.write([written.document("a", 3)], [], [])
        broken = Prediction("x", "x", 1, float("nan"), selected=True, retrieval_rank=1)
        with pytest.raises(duckdb.ConstraintException):
            writer.write(
                [written.document("a", 1), written.document("b", predictions=[broken])],
                [Failure("c", "infer", "x", "m")],
                [written.stage("s1")],
            )
        writer.write([written.document("z", 1)], [], [])
    assert written.rows("SELECT document, count(*) FROM predictions GROUP BY 1 ORDER BY 1") == [("a", 3), ("z", 1)]
    assert written.rows("SELECT document FROM documents ORDER BY 1") == [("a",), ("z",)]
    assert written.rows("SELECT count(*) FROM stages") == written.rows("SELECT count(*) FROM failures") == [(0,)]


def test_another_program_is_refused_under_the_same_name(written, fill):
    """A run's rows are of one program; the message says what to do, and nothing is changed."""
    fill([written.document("a")])
    with Store(written.path, write=True) as store:
        with pytest.raises(StoreError, match=r"has a run 'first' of another program, taxonomy or model\. .*--run"):
            written.writer(store, key="k2", taxonomy=Taxonomy.from_names(["other"]))
        assert written.writer(store).stored.done(key_of("a"))
    assert written.rows("SELECT count(*) FROM runs") == written.rows("SELECT count(*) FROM taxonomies") == [(1,)]


def test_two_runs_share_a_file(written, fill):
    """Each has its own documents; the taxonomy and the model's answers are there once for both."""
    fill([written.document("a", 2)], stages=[written.stage("s1")])
    with Store(written.path, write=True) as store:
        second = written.writer(store, run="second", key="k2")
        assert not second.stored.done(key_of("a"))
        assert second.stored.answers([key_of("s1")]) == {key_of("s1"): ["salt"]}
        second.write([written.document("a", 1)], [], [])
    assert written.rows("SELECT run, count(*) FROM predictions GROUP BY 1 ORDER BY 1") == [("first", 2), ("second", 1)]
    assert written.rows("SELECT source, labels FROM taxonomies") == [("labels.csv", 10)]
    assert written.rows("SELECT count(*) FROM labels") == [(10,)]


def test_sittings_add_up(written):
    """The state is the last sitting's, the seconds are all sittings'."""
    for state, seconds in (("interrupted", 1.5), ("finished", 2.0)):
        with Store(written.path, write=True) as store:
            written.writer(store).close(state, seconds)
    assert written.rows("SELECT state, seconds, updated >= started FROM runs") == [("finished", 3.5, True)]


def test_writing_and_looking_up_from_many_threads(written):
    """Batches come from worker threads; none is lost, and lookups in between are whole."""
    with Store(written.path, write=True) as store:
        writer = written.writer(store)

        def work(number: int) -> bool:
            writer.write([written.document(str(number))], [], [written.stage(f"s{number}")])
            return writer.stored.answers([key_of(f"s{number}")]) == {key_of(f"s{number}"): ["salt"]}

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(work, range(40)))
    assert written.rows("SELECT count(DISTINCT batch) FROM documents") == [(40,)]
    assert written.rows("SELECT count(*) FROM predictions") == [(80,)]


def test_an_empty_batch_writes_nothing(written, fill):
    """No documents, no failures, no answers."""
    fill()
    assert written.rows("SELECT count(*) FROM documents") == [(0,)]


def test_a_taxonomy_from_a_file_whose_name_is_not_utf8(written, fill):
    """The source is for people alone; what no database takes of it is replaced."""
    fill(taxonomy_source="caf\udce9.csv")
    assert written.rows("SELECT source FROM taxonomies") == [("caf?.csv",)]


def test_the_file_is_opened_anew_now_and_then(written):
    """What was written before is there and is used again; a reader that comes in between is waited for."""
    reader = (
        "import duckdb, sys, time\n"
        "while True:\n"
        "    try:\n"
        "        held = duckdb.connect(sys.argv[1], read_only=True)\n"
        "    except duckdb.IOException:\n"
        "        continue\n"
        "    print('held', flush=True)\n"
        "    time.sleep(0.3)\n"
        "    break\n"
    )
    with Store(written.path, write=True) as store:
        writer = written.writer(store, renew_every=2)
        first = store.connection
        writer.write([written.document("a", stages=("s",))], [], [StageResult(key_of("s"), "infer", "m", ["bread"])])
        assert store.connection is first
        with subprocess.Popen(
            [sys.executable, "-c", reader, str(written.path)], stdout=subprocess.PIPE, text=True
        ) as process:
            writer.write([written.document("b")], [], [])
            process.terminate()
        assert store.connection is not first
        assert writer.stored.answers([key_of("s")]) == {key_of("s"): ["bread"]}
        writer.write([written.document("c")], [], [])
        writer.close("finished", 1.0)
    with Store(written.path) as store:
        rows = store.connection.execute(
            "SELECT document, count(*) FROM predictions GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert rows == [("a", 2), ("b", 2), ("c", 2)]


def test_a_file_that_is_not_given_back_is_told(written):
    """By the process that has it; the wait is bounded."""
    with Store(written.path, write=True) as store:
        written.writer(store)
        store.connection.close()
        written.path.write_bytes(b"something else")
        with pytest.raises(StoreError, match="not a DuckDB file"):
            store.renew(patience=0.2)


def test_two_writers_of_one_file_do_not_double_its_rows(written):
    """Where another process wrote while the file was opened anew, what was loaded is old: the run ends."""
    with Store(written.path, write=True) as store:
        writer = written.writer(store, renew_every=2)
        writer.write([written.document("a")], [], [])
        renew = store.renew

        def renew_late(*args):
            store.connection.close()
            with Store(written.path, write=True) as other:
                second = written.writer(other)
                second.write([written.document("c")], [], [])
            renew(*args)

        store.renew = renew_late
        with pytest.raises(StoreError, match="Another process wrote"):
            writer.write([written.document("b")], [], [])
