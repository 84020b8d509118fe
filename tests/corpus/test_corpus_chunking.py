"""Cutting long texts into chunks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.corpus import chunk


def test_a_text_that_fits_is_untouched():
    """Up to the size, a text is one chunk with its whitespace."""
    assert chunk("  bread \n", size=9, overlap=2) == ["  bread \n"]


def test_a_blank_text_has_no_chunks():
    """There is no empty chunk."""
    assert chunk("") == []
    assert chunk(" \n" * 5000) == []


def test_paragraphs_are_kept_together():
    """A text is cut between paragraphs before it is cut within one."""
    first, second = "Knead it well. " * 4, "Bake it long. " * 4
    assert chunk(f"{first}\n\n{second}", size=70, overlap=10) == [first.strip(), second.strip()]


def test_neighbours_overlap():
    """The words at a cut are in both chunks."""
    first, second = chunk("one two three four five six", size=18, overlap=6)
    assert first.split()[-1] == second.split()[0]


@pytest.mark.parametrize(("size", "overlap"), [(10, 10), (0, 0), (5, -1)])
def test_an_overlap_that_does_not_fit_is_refused(size, overlap):
    """An overlap as long as a chunk would never come to an end."""
    with pytest.raises(ValueError, match="overlap"):
        chunk("text", size=size, overlap=overlap)


@settings(deadline=None)  # the machine's time is nobody's promise
@given(
    text=st.text(st.sampled_from("ab. \n\té🧀\u00a0"), max_size=400) | st.text(max_size=200),
    size=st.integers(1, 60),
    data=st.data(),
)
def test_no_character_is_lost(text, size, data):
    """Every character but whitespace is in a chunk, in order; no chunk is blank or longer than the size."""
    overlap = data.draw(st.integers(0, size - 1))
    chunks = chunk(text, size, overlap)
    assert all(part.strip() and len(part) <= size for part in chunks)
    content = "".join(text.split())
    reached = 0
    for part in map("".join, map(str.split, chunks)):
        start = max(
            (start for start in range(reached + 1) if content.startswith(part, start)),
            key=lambda start: start + len(part),
            default=None,
        )
        assert start is not None, "a chunk leaves a gap, or holds what the text does not"
        reached = max(reached, start + len(part))
    assert reached == len(content)
