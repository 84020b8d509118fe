"""Word overlap: what share of a label's words the document has, and whether it has the name as it stands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, log1p
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelmill.records import Label
from labelmill.retrievers.bm25 import analyzer

OVERLAP_VERSION = 2
"""Raised whenever the same label and document would get other numbers."""

_REMEMBERED_LABELS = 20_000
_LABELS_PER_CALL = 8192


@dataclass(frozen=True, slots=True)
class _Words:
    """A label in words, as the analyser gives them; all that does not depend on a document.

    Attributes:
        spellings: The name, then the aliases.
        weights: Each spelling's words' weights.
        named: Every word of a spelling with its weight.
        described: The distinct words of the description with their weights.
    """

    spellings: tuple[tuple[str, ...], ...]
    weights: tuple[tuple[float, ...], ...]
    named: dict[str, float]
    described: dict[str, float]


class WordOverlap:
    """Shares of words, stemmed as BM25 has them; those that few labels have count for more where it says weighted.

    Attributes:
        columns: ``name_share`` and ``name_weighted``: of the name's words, what share the document has.
            ``best_share`` and ``best_weighted``: the best of the name and the aliases.
            ``name_exact`` and ``any_exact``: 1 where the words stand in the document in a row, else 0.
            ``text_share`` and ``description_share``: of the document's words, what weighted share the label's names,
            and its description, have.
            ``chunks_disagree``: by how much the mean over chunks of ``best_weighted`` is below its largest; 0 where
            all chunks agree, or there is but one.
        fingerprint: The formulas'. The taxonomy is no part of it.

    Args:
        labels: The taxonomy's.
        folder: Where `build` wrote how many labels have a word.
    """

    name = "overlap"
    columns = (
        "name_share",
        "name_weighted",
        "name_exact",
        "best_share",
        "best_weighted",
        "any_exact",
        "text_share",
        "description_share",
        "chunks_disagree",
    )
    fingerprint = f"overlap{OVERLAP_VERSION}"

    def __init__(self, labels: Sequence[Label], folder: Path) -> None:
        """Open the frequencies; a label is analysed when it is first asked for."""
        self._labels = labels
        self._hashes: NDArray[np.uint64] = np.load(folder / "hashes.npy", allow_pickle=False)
        self._counts: NDArray[np.int64] = np.load(folder / "counts.npy", allow_pickle=False)
        if len(self._hashes) != len(self._counts):
            raise ValueError("its files do not fit each other")
        self._analyze = analyzer().analyze
        self._words = lru_cache(_REMEMBERED_LABELS)(self._in_words)

    @staticmethod
    def build(labels: Sequence[Label], folder: Path, told: Callable[[int, int], None]) -> None:
        """Write how many labels have each word; told how many are done, and of how many."""
        analyze = analyzer().analyze
        hashes, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
        for start in range(0, len(labels), _LABELS_PER_CALL):
            told(start, len(labels))
            words = [
                word
                for label in labels[start : start + _LABELS_PER_CALL]
                for word in {word for text in (label.name, *label.aliases, label.description) for word in analyze(text)}
            ]
            more = _hash(words)
            hashes, places = np.unique(np.concatenate([hashes, more]), return_inverse=True)
            counts = np.bincount(places, np.append(counts, np.ones(len(more)))).astype(np.int64)
        np.save(folder / "hashes.npy", hashes)
        np.save(folder / "counts.npy", counts)
        told(len(labels), len(labels))

    def score(
        self, texts: Sequence[Sequence[str]], candidates: Sequence[NDArray[np.int32]]
    ) -> list[NDArray[np.float32]]:
        """Score each document's candidates; see `Scorer`."""
        return [self._score_one(chunks, labels) for chunks, labels in zip(texts, candidates, strict=True)]

    def _score_one(self, chunks: Sequence[str], labels: NDArray[np.int32]) -> NDArray[np.float32]:
        runs = [self._analyze(chunk) for chunk in chunks]
        text = self._weigh(dict.fromkeys(word for run in runs for word in run))
        whole = fsum(text.values()) or 1.0
        # No word has a blank or a line break in it: neither is a run of words found across words or across chunks.
        line = "\n".join(f" {' '.join(run)} " for run in runs)
        each = [(dict.fromkeys(run), f" {' '.join(run)} ") for run in runs] if len(runs) > 1 else []
        rows = [(*_row(own, text, whole, line), _disagree(own, each)) for own in map(self._words, labels.tolist())]
        return np.array(rows, dtype=np.float32).reshape(-1, len(self.columns))

    def _in_words(self, position: int) -> _Words:
        label = self._labels[position]
        spellings = tuple(tuple(self._analyze(text)) for text in dict.fromkeys((label.name, *label.aliases)))
        named = self._weigh(dict.fromkeys(word for spelling in spellings for word in spelling))
        described = self._weigh(dict.fromkeys(self._analyze(label.description)))
        return _Words(spellings, tuple(tuple(named[word] for word in own) for own in spellings), named, described)

    def _weigh(self, words: Iterable[str]) -> dict[str, float]:
        """Weigh words by BM25's inverse document frequency among the labels; it is never negative."""
        own = list(words)
        if not own:
            return {}
        hashes = _hash(own)
        places = np.minimum(np.searchsorted(self._hashes, hashes), max(len(self._hashes) - 1, 0))
        known = self._hashes[places] == hashes if len(self._hashes) else np.zeros(len(own), dtype=np.bool_)
        counts = np.where(known, self._counts[places], 0) if len(self._hashes) else np.zeros(len(own), np.int64)
        total = len(self._labels)
        return {word: log1p((total - n + 0.5) / (n + 0.5)) for word, n in zip(own, counts.tolist(), strict=True)}


def _row(words: _Words, text: dict[str, float], whole: float, line: str) -> tuple[float, ...]:
    """Give one label's columns; sums are `fsum`, the same in any order."""
    own = [_compare(*spelling, text, line) for spelling in zip(words.spellings, words.weights, strict=True)]
    best = [max(column) for column in zip(*own, strict=True)]
    shares = [
        fsum(weight for word, weight in have.items() if word in text) / whole for have in (words.named, words.described)
    ]
    return (*own[0], *best, *shares)


def _disagree(words: _Words, chunks: Sequence[tuple[Mapping[str, object], str]]) -> float:
    """Say how much less than the best of some chunks all of them say for a label, on average."""
    if not chunks:
        return 0.0
    best = [
        max(_compare(*spelling, *chunk)[1] for spelling in zip(words.spellings, words.weights, strict=True))
        for chunk in chunks
    ]
    return max(best) - fsum(best) / len(best)


def _compare(
    spelling: tuple[str, ...], weights: tuple[float, ...], text: Mapping[str, object], line: str
) -> tuple[float, float, float]:
    """Give the share, the weighted share, and whether the words stand in the document in a row."""
    found = [weight for word, weight in zip(spelling, weights, strict=True) if word in text]
    if not found:
        return 0.0, 0.0, 0.0
    exact = len(found) == len(spelling) and f" {' '.join(spelling)} " in line
    return len(found) / len(spelling), fsum(found) / fsum(weights), float(exact)


def _hash(words: Sequence[str]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(word.encode(), digest_size=8).digest() for word in words)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
