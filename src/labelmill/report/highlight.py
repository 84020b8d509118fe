"""A text with what speaks for its labels highlighted in it, cut around that where it is long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from labelmill.report.markup import Markup, clip, element, join
from labelmill.report.values import Evidence, Verdict

LONGEST = 1500
"""Characters of a text that are shown at most."""

_AROUND = 120
_MOST_PLACES = 20
_MOST_NAMED = 6
_LONGEST_QUERY = 400
_MARKS = re.compile(r"^[^\w\s]+")
_VERDICTS: tuple[Verdict, ...] = ("right", "missed", "wrong")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text that speaks for labels.

    Attributes:
        start: Where it begins.
        end: Where it ends, exclusive.
        labels: Verdict and name of each label, each once.
    """

    start: int
    end: int
    labels: tuple[tuple[Verdict, str], ...]


def find_spans(text: str, evidence: Iterable[Evidence]) -> list[Span]:
    """Find where the queries of evidence stand in a text; what overlaps becomes one.

    A window of words stands in the text word by word, with marks between them that the window leaves out. A phrase
    that a model made up may not stand there at all.

    >>> find_spans("Bake (fresh) bread.", [Evidence("fresh bread", "bakery", "right")])
    [Span(start=6, end=18, labels=(('right', 'bakery'),))]
    """
    found = [
        Span(start, end, ((each.verdict, each.label),)) for each in evidence for start, end in _places(text, each.query)
    ]
    merged: list[Span] = []
    for span in sorted(found, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            last = merged.pop()
            labels = tuple(dict.fromkeys([*last.labels, *span.labels]))
            merged.append(Span(last.start, max(last.end, span.end), labels))
        else:
            merged.append(span)
    return merged


def show_text(text: str, evidence: Sequence[Evidence]) -> Markup:
    """Show a text, or the pieces of it around its evidence, with what speaks for labels marked."""
    spans = find_spans(text, evidence)
    pieces = cut(len(text), spans)
    shown: list[str] = []
    for start, end in pieces:
        shown += ["… "] if start else []
        shown += _mark(text, start, end, spans)
        shown += [" …"] if end < len(text) else []
    return element("p", join(shown), class_="text", dir="auto")


def cut(length: int, spans: Sequence[Span], longest: int = LONGEST, around: int = _AROUND) -> list[tuple[int, int]]:
    """Choose the pieces of a text to show, in order: all of a short one; else what is around its first spans.

    What room is left is given to what follows each piece. Together they have `longest` characters at most.
    """
    if length <= longest:
        return [(0, length)]
    pieces: list[tuple[int, int]] = []
    for span in spans:
        wider = _unite([*pieces, (max(0, span.start - around), min(length, span.end + around))])
        if _total(wider) > longest:
            break
        pieces = wider
    if not pieces:
        start = max(0, spans[0].start - around) if spans else 0
        return [(start, min(length, start + longest))]
    for place in range(len(pieces)):
        start, end = pieces[place]
        limit = pieces[place + 1][0] if place + 1 < len(pieces) else length
        pieces[place] = start, min(limit, end + longest - _total(pieces))
    return _unite(pieces)


def _places(text: str, query: str) -> list[tuple[int, int]]:
    """Find a query's words, one behind the other, with nothing but marks and blanks between them."""
    words = query[:_LONGEST_QUERY].split()
    # What is between words takes all marks there are and gives none back, or a hostile query could take for ever.
    words[1:] = [core for word in words[1:] if (core := _MARKS.sub("", word))]
    if not words:
        return []
    pattern = r"[^\w\s]*+\s++[^\w\s]*+".join(map(re.escape, words))
    hits = re.finditer(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE)
    return [hit.span() for hit in islice(hits, _MOST_PLACES)]


def _mark(text: str, start: int, end: int, spans: Sequence[Span]) -> list[str]:
    """Take a piece of the text apart into what is marked and what is not."""
    parts: list[str] = []
    at = start
    for span in spans:
        if span.end <= at or span.start >= end:
            continue
        first, last = max(span.start, at), min(span.end, end)
        kind = min((verdict for verdict, _ in span.labels), key=_VERDICTS.index)
        parts += [text[at:first], element("mark", text[first:last], class_=kind, title=_title(span))]
        at = last
    return [*parts, text[at:end]]


def _title(span: Span) -> str:
    named = [f"{verdict}: {clip(label, 80)}" for verdict, label in span.labels[:_MOST_NAMED]]
    more = len(span.labels) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")


def _unite(pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join pieces that touch, in order."""
    united: list[tuple[int, int]] = []
    for start, end in sorted(pieces):
        if united and start <= united[-1][1]:
            united[-1] = united[-1][0], max(end, united[-1][1])
        else:
            united.append((start, end))
    return united


def _total(pieces: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for start, end in pieces)
