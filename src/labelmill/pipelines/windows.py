"""Windows: runs of one to six words of each sentence that neither begin nor end with a function word; no model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST = 6
"""Words of the longest window."""

_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+|\s*[\n\r\u2022\u00b7|]+\s*|[\u3002\uff01\uff1f\uff1b]")
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
    words, starts, ends = find_windows(text, longest)
    return list(
        dict.fromkeys(" ".join(words[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    )


def find_windows(text: str, longest: int = LONGEST) -> tuple[list[str], NDArray[np.intp], NDArray[np.intp]]:
    """Find the windows of a text, some more than once: its words, and where among them each starts and ends."""
    sentences = [_read_sentence(sentence) for sentence in _SENTENCE_END.split(text)]
    language = _language({usual: languages for words in sentences for _, usual, languages in words if languages})
    words = [word for sentence in sentences for word, _, _ in sentence]
    # Behind the words there is nothing, which carries no window.
    carries = np.zeros(len(words) + longest, dtype=np.bool_)
    carries[: len(words)] = [language not in languages for sentence in sentences for _, _, languages in sentence]
    sentence_of = np.zeros(len(words) + longest, dtype=np.intp)
    sentence_of[: len(words)] = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])
    first = np.arange(len(words))[:, None]
    last = first + np.arange(longest)
    starts, lengths = np.nonzero(carries[first] & carries[last] & (sentence_of[first] == sentence_of[last]))
    return words, starts, starts + lengths + 1


def _read_sentence(sentence: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """List the words of a sentence, each as it is, as a function word would be written, and where it is one."""
    words: list[tuple[str, str, tuple[str, ...]]] = []
    for run in sentence.split():
        read = _read_word(run, first=not words)
        if read[0]:
            words.append(read)
    return words


@lru_cache(maxsize=100_000)
def _read_word(run: str, *, first: bool) -> tuple[str, str, tuple[str, ...]]:
    word = run.strip(_EDGES)
    usual = _usual(word, first=first)
    return word, usual, _languages_of(usual)


def _usual(word: str, *, first: bool) -> str:
    """Lower a word that could be a function word; ``IT`` is no ``it``, and ``The`` is ``the`` at the start alone."""
    return word.lower() if word.isalpha() and (word.islower() or (first and word.istitle())) else ""


def _language(words: Mapping[str, tuple[str, ...]]) -> str:
    """Name the language whose function words prune a text: English, unless at least two words say otherwise.

    All lists at once would drop English words that are another language's: "die" casting, a "van" driver.
    """
    hits = Counter(language for languages in words.values() for language in languages)
    best = max(_LANGUAGES, key=lambda language: hits[language])  # the first of equals, English before all
    return best if hits[best] >= 2 else _LANGUAGES[0]


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
