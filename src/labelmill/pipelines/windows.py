"""Windows: runs of one to six words of each sentence that neither begin nor end with a function word; no model."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache, lru_cache
from typing import Any

LONGEST = 6
"""Words of the longest window."""

_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+|\s*[\n\r\u2022\u00b7|]+\s*|[\u3002\uff01\uff1f\uff1b]")
_WORD = re.compile(r"\S+")
_EDGES = " \t.,;:!?\"'()[]{}<>«»“”„‘’…*/\\-–—"  # noqa: RUF001 - these very marks
_LANGUAGES = (
    "english", "german", "french", "spanish", "italian", "dutch", "portuguese", "danish", "swedish", "norwegian",
    "finnish",
)  # fmt: skip


def windows(text: str, longest: int = LONGEST) -> list[str]:
    """List the windows of a text, each once, in order of their beginning.

    Dropping those that begin or end with "the", or with "und" in a German text, halves their number, and with it most
    of a document's time. The price: the few names that do so themselves, such as "log on", are found by their other
    words alone.

    >>> windows("Cook for the guests.", longest=4)
    ['Cook', 'Cook for the guests', 'guests']
    """
    sentences = [
        [word for word in (match.strip(_EDGES) for match in _WORD.findall(sentence)) if word]
        for sentence in _SENTENCE_END.split(text)
    ]
    usual = [[_usual(word, first=place == 0) for place, word in enumerate(words)] for words in sentences]
    language = _language({word for words in usual for word in words})
    found: dict[str, None] = {}
    for words, lowered in zip(sentences, usual, strict=True):
        carries = [language not in _languages_of(word) for word in lowered]
        for start in range(len(words)):
            for end in range(start + 1, min(start + longest, len(words)) + 1):
                if carries[start] and carries[end - 1]:
                    found.setdefault(" ".join(words[start:end]))
    return list(found)


def _usual(word: str, *, first: bool) -> str:
    """Lower a word that could be a function word; ``IT`` is no ``it``, and ``The`` is ``the`` at the start alone."""
    return word.lower() if word.isalpha() and (word.islower() or (first and word.istitle())) else ""


def _language(words: set[str]) -> str:
    """Name the language whose function words prune a text: English, unless at least two words say otherwise.

    All lists at once would drop English words that are another language's: "die" casting, a "van" driver.
    """
    hits = Counter(language for word in words for language in _languages_of(word))
    best = max(_LANGUAGES, key=lambda language: hits[language])  # the first of equals, English before all
    return best if hits[best] >= 2 else _LANGUAGES[0]


@lru_cache(maxsize=100_000)
def _languages_of(word: str) -> tuple[str, ...]:
    """Name the languages in which a word is a function word."""
    return tuple(language for language, analyzer in _analyzers() if word and not analyzer.analyze(word))


@cache
def _analyzers() -> tuple[tuple[str, Any], ...]:
    """Make a filter of each language's function words, out of Tantivy's lists."""
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    return tuple(
        (language, TextAnalyzerBuilder(Tokenizer.raw()).filter(Filter.stopword(language)).build())
        for language in _LANGUAGES
    )
