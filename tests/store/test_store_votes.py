"""Votes in the file: replaced voter by voter, read back as arrays, in files of before there were votes as well."""

from __future__ import annotations

import pytest

from labelmill.errors import StoreError
from labelmill.store import Store
from labelmill.store.votes import VoterRow, VoteWriter, read_voters, read_votes
from labelmill.taxonomy import Taxonomy

LABELS = Taxonomy.from_names(["bread", "soup", "salad"])


def cast(store, voter, documents, votes, scope, silence=None):
    writer = VoteWriter(store, [VoterRow(voter, "imported", silence=silence)], LABELS, scope)
    writer.write(documents, [(voter, *vote) for vote in votes])
    writer.finish()


def test_votes_come_back_as_arrays(tmp_path):
    """By document, label and voter; documents that were shown to different voters are in different groups."""
    with Store(tmp_path / "v.duckdb", write=True) as store:
        cast(store, "x", ["a", "b"], [("b", "soup", 1, 0.5, 2), ("a", "bread", -1, 1.0, 0)], "01")
        cast(store, "y", ["b", "c"], [("b", "soup", 1, 1.0, 0)], "02")
        found = read_votes(store, ["y", "x"], LABELS.key)
    assert found.documents == ["a", "b", "c"]
    rows = zip(found.voter, found.document, found.label, found.sign, found.confidence, found.rank, strict=True)
    assert [tuple(map(float, row)) for row in rows] == [(1, 0, 0, -1, 1, 0), (0, 1, 1, 1, 1, 0), (1, 1, 1, 1, 0.5, 2)]
    assert found.shown[found.group].tolist() == [[False, True], [True, True], [True, False]]


def test_who_votes_again_is_replaced_and_others_stay(tmp_path):
    """Documents that nobody was shown any more are gone."""
    with Store(tmp_path / "v.duckdb", write=True) as store:
        cast(store, "x", ["a", "b"], [("a", "bread", 1, 1.0, 0)], "01")
        cast(store, "y", ["a"], [("a", "soup", 1, 1.0, 0)], "02")
        cast(store, "x", ["c"], [("c", "salad", 1, 1.0, 0)], "03")
        found = read_votes(store, ["x", "y"], LABELS.key)
        assert [(each.voter, each.votes) for each in read_voters(store)] == [("x", 1), ("y", 1)]
    assert found.documents == ["a", "c"]


def test_silence_is_a_no_of_those_who_never_say_no(tmp_path):
    """Unless it is known."""
    with Store(tmp_path / "v.duckdb", write=True) as store:
        cast(store, "yes", ["a"], [("a", "bread", 1, 1.0, 0)], "01")
        cast(store, "both", ["a"], [("a", "bread", -1, 1.0, 0)], "02")
        cast(store, "told", ["a"], [("a", "bread", 1, 1.0, 0)], "03", silence=False)
        assert {each.voter: each.silence for each in read_voters(store)} == {"yes": True, "both": False, "told": False}


def test_one_no_among_many_votes_makes_no_judge_of_a_voter(tmp_path):
    """What its silence says would be lost with it; from more than one in ten on, it judges what it is shown."""
    documents = [str(number) for number in range(10)]
    with Store(tmp_path / "v.duckdb", write=True) as store:
        for voter, denied in (("rules", 1), ("judge", 2)):
            votes = [(each, "soup", -1 if place < denied else 1, 1.0, 0) for place, each in enumerate(documents)]
            cast(store, voter, documents, votes, voter)
        assert {each.voter: each.silence for each in read_voters(store)} == {"rules": True, "judge": False}


def test_the_silence_of_one_that_was_given_up_says_nothing(tmp_path):
    """On documents that were not put to it: it counts as shown what it voted on."""
    with Store(tmp_path / "v.duckdb", write=True) as store:
        writer = VoteWriter(store, [VoterRow(name, "function") for name in "xyz"], LABELS, "01")
        writer.write(["a", "b"], [(name, "a", "bread", 1, 1.0, 0) for name in "xyz"])
        writer.finish(["y", "z"])
        found = read_votes(store, ["x", "y", "z"], LABELS.key)
        assert all(each.silence for each in read_voters(store))
    assert found.documents == ["a", "b"]
    assert found.shown[found.group].tolist() == [[True, True, True], [True, False, False]]


def test_a_voter_is_complete_when_it_is_finished(tmp_path):
    """A killed one is not, and neither is one that was given up."""
    with Store(tmp_path / "v.duckdb", write=True) as store:
        writer = VoteWriter(store, [VoterRow("x", "function"), VoterRow("y", "function")], LABELS, "01")
        assert [each.complete for each in read_voters(store)] == [False, False]
        writer.finish(["y"])
        assert [each.complete for each in read_voters(store)] == [True, False]


def test_two_voters_of_one_name_are_refused(tmp_path):
    """Whose votes would they be?"""
    with (
        Store(tmp_path / "v.duckdb", write=True) as store,
        pytest.raises(StoreError, match="Two voters are called 'x'"),
    ):
        VoteWriter(store, [VoterRow("x", "function"), VoterRow("x", "rules")], LABELS, "01")


def test_a_file_of_before_there_were_votes_takes_them(tmp_path):
    """Read, it has no voters; written to, it has their tables."""
    path = tmp_path / "v.duckdb"
    with Store(path, write=True) as store:
        for table in ("voters", "shown", "votes", "vote_failures"):
            store.connection.execute(f"DROP TABLE {table}")
    with Store(path) as store:
        assert read_voters(store) == []
    with Store(path, write=True) as store:
        cast(store, "x", ["a"], [("a", "bread", 1, 1.0, 0)], "01")
        assert len(read_voters(store)) == 1
