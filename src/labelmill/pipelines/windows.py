"""Windows: runs of one to six words of each sentence that neither begin nor end with a function word; no model needed."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

LONGEST = 6
"""Words of the longest window."""

_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+|\s*[\n\r\u2022\u00b7|]+\s*|[\u3002\uff01\uff1f\uff1b]")
_WORD = re.compile(r"\S+")
_EDGES = " \t.,;:!?\"'()[]{}<>«»“”„‘’…*/\\-–—"
_LANGUAGES = (
    "english", "german", "french", "spanish", "italian", "dutch", "portuguese", "danish", "swedish", "norwegian",
    "finnish",
)  # fmt: skip


def windows(text: str, longest: int = LONGEST) -> list[str]:
    """List the windows of a text, each once, in order of their beginning.

    Dropping those that begin or end with "the" or "und" halves their number, and with it most of a document's time;
    no name of a label is worth finding by them.

    >>> windows("Cook for the guests.", longest=4)
    ['Cook', 'Cook for the guests', 'guests']
    """
    found: dict[str, None] = {}
    for sentence in _SENTENCE_END.split(text):
        words = [word for word in (match.strip(_EDGES) for match in _WORD.findall(sentence)) if word]
        carries = [_carries_meaning(word, first=place == 0) for place, word in enumerate(words)]
        for start in range(len(words)):
            for end in range(start + 1, min(start + longest, len(words)) + 1):
                if carries[start] and carries[end - 1]:
                    found.setdefault(" ".join(words[start:end]))
    return list(found)


def _carries_meaning(word: str, *, first: bool) -> bool:
    """Tell a word from a function word; ``IT`` is no ``it``, and ``The`` is ``the`` at the start of a sentence only."""
    usual = word.islower() or (first and word.istitle())
    return not (usual and word.isalpha() and _is_function_word(word.lower()))


@lru_cache(maxsize=100_000)
def _is_function_word(word: str) -> bool:
    return not _analyzer().analyze(word)


@cache
def _analyzer() -> Any:
    """Tantivy's lists of function words, of all languages at once: nothing has to know what a text is written in."""
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    builder = TextAnalyzerBuilder(Tokenizer.raw())
    for language in _LANGUAGES:
        builder = builder.filter(Filter.stopword(language))
    return builder.build()
