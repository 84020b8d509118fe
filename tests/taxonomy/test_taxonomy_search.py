"""The plain search of a taxonomy."""

from __future__ import annotations

import pytest

from labelmill.records import Label
from labelmill.taxonomy import Match, Taxonomy, show

BREADS = Taxonomy.from_labels(
    [
        Label("b0", "Bread"),
        Label("b1", "Rye bread", ("dark loaf",)),
        Label("b2", "Breadcrumbs"),
        Label("b3", "Sourdough bread of rye"),
        Label("rye bread", "Whole grain"),
        Label("b5", "Croissant"),
    ]
)


def test_better_kinds_of_match_come_first():
    """Id, then the exact name, then the beginning, then all words, then likeness; every label once."""
    matches = show(BREADS, "rye bread", k=10)
    assert [(match.position, match.how) for match in matches[:3]] == [(4, "id"), (1, "exact"), (3, "words")]
    assert {match.how for match in matches[3:]} <= {"similar"}
    assert len({match.position for match in matches}) == len(matches)


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("DARK  loaf", Match(1, "dark loaf", "exact")),
        ("b2", Match(2, "b2", "id")),
        ("sourd", Match(3, "Sourdough bread of rye", "prefix")),
        ("rye sourdough", Match(3, "Sourdough bread of rye", "words")),
        ("croisant", Match(5, "Croissant", "similar")),
    ],
)
def test_the_match_says_what_matched_and_how(query, best):
    """The name, alias or id that matched comes with the label."""
    assert show(BREADS, query, k=1) == (best,)


def test_nothing_like_it_is_nothing():
    """A query without any likeness, or without any letter, finds nothing."""
    assert show(BREADS, "xyzzy") == ()
    assert show(BREADS, "  ") == ()


def test_k_bounds_the_matches():
    """No more than k labels are given, the shortest of equally good names first."""
    assert [match.text for match in show(BREADS, "bread", k=2)] == ["Bread", "Breadcrumbs"]
    longer_first = Taxonomy.from_names(["sour bread rolls", "sour rolls"])
    assert [match.position for match in show(longer_first, "sour", k=2)] == [1, 0]
