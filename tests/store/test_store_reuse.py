"""What a run of a file knows of the runs before: answers, candidates, where rows lie; however large the file is."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_runs import LABELS, Written, key_of

from labelmill.records import Candidate, Failure, LaneHit, Prediction
from labelmill.store import DocumentResult, Store, Stored
from labelmill.store.stored import _ANSWERS
from labelmill.taxonomy import Taxonomy

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
SCORES = st.floats(0, 2) | st.floats(allow_nan=False, allow_infinity=False)
# As retrievers give them: of float32.
HITS = st.builds(LaneHit, TEXT, st.integers(1, 500), st.floats(width=32, allow_nan=False, allow_infinity=False), TEXT)
EVIDENCE = st.lists(HITS, max_size=4).map(tuple)
CANDIDATES = st.lists(
    st.builds(Candidate, st.integers(0, len(LABELS) - 1), SCORES, EVIDENCE), max_size=6, unique_by=lambda one: one.label
)


def ranked(candidates: list[Candidate], order: list[int], taxonomy: Taxonomy = LABELS) -> list[Prediction]:
    """Make predictions of candidates as Rank and Decide would: in another order, with other scores."""
    return [
        Prediction(
            taxonomy.labels[candidates[index].label].id,
            "",
            rank,
            2.0 - rank / 100,
            rank == 1,
            index + 1,
            candidates[index].evidence,
            candidates[index].score,
        )
        for rank, index in enumerate(order, start=1)
    ]


def document(name: str, candidates: list[Candidate], order: list[int] | None = None) -> DocumentResult:
    predictions = ranked(candidates, order if order is not None else list(range(len(candidates))))
    return DocumentResult(name, key_of(name), "f:1", 1, predictions, (), key_of(f"retrieval {name}"))


def same(found: list[Candidate], given: list[Candidate]) -> bool:
    """Compare to the last bit: 0.0 is not -0.0."""
    return repr(found) == repr(given)


@settings(max_examples=40)
@given(st.lists(CANDIDATES, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_candidates_come_back_bit_for_bit(lists, random):
    """In the order of the fusion, whatever Rank made of them, with evidence in its order; also after the file is closed."""
    with tempfile.TemporaryDirectory() as folder:
        written = Written(Path(folder) / "runs.duckdb")
        orders = [random.sample(range(len(candidates)), len(candidates)) for candidates in lists]
        documents = [document(str(n), *both) for n, both in enumerate(zip(lists, orders, strict=True))]
        keys = [item.retrieval for item in documents]
        with Store(written.path, write=True) as store:
            writer = written.writer(store)
            assert writer.stored.retrievals(keys) == {}
            for item in documents:
                writer.write([item], [], [])
            now = writer.stored.retrievals([*keys, key_of("unknown")])
        with Store(written.path) as store:
            later = Stored(store, "another run", LABELS).retrievals(reversed(keys))
        for found in (now, later):
            assert set(found) == set(keys)
            assert all(same(found[key], given) for key, given in zip(keys, lists, strict=True))


def test_a_large_batch_keeps_its_order(written):
    """More rows than DuckDB takes at a time: 64 documents, 100 labels, 12 lanes, each lane's place in its score."""
    taxonomy = Taxonomy.from_names([f"label {number}" for number in range(200)])
    lists = [
        [
            Candidate(
                int(label),
                float(score),
                tuple(LaneHit(f"lane {lane}", lane + 1, lane / 8, f"q {n}") for lane in range(n % 13)),
            )
            for label, score in zip(
                np.random.default_rng(n).permutation(200)[:100], np.linspace(1, 0, 100), strict=True
            )
        ]
        for n in range(64)
    ]
    documents = [
        DocumentResult(str(n), key_of(str(n)), "", 1, ranked(one, list(range(100)), taxonomy), (), key_of(f"r{n}"))
        for n, one in enumerate(lists)
    ]
    with Store(written.path, write=True) as store:
        writer = written.writer(store, taxonomy=taxonomy)
        writer.write(documents, [], [])
        found = writer.stored.retrievals(key_of(f"r{n}") for n in range(64))
    assert all(same(found[key_of(f"r{n}")], one) for n, one in enumerate(lists))


