"""What documents say that may name a label: phrases that Infer proposed, or windows of their texts; counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.pipelines.windows import find_windows
from labelmill.records import Document
from labelmill.store import Store
from labelmill.store.phrases import Support, count_groups, count_proposed

LONGEST = 5
"""Words of a window. Names of six words and more are found by a part of them."""

MOST_COUNTED = 1_000_000
"""Windows that are counted at once, some 300 MB. When there are more, those of one document so far are forgotten."""

_SAMPLE = 5
_FREQUENT = 0.05
_LEAST = 20
_STRANGE = 5.0
"""A word of at least this share of the documents, and of this number, and this many times as frequent there as in names
of labels, does not begin or end a name: "years", "you", "candidates" in job ads. It must be that frequent, since a word
that no name has may be the very thing that is missing."""

_LETTERS = re.compile(r"[^\W\d_]{2}")
_CONTRACTED = re.compile(r"['\u2019](?:d|ll|m|re|s|t|ve)$")
_CONTENT = frozenset(
    {
        "amount", "back", "bill", "bottom", "call", "computer", "cry", "describe", "detail", "empty", "fill", "find",
        "fire", "first", "former", "front", "full", "give", "interest", "keep", "mill", "mine", "move", "name", "part",
        "put", "serious", "show", "side", "sincere", "system", "take", "thick", "thin", "third", "top", "whole",
    }
)  # fmt: skip
"""Words of scikit-learn's list of function words that begin or end names of labels: "keep records", "first aid"."""

Told = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it is, and of how much where that is known."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """What several documents say.

    Attributes:
        key: The phrase, folded: equal for what counts as one phrase.
        text: Its most frequent spelling.
        documents: In how many documents it is.
    """

    key: str
    text: str
    documents: int


class Source(Protocol):
    """Where phrases come from."""

    def phrases(self, names: Iterable[str]) -> list[Phrase]:
        """List the phrases, the most frequent first.

        Args:
            names: All names and aliases of the labels: what a name looks like.

        Raises:
            InputError: There is no document to take any from.
        """
        ...

    def supports(self, groups: Mapping[str, int]) -> dict[int, Support]:
        """Count the documents that say anything of a group; `groups` has the group's number for the key of a phrase."""
        ...

    @property
    def notes(self) -> list[str]:
        """Say in lines what was not taken into account."""
        ...


class Proposed:
    """What a language model proposed for the documents of a run.

    Args:
        store: Where the run is.
        run: Its name.
    """

    notes: list[str]

    def __init__(self, store: Store, run: str) -> None:
        """Read nothing yet."""
        self._store, self._run = store, run
        self.notes = []

    def phrases(self, names: Iterable[str]) -> list[Phrase]:
        """See `Source`."""
        del names  # a model was asked for names
        return [Phrase(*row) for row in count_proposed(self._store, self._run)]

    def supports(self, groups: Mapping[str, int]) -> dict[int, Support]:
        """See `Source`."""
        return count_groups(self._store, self._run, groups)


@dataclass(slots=True)
class Windows:
    """Windows of the texts of a corpus that could be names: read twice, once to count them, once to count groups.

    Attributes:
        corpus: The documents.
        known: Ids of the documents to read; the others are left out and counted. None for all.
        told: Told how far it is.
        most: Windows that are counted at once.
        notes: What was left out.
    """

    corpus: Corpus
    known: frozenset[str] | None = None
    told: Told = lambda *_: None
    most: int = MOST_COUNTED
    notes: list[str] = field(default_factory=list)

    def phrases(self, names: Iterable[str]) -> list[Phrase]:
        """See `Source`; of equally frequent windows the first by the alphabet comes first."""
        counts: dict[str, _Count] = {}
        words: Counter[str] = Counter()
        documents = forgotten = 0
        for document in self._documents("counting windows"):
            documents += 1
            found = _windows(document.text)
            words.update({word for key in found for word in key.split()})
            for key, text in found.items():
                counts.setdefault(key, _Count(text)).add(text)
            if len(counts) > self.most:
                before = len(counts)
                counts = {key: count for key, count in counts.items() if count.documents > 1}
                forgotten += before - len(counts)
        if forgotten:
            self.notes.append(
                f"{forgotten:,} windows of one document were forgotten on the way, for more than {self.most:,} are "
                "not counted at once: counts of rare ones are lower bounds"
            )
        if not documents:
            raise InputError(
                f"none of these documents can be read and is in the run ({'; '.join(self.notes) or 'there are none'})",
                path=self.corpus.paths[0],
                remedy="Give the corpus that was labelled, and the same --id-field.",
            )
        strange = _strange(words, documents, names) | {word for word in words if _is_function_word(word)}
        kept = [
            Phrase(key, count.text, count.documents)
            for key, count in counts.items()
            if not {*key.split()[:1], *key.split()[-1:]} & strange
        ]
        return sorted(kept, key=lambda phrase: (-phrase.documents, phrase.key))

    def supports(self, groups: Mapping[str, int]) -> dict[int, Support]:
        """See `Source`."""
        counts: Counter[int] = Counter()
        samples: dict[int, list[str]] = {}
        for document in self._documents("counting documents"):
            met = {groups[key] for key in _windows(document.text) if key in groups}
            counts.update(met)
            for number in met:
                if len(samples.setdefault(number, [])) < _SAMPLE:
                    samples[number].append(document.id)
        return {number: (count, tuple(samples[number])) for number, count in counts.items()}

    def _documents(self, what: str) -> Iterator[Document]:
        total = self.corpus.count()
        unreadable = elsewhere = 0
        for place, item in enumerate(self.corpus.documents(), 1):
            if not isinstance(item, Document):
                unreadable += 1
            elif self.known is not None and item.id not in self.known:
                elsewhere += 1
            else:
                yield item
            self.told(what, place, total)
        left_out = {"rows cannot be read": unreadable, "documents are not in the run and were left out": elsewhere}
        said = [f"{count:,} {why}" for why, count in left_out.items() if count]
        self.notes += [line for line in said if line not in self.notes]


class _Count:
    """Documents of a window, and the spelling that most of them have (by majority vote: one text, one number)."""

    __slots__ = ("documents", "text", "votes")

    def __init__(self, text: str) -> None:
        self.text, self.votes, self.documents = text, 0, 0

    def add(self, text: str) -> None:
        self.documents += 1
        self.votes += 1 if text == self.text else -1
        if self.votes < 0:
            self.text, self.votes = text, 1


def _windows(text: str) -> dict[str, str]:
    """List the windows of a text that could be names, folded, each with its spelling."""
    words, starts, ends = find_windows(text, LONGEST)
    spans = zip(starts.tolist(), ends.tolist(), strict=True)
    found = (" ".join(words[start:end]) for start, end in spans)
    return {window.casefold(): window for window in found if _LETTERS.search(window)}


def _is_function_word(word: str) -> bool:
    """Tell "who", "both", "you'll", of which retrieval searches windows, too, for a name may have them anywhere."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return bool(_CONTRACTED.search(word)) or (word in ENGLISH_STOP_WORDS and word not in _CONTENT)


def _strange(words: Mapping[str, int], documents: int, names: Iterable[str]) -> set[str]:
    """Find the words that documents have and names do not."""
    named: Counter[str] = Counter()
    total = 0
    for total, name in enumerate(names, 1):  # noqa: B007 - counted on the way
        named.update(set(name.casefold().split()))
    least = max(_LEAST, _FREQUENT * documents)
    return {
        word
        for word, count in words.items()
        if count >= least and count / documents > _STRANGE * named[word] / max(total, 1)
    }
