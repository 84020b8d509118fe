"""The few words of a text that a person needs to see."""

from __future__ import annotations

import re

LONGEST = 120


def excerpt(text: str, query: str = "", longest: int = LONGEST) -> str:
    """Cut out the text around a query, on one line, with an ellipsis where something is left out.

    Args:
        text: The whole text.
        query: Words of it, as a window has them; whitespace and case may differ. Where the text does not have them,
            as of a phrase that a model made up, or where there is none, the excerpt is the beginning.
        longest: Characters at most, ellipses included.
    """
    line = " ".join(text.split())
    if len(line) <= longest:
        return line
    words = r"\W+".join(map(re.escape, re.findall(r"\w+", query)))
    found = re.search(words, line, re.IGNORECASE) if words else None
    middle = (found.start() + found.end()) // 2 if found else 0
    room = longest - 2
    start = min(max(0, middle - room // 2), len(line) - room)
    piece = line[start : start + room]
    return f"{'…' if start else ''}{piece}{'…' if start + room < len(line) else ''}"
