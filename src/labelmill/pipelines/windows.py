"""Windows: every run of one to six words of each sentence, as queries that need no model."""

from __future__ import annotations

import re

LONGEST = 6
"""Words of the longest window."""

_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+|\s*[\n\r\u2022\u00b7|]+\s*|[\u3002\uff01\uff1f\uff1b]")
_WORD = re.compile(r"\S+")
_EDGES = " \t.,;:!?\"'()[]{}<>«»“”„‘’…*/\\-–—"


def windows(text: str, longest: int = LONGEST) -> list[str]:
    """List every run of 1 to `longest` words of each sentence, each once, in order of their beginning.

    >>> windows("Cook Italian dishes.", longest=2)
    ['Cook', 'Cook Italian', 'Italian', 'Italian dishes', 'dishes']
    """
    found: dict[str, None] = {}
    for sentence in _SENTENCE_END.split(text):
        words = [word for word in (match.strip(_EDGES) for match in _WORD.findall(sentence)) if word]
        for start in range(len(words)):
            for end in range(start + 1, min(start + longest, len(words)) + 1):
                found.setdefault(" ".join(words[start:end]))
    return list(found)
