"""Votes in the file: replaced voter by voter, read back as arrays, in files of before there were votes as well."""

from __future__ import annotations

import pytest

from labelmill.errors import StoreError
from labelmill.store import Store
from labelmill.store.vote_writer import VoteWriter, remove_voters
from labelmill.store.votes import VoterRow, read_voters, read_votes
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


def test_what_was_said_before_stays_until_there_is_something_in_its_place(tmp_path):
    """Whatever ends the writer: what it wrote is gone with it, or, killed, with the next one."""
    with Store(tmp_path / "v.duckdb", write=True) as store:
        cast(store, "x", ["a"], [("a", "bread", 1, 1.0, 0)], "01")
        with VoteWriter(store, [VoterRow("x", "rules")], LABELS, "02") as stopped:
            stopped.write(["b"], [("x", "b", "soup", 1, 1.0, 0)])
        assert store.first("SELECT count(*) FROM votes") == (1,)
        killed = VoteWriter(store, [VoterRow("x", "rules"), VoterRow("y", "rules")], LABELS, "03")
        killed.write(["c"], [("y", "c", "soup", 1, 1.0, 0)])
        assert killed.count() == {"x": 0, "y": 1}
        assert [(each.voter, each.votes) for each in read_voters(store)] == [("x", 1)]
        assert read_votes(store, ["x"], LABELS.key).documents == ["a"]
        cast(store, "z", ["a"], [], "04")
        assert store.connection.execute("SELECT voter FROM votes").fetchall() == [("x",)]
        assert store.connection.execute("SELECT scope FROM shown ORDER BY scope").fetchall() == [("01",), ("04",)]


def test_voters_shown_documents_of_their_own_are_replaced_together(tmp_path):
    """In one transaction, by one writer."""
    with Store(tmp_path / "v.duckdb", write=True) as store:
        writer = VoteWriter(store, [VoterRow("x", "imported"), VoterRow("y", "imported")], LABELS, "01", apart=True)
        writer.write(["a"], [("x", "a", "bread", 1, 1.0, 0)], "x")
        writer.write(["b"], [("y", "b", "bread", 1, 1.0, 0)], "y")
        writer.finish()
        found = read_votes(store, ["x", "y"], LABELS.key)
    assert found.shown[found.group].tolist() == [[True, False], [False, True]]


def test_voters_of_a_file_vote_on_one_taxonomy(tmp_path):
    """Others are refused before anything changes; one that is alone may change, and so may all at once."""
    others = Taxonomy.from_names(["red", "blue"])
    with Store(tmp_path / "v.duckdb", write=True) as store:
        cast(store, "x", ["a"], [("a", "bread", 1, 1.0, 0)], "01")
        VoteWriter(store, [VoterRow("x", "rules")], others, "02")
        cast(store, "y", ["a"], [("a", "bread", 1, 1.0, 0)], "03")
        with pytest.raises(StoreError, match=r"voter 'y' votes on another taxonomy .*--out.*votes remove"):
            VoteWriter(store, [VoterRow("x", "rules")], others, "04")
        assert [each.votes for each in read_voters(store)] == [1, 1]
        VoteWriter(store, [VoterRow(name, "rules") for name in "xy"], others, "05").finish()
        assert {each.taxonomy for each in read_voters(store)} == {others.key}


def test_a_voter_that_is_removed_is_gone_with_all_it_said(tmp_path):
    """All of those that are named, or none."""
    with Store(tmp_path / "v.duckdb", write=True) as store:
        cast(store, "x", ["a"], [("a", "bread", 1, 1.0, 0)], "01")
        cast(store, "y", ["b"], [("b", "bread", 1, 1.0, 0)], "02")
        with pytest.raises(StoreError, match=r"no voter 'z'\. It has: x, y"):
            remove_voters(store, ["x", "z"])
        assert len(read_voters(store)) == 2
        assert remove_voters(store, ["x"]) == {"x": 1}
        assert read_votes(store, ["y"], LABELS.key).documents == ["b"]
        assert store.first("SELECT count(*) FROM shown") == store.first("SELECT count(*) FROM votes") == (1,)


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
    """Before that it is not there at all; one that was given up is not complete."""
    with Store(tmp_path / "v.duckdb", write=True) as store:
        writer = VoteWriter(store, [VoterRow("x", "function"), VoterRow("y", "function")], LABELS, "01")
        assert read_voters(store) == []
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
