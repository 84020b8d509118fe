"""Markup: whatever a text holds, it stays text."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from well_formed import Page

from labelmill.report.markup import LONGEST_NAME, Markup, element, facts, name, table, text

ANYTHING = st.text(st.characters(exclude_categories=[]))


@given(ANYTHING, ANYTHING)
def test_no_text_opens_a_tag_or_leaves_an_attribute(inside, attribute):
    """A page of any strings at all has the elements that were made, can be encoded, and says what was said."""
    page = element("p", element("b", inside, title=attribute), inside)
    page.encode()
    found = Page(page)
    assert found.faults == []
    assert [tag for tag, _ in found.elements] == ["p", "b"]
    assert set(found.elements[1][1]) == {"title"}
    assert found.text == unescape(text(inside)) * 2


@pytest.mark.parametrize("bad", ["\x00", "\x1b", "\x7f", "\x9f", "\ud800", "\ufffe", "\r"])
def test_what_html_forbids_is_shown_as_replaced(bad):
    """A lone surrogate could not even be written to a file."""
    assert text(f"a{bad}b") == "a\ufffdb"
    assert element("i", title=f"a{bad}b") == '<i title="a\ufffdb"></i>'


def test_names_have_a_direction_of_their_own():
    """An override ends with the name; in an attribute, where nothing ends it, there is none."""
    assert name("\u202eevil") == "<bdi>\u202eevil</bdi>"
    assert element("i", title="\u202e\u2066x\u200f") == '<i title="x"></i>'


def test_long_names_are_cut():
    shown = name("x" * 1000)
    assert len(shown) == LONGEST_NAME + len("<bdi></bdi>")
    assert "…" in shown


def test_attributes_may_be_left_out_and_may_have_no_value():
    assert element("i", a_b=None, c=False, d=True, class_="x", e=0) == '<i d class="x" e="0"></i>'


def test_markup_is_put_in_as_it_is():
    assert element("p", Markup("<br>"), "<br>") == "<p><br>&lt;br&gt;</p>"


def test_tables_have_a_caption_and_scopes():
    """And may be scrolled by the keyboard."""
    page = Page(table("<numbers>", ("what", "#how many"), [("a group", [("x", "1")]), ("", [("y", "2")])]))
    assert page.text_of("caption") == ["<numbers>"]
    assert [cell["scope"] for cell in page.of("th")] == ["col", "col", "rowgroup", "row", "row"]
    assert [cell.get("class") for cell in page.of("td")] == ["number", "number"]
    assert page.of("div")[0]["tabindex"] == "0"
    assert page.faults == []


def test_facts_are_pairs():
    assert facts([("a", "<")]) == '<dl><dt>a</dt><dd dir="auto">&lt;</dd></dl>'
