"""The account that keeps a run within its budget."""

from __future__ import annotations

from labelmill.pipelines.budget import Account, Budget


def test_without_a_cap_there_is_always_room():
    """Whatever was spent."""
    account = Account(Budget(), tokens=10**12, seconds=10**9, open=1000)
    assert account.room_for(32, 10**9) is True


def test_before_anything_is_known_one_batch_goes():
    """What a document costs is learned from the first batch alone, lest many break the cap together."""
    account = Account(Budget(tokens=1000))
    assert account.room_for(32, 0) is True
    account.open += 32
    assert account.room_for(32, 0) is None
    account.settle(32, 320)
    assert account.room_for(32, 0) is True


def test_what_is_under_way_is_set_aside():
    """At 10 tokens a document, 1,000 tokens take 100 documents, those under way included."""
    account = Account(Budget(tokens=1000), settled=10, settled_tokens=100, tokens=100)
    assert account.room_for(90, 0) is True
    assert account.room_for(91, 0) is False
    account.open = 60
    assert account.room_for(30, 0) is True
    assert account.room_for(31, 0) is None, "those under way may turn out cheaper"


def test_spent_is_spent():
    """Earlier sittings count; at the cap nothing more is taken, whatever is under way."""
    account = Account(Budget(tokens=1000), tokens=1000, open=5)
    assert account.room_for(1, 0) is False


def test_hours_are_those_of_all_sittings():
    """Half an hour before and half an hour now make one."""
    account = Account(Budget(hours=1), seconds=1800)
    assert account.room_for(1, 1799) is True
    assert account.room_for(1, 1800) is False
