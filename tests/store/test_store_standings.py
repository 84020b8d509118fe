"""What a run did with known labels, read back from real files."""

from __future__ import annotations

import pytest
from written_runs import LABELS, ODD

from labelmill.records import Failure, LaneHit, Prediction
from labelmill.store import Store
from labelmill.store.standings import read_met, read_phrases, read_program, read_standings


def prediction(label: int, rank: int, *hits: LaneHit) -> Prediction:
    found = LABELS.labels[label]
    return Prediction(found.id, found.name, rank, 0.5, rank == 1, rank + 10, hits)


def test_standings_come_in_the_order_asked_with_the_query_of_the_best_lane(written, fill):
    """The text's own hit names no query; a label without rank is None, also of a document that is not there."""
    hits = (
        LaneHit("text", 1, 0.9),
        LaneHit("names/windows", 3, 0.5, "third"),
        LaneHit("aliases/windows", 2, 0.5, ODD[0]),
    )
    fill([written.document("a", predictions=[prediction(4, 1, *hits), prediction(2, 2, LaneHit("text", 1, 0.5))])])
    ids = [label.id for label in LABELS]
    with Store(written.path) as store:
        asked = [("a", ids[2]), ("a", ids[0]), ("a", ids[4]), ("b", ids[4])]
        assert read_standings(store, "first", asked) == [(2, 12, False, ""), None, (1, 11, True, ODD[0]), None]
        assert read_standings(store, "second", asked) == [None] * 4
        assert read_standings(store, "first", []) == []


def test_phrases_are_those_of_infer_each_once_in_the_order_of_the_chunks(written, fill):
    """What Rank answered is none; a document of which nobody was asked is absent; other runs do not mix in."""
    stages = [written.stage("one", [ODD[1], "salt"]), written.stage("two", ["salt", "rye"])]
    rank = written.stage("three", [1, 2])
    fill(
        [written.document("a", stages=("two", "three", "one")), written.document("b")],
        stages=[*stages, type(rank)(**{name: getattr(rank, name) for name in rank.__slots__} | {"stage": "rank"})],
    )
    with Store(written.path) as store:
        assert read_phrases(store, "first", ["a", "b", "c"]) == {"a": ["salt", "rye", ODD[1]]}
        assert read_phrases(store, "first", ["b"]) == {}
        assert read_phrases(store, "second", ["a"]) == {}


def test_documents_met_are_done_or_failed(written, fill):
    """One that failed and was done later is done."""
    failures = [Failure(name, "rank", "unparseable", "no") for name in ("b", "c")]
    fill([written.document("a"), written.document("b")], failures)
    with Store(written.path) as store:
        assert read_met(store, "first") == ({"a", "b"}, {"c"})


@pytest.mark.parametrize(("run", "program"), [("first", {"infer": "windows", "nested": {"a": [1, None]}}), ("no", {})])
def test_the_program_is_read_as_it_was_stored(written, fill, run, program):
    """With fields that this version does not know."""
    fill([written.document("a")])
    with Store(written.path) as store:
        assert read_program(store, run) == program
