"""Charts: every number lands where it belongs, and nothing lands outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from well_formed import Page

from labelmill.report.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Axes,
    Bar,
    Line,
    Whisker,
    bar_end,
    draw_bars,
    draw_lines,
    draw_whiskers,
)

NAMES = ("least score", "%")


def test_axes_place_their_ends_at_the_edges():
    axes = Axes(0.2, 0.6)
    assert [axes.x(0.2), axes.x(0.4), axes.x(0.6)] == [LEFT, (LEFT + RIGHT) / 2, RIGHT]
    assert [axes.y(0), axes.y(0.5), axes.y(1)] == [BOTTOM, (TOP + BOTTOM) / 2, TOP]


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(0, 1))
def test_nothing_is_drawn_outside(x, y, left):
    """Also where the axis has no length."""
    axes = Axes(left, 1.0)
    assert LEFT <= axes.x(x) <= RIGHT
    assert TOP <= axes.y(y) <= BOTTOM


def test_lines_go_through_their_points_and_the_mark_stands_upright():
    axes = Axes()
    page = Page(draw_lines("A title", "What it says.", NAMES, axes, [Line("one", ((0, 0), (1, 1)))], 0.5))
    (line,) = page.of("polyline")
    places = [tuple(map(float, place.split(","))) for place in line["points"].split()]
    assert places == [(LEFT, BOTTOM), (RIGHT, TOP)]
    (mark,) = (each for each in page.of("line") if each["class"] == "here" and each["y1"] != each["y2"])
    assert float(mark["x1"]) == float(mark["x2"]) == axes.x(0.5)
    assert page.faults == []


def test_charts_say_what_they_show():
    """For those who do not see them: the drawing is named by its title and its description."""
    page = Page(draw_bars("A title", "What it says.", [Bar("one", 0.25)]))
    (drawing,) = page.of("svg")
    assert drawing["role"] == "img"
    title, text = drawing["aria-labelledby"].split()
    assert page.of("title") == [{"id": title}]
    assert page.of("desc") == [{"id": text}]
    assert page.text_of("title") == ["A title"]
    assert page.text_of("desc") == ["What it says."]


def test_whiskers_span_their_interval():
    axes = Axes()
    page = Page(draw_whiskers("T", "D", NAMES, axes, [Whisker(0.5, 0.4, 0.25, 0.75)]))
    (dot,) = page.of("circle")
    assert (float(dot["cx"]), float(dot["cy"])) == (axes.x(0.5), axes.y(0.4))
    (whisker,) = (each for each in page.of("line") if each["class"] == "whisker")
    assert (float(whisker["y1"]), float(whisker["y2"])) == (axes.y(0.25), axes.y(0.75))
    assert page.faults == []


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_bars_are_as_long_as_their_shares(share):
    page = Page(draw_bars("T", "D", [Bar("one", share, share, share), Bar("all", 1.0)]))
    one, whole = page.of("rect")
    assert float(one["width"]) == pytest.approx(share * float(whole["width"]))
    assert float(one["x"]) + float(one["width"]) == bar_end(share)
    assert float(one["y"]) < float(whole["y"])
    assert f"{100 * share:.1f}" in page.text
    assert page.faults == []