def test_a_document_without_a_retrieval_key_gives_no_candidates(written):
    """Nor does one whose batch was undone."""
    plain = replace(document("a", [Candidate(0, 0.5)]), retrieval="")
    broken = replace(document("b", [Candidate(0, 0.5)]), predictions=[Prediction("x", "", 1, float("nan"), False, 1)])
    with Store(written.path, write=True) as store:
        writer = written.writer(store)
        writer.write([plain], [], [])
        with pytest.raises(Exception, match="NOT NULL"):
            writer.write([broken], [], [written.stage("s1")])
        assert writer.stored.retrievals([key_of("retrieval a"), broken.retrieval]) == {}
        assert writer.stored.answers([key_of("s1")]) == {}
        writer.write([document("b", [Candidate(1, 0.25)])], [], [written.stage("s1", ["oven"])])
        assert writer.stored.retrievals([broken.retrieval]) == {broken.retrieval: [Candidate(1, 0.25)]}
        assert writer.stored.answers([key_of("s1")]) == {key_of("s1"): ["oven"]}


def test_answers_are_found_in_every_batch(written):
    """Of this sitting, of the one before, of other runs; the first answer of a key counts."""
    for sitting in range(3):
        with Store(written.path, write=True) as store:
            writer = written.writer(store, run=f"run {sitting // 2}", key=f"k{sitting // 2}")
            for number in range(5):
                name = f"{sitting} {number}"
                writer.write([], [], [written.stage(name, [name]), written.stage(name, ["again"])])
                writer.write([], [], [written.stage(name, ["later"])])
            names = [f"{before} {number}" for before in range(sitting + 1) for number in range(5)]
            assert writer.stored.answers(map(key_of, names)) == {key_of(name): [name] for name in names}
    assert written.rows("SELECT count(*), count(DISTINCT key) FROM stages") == [(15, 15)]
    assert written.rows(
        "SELECT bool_and(batch > before) FROM (SELECT batch, lag(batch, 1, 0) OVER () AS before FROM stages)"
    ) == [(True,)]


def test_a_document_that_failed_is_tried_again_in_the_same_sitting(written):
    """And then fails no more; or fails again, and has one row."""
    with Store(written.path, write=True) as store:
        writer = written.writer(store)
        writer.write([], [Failure("a", "rank", "x", "m"), Failure("b", "rank", "x", "m")], [])
        writer.write([written.document("a", 1)], [Failure("b", "rank", "y", "m")], [])
        writer.write([written.document("c", 1)], [], [])
    assert written.rows("SELECT document, kind FROM failures") == [("b", "y")]
    assert written.rows("SELECT document FROM documents ORDER BY 1") == [("a",), ("c",)]


def test_lookups_read_a_stretch_of_a_large_table(written):
    """DuckDB skips the row groups in which no batch asked for lies, whatever the number of rows."""
    with Store(written.path, write=True) as store:
        store.connection.execute(
            "INSERT INTO stages SELECT md5(range::VARCHAR), 'infer', 'toy', '[1]', 1, 0, 1, 0.1, 1, range // 64 + 1 "
            "FROM range(500_000)"
        )
        writer = written.writer(store)
        key = store.first("SELECT key FROM stages WHERE batch = 5000")[0]
        assert writer.stored.answers([key, key_of("unknown")]) == {key: [1]}
        writer.write([], [], [written.stage("new")])
        assert writer.stored.answers([key_of("new")]) == {key_of("new"): ["salt"]}
        assert store.first("SELECT max(batch) FROM stages")[0] == 500_000 // 64 + 2
        (_, plan), *_ = store.connection.execute(f"EXPLAIN ANALYZE {_ANSWERS}", [[5000], [key]]).fetchall()
    scanned, groups = map(int, re.search(r"Row Groups Scanned: (\d+) / (\d+)", plan).groups())
    assert scanned <= 2
    assert groups >= 5
