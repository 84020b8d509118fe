"""What a run has still to do."""

from __future__ import annotations

import pytest

from labelmill.pipelines.todo import Todo, document_key
from labelmill.records import Document, Failure

DOCUMENTS = [Document(name, f"text of {name}") for name in "abcd"]
UNREAD = Failure("e", "read", "no-text", "there is no text")


def keys(todo_items):
    return [item.key if isinstance(item, Failure) else item.id for item in todo_items]


@pytest.fixture
def unread_key():
    """The key under which a row that cannot be read is known."""
    (item,) = Todo("p", lambda _: False, {}).of([UNREAD])
    return item.key


def test_what_is_done_is_left_out():
    """By the program, the id and the text: another text of the same id is done anew."""
    done = {document_key("p", DOCUMENTS[1])}
    todo = Todo("p", done.__contains__, {})
    assert keys(todo.of([DOCUMENTS[0], DOCUMENTS[1], Document("b", "another text")])) == ["a", "b"]
    assert todo.skipped == 1
    assert keys(Todo("other", done.__contains__, {}).of(DOCUMENTS)) == ["a", "b", "c", "d"]


def test_what_failed_is_left_out_until_it_changes_or_is_asked_for():
    """But a document that got no answer failed through no fault of its own, and is tried again."""
    failed = {
        "a": (document_key("p", DOCUMENTS[0]), "unparseable"),
        "b": (document_key("p", DOCUMENTS[1]), "unavailable"),
        "c": ("of an older text", "rejected"),
    }
    todo = Todo("p", lambda _: False, failed)
    assert keys(todo.of(DOCUMENTS)) == ["b", "c", "d"]
    assert todo.skipped == 1
    assert keys(Todo("p", lambda _: False, failed, retry_failed=True).of(DOCUMENTS)) == ["a", "b", "c", "d"]


def test_rows_that_cannot_be_read_are_known_again(unread_key):
    """The same row with the same reason is left out; with another reason it is reported anew."""
    todo = Todo("p", lambda _: False, {"e": (unread_key, "no-text")})
    assert keys(todo.of([UNREAD])) == []
    repaired = Failure("e", "read", "bad-encoding", "the line is not UTF-8")
    assert len(keys(Todo("p", lambda _: False, {"e": (unread_key, "no-text")}).of([repaired]))) == 1


def test_failures_that_the_corpus_no_longer_has_are_named():
    """So that their rows can go."""
    todo = Todo("p", lambda _: False, {"a": ("k", "rejected"), "gone": ("k", "rejected")})
    list(todo.of(DOCUMENTS))
    assert todo.gone() == ["gone"]
