"""The journal of optimising: every entry in the file at once, and a file that is none is refused."""

from __future__ import annotations

import pytest

from labelmill.errors import InputError
from labelmill.pipelines.optimise.journal import Entry, Journal


def test_an_entry_is_in_the_file_at_once(tmp_path):
    """Another process would find it while the first is still at work."""
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.put(Entry("k", "infer", ["ä", "b"], requests=1, prompt_tokens=5))
        with Journal(path) as other:
            assert other.get("k") == Entry("k", "infer", ["ä", "b"], requests=1, prompt_tokens=5)


def test_the_first_of_two_stays(tmp_path):
    """What follows from an answer must be the same every time."""
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.put(Entry("k", "infer", ["a"]))
        assert journal.put(Entry("k", "infer", ["b"])).output == ["a"]
    assert len((tmp_path / "j.jsonl").read_bytes().splitlines()) == 2


def test_a_line_that_was_cut_is_dropped(tmp_path):
    """As a kill leaves it; the next entry begins a line of its own."""
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.put(Entry("k1", "infer", ["a"]))
        journal.put(Entry("k2", "infer", ["b"]))
    path.write_bytes(path.read_bytes()[:-7])
    with Journal(path) as journal:
        assert (len(journal), journal.get("k2")) == (1, None)
        journal.put(Entry("k2", "infer", ["c"]))
    with Journal(path) as journal:
        assert journal.get("k2").output == ["c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,text\n", "this is no journal"),
        (b'{"labelmill_journal":1}\n{"key": 1}\n', r":2: this line is no entry"),
        (b'{"labelmill_journal":1}\nnonsense\n', r":2: this line is no entry"),
    ],
)
def test_another_file_is_refused_and_left_alone(tmp_path, content, message):
    """The error names the file and the line, and not a byte of it is changed."""
    path = tmp_path / "j.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Journal(path)
    assert path.read_bytes() == content


def test_a_folder_is_no_journal(tmp_path):
    """One line, with the reason."""
    with pytest.raises(InputError, match="cannot be opened"):
        Journal(tmp_path)
