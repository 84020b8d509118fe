"""Highlights: where the words of evidence stand, what overlaps, and what is cut of a long text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from well_formed import Page

from labelmill.pipelines.windows import windows
from labelmill.report.highlight import LONGEST, Span, cut, find_spans, show_text
from labelmill.report.values import Evidence

TEXT = "Knead the dough, then bake it (slowly) in a hot oven. A hot oven bakes well."


def found(text, *queries):
    spans = find_spans(text, [Evidence(query, query, "right") for query in queries])
    return [text[span.start : span.end] for span in spans]


def test_every_place_of_a_query_is_found_whatever_its_case_and_marks():
    assert found(TEXT, "HOT oven") == ["hot oven", "hot oven"]
    assert found(TEXT, "bake it slowly in") == ["bake it (slowly) in"]
    assert found("C++ and .NET, C# or C", "C++", ".NET") == ["C++", ".NET"]


def test_words_are_whole():
    """An oven is not in ovens, and what a model made up is nowhere."""
    assert found("Ovens, coven, oven2", "oven") == []
    assert found(TEXT, "bread making", "", "  ", "-") == []


def test_overlaps_become_one_mark_that_names_all_labels():
    evidence = [
        Evidence("hot oven", "ovens", "wrong"),
        Evidence("in a hot", "heat", "right"),
        Evidence("in a hot", "heat", "right"),
    ]
    spans = find_spans(TEXT, evidence)
    assert [TEXT[span.start : span.end] for span in spans] == ["in a hot oven", "hot oven"]
    assert spans[0].labels == (("right", "heat"), ("wrong", "ovens"))
    (first, second) = Page(show_text(TEXT, evidence)).of("mark")
    assert first == {"class": "right", "title": "right: heat; wrong: ovens"}
    assert second == {"class": "wrong", "title": "wrong: ovens"}


@given(
    st.lists(st.sampled_from(["bake", "bread,", "(hot", "oven).", "the", "ein", "日本", "हिन्दी", "x-y"]), min_size=1)
)
def test_the_windows_of_a_text_are_found_in_it(words):
    """As Infer makes them."""
    text = " ".join(words)
    for window in windows(text):
        assert found(text, window), window


@given(st.text("ab -.(\n", max_size=60), st.lists(st.text("ab -.", max_size=8), max_size=5))
def test_a_short_text_is_shown_whole(text, queries):
    """Marks are added, and nothing else changes; they are in order and apart."""
    evidence = [Evidence(query, "x", "missed") for query in queries]
    assert Page(show_text(text, evidence)).text == text
    spans = find_spans(text, evidence)
    assert all(before.end <= after.start for before, after in pairwise(spans))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("--- " * 50_000, "- " * 100 + "x"),
        ("a !!! " * 30_000, "a " * 200 + "b"),
        ("a" + " " * 200_000, "a b"),
    ],
)
def test_hostile_queries_are_searched_for_in_no_time(text, query):
    """They would take for ever if the marks between words could be shared out in many ways."""
    assert find_spans(text, [Evidence(query, "x", "right")]) == []


@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 900)), max_size=8),
)
def test_no_more_is_shown_than_allowed_and_all_of_the_room_is_used(length, starts):
    spans = [Span(start, min(length, start + size), ()) for start, size in sorted(starts) if start < length]
    pieces = cut(length, spans)
    assert sum(end - start for start, end in pieces) == min(length, LONGEST) or pieces[-1][1] == length
    assert sum(end - start for start, end in pieces) <= LONGEST
    assert all(before[1] < after[0] for before, after in pairwise(pieces))
    assert all(0 <= start <= end <= length for start, end in pieces)


def test_a_long_text_is_cut_around_its_evidence():
    text = "filler " * 2000 + "hot oven " + "filler " * 2000
    page = Page(show_text(text, [Evidence("hot oven", "ovens", "right")]))
    assert page.text_of("mark") == ["hot oven"]
    assert page.text.startswith("… ")
    assert page.text.endswith(" …")
    assert len(page.text) <= LONGEST + 4


def test_a_hostile_text_stays_text():
    text = '<script>alert(1)</script> "quoted" \u202eback\u0000 hot oven'
    evidence = [Evidence("hot oven", '"><script>x</script>\u202e', "wrong")]
    page = Page(show_text(text, evidence))
    page.assert_inert()
    assert page.of("mark") == [{"class": "wrong", "title": 'wrong: "><script>x</script>'}]
    assert page.of("p") == [{"class": "text", "dir": "auto"}]
