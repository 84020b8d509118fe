"""Charts as inline SVG: lines, points with intervals, bars. Sizes are in units of a drawing 400 wide.

Each has a title and a description for those who do not see it; what it shows stands in a table beside it as well. Only
words of ours are drawn, never names out of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labelmill.report.markup import Markup, element, join

WIDTH, HEIGHT = 400, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 388, 12, 258
_ROW = 22
_NAMES = 150
"""Where bars begin: what they are called stands before."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points.

    Attributes:
        name: What it shows.
        points: In the units of the axes.
    """

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Whisker:
    """A point with an interval around it.

    Attributes:
        x: Where it stands.
        y: How high.
        low: Lower end of the interval.
        high: Upper end of it.
    """

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A share with a name, and an interval where it has one.

    Attributes:
        name: What it is called.
        value: The share.
        low: Lower end of its interval; None for none.
        high: Upper end of it.
        kind: A number from 1: bars of one kind look alike.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    kind: int = 1


@dataclass(frozen=True, slots=True)
class Axes:
    """Turns what is measured into places of the drawing; y always goes from 0 to 1.

    Attributes:
        left: The x at the left edge.
        right: The x at the right edge.
    """

    left: float = 0.0
    right: float = 1.0

    def x(self, value: float) -> float:
        """Place an x; what lies outside is drawn at the edge."""
        share = (value - self.left) / (self.right - self.left) if self.right > self.left else 0.5
        return round(LEFT + min(1.0, max(0.0, share)) * (RIGHT - LEFT), 2)

    def y(self, value: float) -> float:
        """Place a y; up is more."""
        return round(BOTTOM - min(1.0, max(0.0, value)) * (BOTTOM - TOP), 2)


def draw_lines(
    title: str, description: str, names: tuple[str, str], axes: Axes, lines: Sequence[Line], mark: float | None = None
) -> Markup:
    """Draw lines over an axis.

    Args:
        title: What it shows, in a line.
        description: What is to be seen, in a sentence.
        names: Of the x axis and of the y axis.
        axes: The scales.
        lines: The lines, each with a look of its own.
        mark: An x to mark with an upright line; None for none.
    """
    parts = [_frame(names, axes)]
    if mark is not None:
        at = axes.x(mark)
        parts.append(element("line", class_="here", stroke="currentColor", x1=at, x2=at, y1=TOP, y2=BOTTOM))
    for number, line in enumerate(lines, start=1):
        points = " ".join(f"{axes.x(x)},{axes.y(y)}" for x, y in line.points)
        parts.append(element("polyline", class_=f"line k{number}", points=points, fill="none", stroke="currentColor"))
    looks = [(f"line k{number}", line.name) for number, line in enumerate(lines, start=1)]
    marked = [("here", "in use")] if mark is not None else []
    return _figure(title, description, HEIGHT, parts, [*looks, *marked])


def draw_whiskers(
    title: str, description: str, names: tuple[str, str], axes: Axes, whiskers: Sequence[Whisker]
) -> Markup:
    """Draw points with intervals, and the diagonal on which they should be; arguments as for `draw_lines`."""
    start, end = max(0.0, axes.left), min(1.0, axes.right)
    ends = {"x1": axes.x(start), "y1": axes.y(start), "x2": axes.x(end), "y2": axes.y(end)}
    parts = [_frame(names, axes), element("line", class_="ideal", stroke="currentColor", **ends)]
    for each in whiskers:
        at = axes.x(each.x)
        parts.append(
            element(
                "line", class_="whisker", stroke="currentColor", x1=at, x2=at, y1=axes.y(each.low), y2=axes.y(each.high)
            )
        )
        parts.append(element("circle", class_="dot k1", cx=at, cy=axes.y(each.y), r=3.5))
    return _figure(title, description, HEIGHT, parts, [("line k1", "observed"), ("ideal", "as it should be")])


def draw_bars(title: str, description: str, bars: Sequence[Bar]) -> Markup:
    """Draw shares as bars, one below the other, with their numbers in percent."""
    height = TOP + _ROW * len(bars) + 6
    parts = [join(_bar(bar, TOP + _ROW * row)) for row, bar in enumerate(bars)]
    return _figure(title, description, height, parts, [])


def bar_end(share: float) -> float:
    """Place the end of a bar."""
    return round(_NAMES + min(1.0, max(0.0, share)) * (RIGHT - 40 - _NAMES), 2)


def _bar(bar: Bar, top: float) -> list[Markup]:
    middle = top + _ROW / 2
    end = bar_end(bar.value)
    parts = [
        element("text", bar.name, x=_NAMES - 6, y=middle + 4, text_anchor="end"),
        element("rect", class_=f"bar k{bar.kind}", x=_NAMES, y=top + 3, width=round(end - _NAMES, 2), height=_ROW - 6),
    ]
    if bar.low is not None and bar.high is not None:
        end = max(end, bar_end(bar.high))
        ends = {"x1": bar_end(bar.low), "x2": bar_end(bar.high), "y1": middle, "y2": middle}
        parts.append(element("line", class_="whisker", stroke="currentColor", **ends))
    return [*parts, element("text", f"{100 * bar.value:.1f}", x=end + 5, y=middle + 4)]


def _frame(names: tuple[str, str], axes: Axes) -> Markup:
    """Draw the axes with their steps and names."""
    parts: list[Markup] = []
    for step in range(5):
        share = step / 4
        value = axes.left + share * (axes.right - axes.left)
        x, y = axes.x(value), axes.y(share)
        parts.append(element("line", class_="grid", stroke="silver", x1=LEFT, x2=RIGHT, y1=y, y2=y))
        parts.append(element("text", f"{100 * share:.0f}", x=LEFT - 6, y=y + 4, text_anchor="end"))
        parts.append(element("text", f"{value:.2g}", x=x, y=BOTTOM + 17, text_anchor="middle"))
    parts.append(element("text", names[0], x=(LEFT + RIGHT) / 2, y=BOTTOM + 36, text_anchor="middle"))
    middle = (TOP + BOTTOM) / 2
    turned = f"rotate(-90 12 {middle})"
    parts.append(element("text", names[1], x=12, y=middle, text_anchor="middle", transform=turned))
    return join(parts)


def _figure(
    title: str, description: str, height: float, parts: Sequence[Markup], looks: Sequence[tuple[str, str]]
) -> Markup:
    """Frame a drawing: what it is called, what it shows, and below it what looks how."""
    key = "chart-" + "-".join(word for word in title.lower().split() if word.isalnum())
    drawing = element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-text"),
        *parts,
        viewBox=f"0 0 {WIDTH} {height:g}",
        role="img",
        # For readers that know SVG and not our style.
        font_size=12,
        stroke_width=1,
        aria_labelledby=f"{key}-title {key}-text",
    )
    legend = element("figcaption", *(_look(look, named) for look, named in looks)) if looks else Markup()
    return element("figure", drawing, legend)


def _look(look: str, named: str) -> Markup:
    sample = element("line", class_=look, x1=0, x2=26, y1=5, y2=5)
    return element(
        "span", element("svg", sample, viewBox="0 0 26 10", class_="sample", aria_hidden="true"), f" {named}"
    )
