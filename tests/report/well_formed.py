"""A page taken apart: whether every tag is closed, and what a browser would see of it."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Collects elements, their attributes and their texts, and what is wrong with their nesting."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.faults: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag, _ in self.open]

    def handle_starttag(self, tag, attrs):
        names = [key for key, _ in attrs]
        if len(set(names)) != len(names):
            self.faults.append(f"<{tag}> repeats an attribute: {names}")
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]} at {self.getpos()}")
            return
        self.open.pop()

    def handle_data(self, data):
        self.texts.append((tuple(tag for tag, _ in self.open), data))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Give the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def text_of(self, tag: str) -> list[str]:
        """Give the texts directly or indirectly within elements of a kind."""
        return [data for path, data in self.texts if tag in path]

    @property
    def text(self) -> str:
        """All that is to be read."""
        return "".join(data for path, data in self.texts if "style" not in path)

    def assert_inert(self) -> None:
        """Nothing is loaded, nothing runs, nothing leads away from the page."""
        tags = {tag for tag, _ in self.elements}
        assert not tags & {"script", "iframe", "img", "link", "object", "embed", "form", "base", "use", "image", "b"}
        for tag, attributes in self.elements:
            for key, value in attributes.items():
                assert not key.startswith("on"), (tag, key)
                assert key not in {"src", "style", "srcset", "action", "xlink:href", "data"}, (tag, key)
                assert key != "href" or (value or "").startswith("#"), (tag, value)
        assert self.faults == []


def cells(page: str, caption: str) -> list[list[str]]:
    """Read the rows of the table with a caption, as text."""
    found = _Table(caption)
    found.feed(page)
    assert found.rows, f"no table {caption!r}"
    return found.rows


class _Table(HTMLParser):
    def __init__(self, caption: str) -> None:
        super().__init__()
        self._caption, self._tag, self._here = caption, "", False
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag, attrs):
        self._tag = tag
        if self._here and tag == "tr":
            self.rows.append([])
        if self._here and tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._tag = "" if tag == "caption" else self._tag
        self._here = self._here and tag != "table"

    def handle_data(self, data):
        if self._tag == "caption" and data == self._caption:
            self._here = True
        elif self._here and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data
