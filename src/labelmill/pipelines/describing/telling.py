"""Telling words: those that the documents of a label have, and other documents have not; no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.pipelines.describing.documents import LabelledDocuments
from labelmill.pipelines.windows import windows
from labelmill.retrievers.bm25 import analyzer
from labelmill.taxonomy import Taxonomy

_ENOUGH = 2
"""Documents of a label that have a word, for it to be telling: what one alone says is its own."""

_BY_CHANCE = 6.635
"""Of the likelihood ratio, which in one of a hundred cases is larger where there is nothing (chi square, 1 degree)."""


class Telling:
    """Class-based TF-IDF over labelled documents: what share of a label's documents has a word, and others have not.

    A word's weight for a label is ``p log(p / q)``: p is the share of the label's documents that have it, smoothed by
    one document without, and q that of all other documents, by half a one with. Shares rather than counts of words,
    so that one long document does not decide. What could well be chance tells nothing: a word counts where documents
    with and without the label differ in it by a likelihood ratio test at the level of 1%. Words are stems; function
    words are no words.

    Args:
        known: The documents. What is not among the labels' documents says nothing.
        taxonomy: The labels.
    """

    def __init__(self, known: LabelledDocuments, taxonomy: Taxonomy) -> None:
        """Count the words."""
        self._known = known
        self._taxonomy = taxonomy
        self._analyze = analyzer().analyze
        self._stem_of: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._spellings: dict[int, Counter[str]] = {}
        self.words_of: list[NDArray[np.int32]] = [self._count(document.text) for document in known.documents]

    def stem(self, word: str) -> str:
        """Give what a word has in common with its other forms; nothing where it is no word."""
        if word not in self._stem_of:
            self._stem_of[word] = " ".join(self._analyze(word))
        return self._stem_of[word]

    def weights(self, label: int) -> dict[str, float]:
        """Weigh the telling words of a label, by stem; those that tell nothing are left out."""
        row = self._weights[[label]]
        return {self._stems[number]: float(weight) for number, weight in zip(row.indices, row.data, strict=True)}

    def words(self, label: int, most: int, without: Iterable[str] = ()) -> list[str]:
        """List the most telling words of a label, as documents most often write them.

        Args:
            label: Its position.
            most: How many at most.
            without: Texts whose words are left out: the label's names.
        """
        said = {self.stem(word) for text in without for word in windows(text.casefold(), 1)}
        row = self._weights[[label]]
        order = np.lexsort((row.indices, -row.data))
        numbers = [number for number in row.indices[order].tolist() if self._stems[number] not in said]
        return [self._spelled(number) for number in numbers[:most]]

    def typical(self, label: int, most: int) -> list[int]:
        """List the places of a label's documents that say most of what is telling, the most typical first.

        Long documents have more words, so the sum over a document's words is divided by the root of their number.
        """
        return self._best(label, self._known.of(label), most)

    def lacking(self, label: int, other: int, most: int) -> list[int]:
        """List the places of documents that have another label and not this one, those most typical of the other."""
        places = [place for place in self._known.of(other) if label not in self._known.labels[place]]
        return self._best(other, places, most)

    def alike(self, label: int, most: int) -> list[int]:
        """List the labels whose documents' words are most like a label's: those that it is most easily taken for.

        Without its ancestors and children, which contain it or are contained. Where nothing is known of its words,
        those with a parent in common.
        """
        above, below = self._taxonomy.ancestors(label), self._taxonomy.children(label)
        related = {label, *above, *below}
        row = self._unit[[label]] @ self._unit.T
        order = np.lexsort((row.indices, -row.data))
        found = [int(other) for other, near in zip(row.indices[order], row.data[order], strict=True) if near > 0]
        parents = {self._taxonomy[at].id: at for at in above}
        beside = [
            at
            for each in self._taxonomy[label].parents
            if each in parents
            for at in self._taxonomy.children(parents[each])
        ]
        return [other for other in dict.fromkeys([*found, *beside]) if other not in related][:most]

    def _best(self, label: int, places: Sequence[int], most: int) -> list[int]:
        row = np.zeros(len(self._numbers))
        own = self._weights[[label]]
        row[own.indices] = own.data
        scores = [float(row[self.words_of[place]].sum()) / max(1, len(self.words_of[place])) ** 0.5 for place in places]
        order = sorted(range(len(places)), key=lambda at: (-scores[at], places[at]))
        return [places[at] for at in order[:most]]

    def _count(self, text: str) -> NDArray[np.int32]:
        """Number the distinct stems of a text, and note how they are spelled."""
        found: dict[int, None] = {}
        for word in dict.fromkeys(each.casefold() for each in windows(text, 1)):
            if stem := self.stem(word):
                number = self._numbers.setdefault(stem, len(self._numbers))
                self._spellings.setdefault(number, Counter())[word] += 1
                found[number] = None
        return np.fromiter(found, dtype=np.int32, count=len(found))

    def _spelled(self, number: int) -> str:
        spellings = self._spellings[number]
        return min(spellings, key=lambda word: (-spellings[word], word))

    @cached_property
    def _stems(self) -> list[str]:
        return list(self._numbers)

    @property
    def _weights(self) -> Any:
        """What is telling: CSR float64, shape (labels, words)."""
        return self._both_weights[0]

    @cached_property
    def _both_weights(self) -> tuple[Any, Any]:
        """Weigh every word for every label, those alone that are not by chance, and all."""
        from scipy import sparse

        documents, labels, words = len(self._known.documents), len(self._taxonomy), max(1, len(self._numbers))
        has = _indicator(self.words_of, words)
        owns = _indicator([np.array(sorted(own), dtype=np.int32) for own in self._known.labels], labels)
        both = (owns.T @ has).tocoo()
        of_label, of_word = np.asarray(owns.sum(axis=0)).ravel(), np.asarray(has.sum(axis=0)).ravel()
        size = of_label[both.row]
        inside = both.data / (size + 1)
        outside = (of_word[both.col] - both.data + 0.5) / (documents - size + 1)
        weight = inside * np.log(inside / outside)
        chance = _likelihood_ratio(both.data, size, of_word[both.col], documents) < _BY_CHANCE
        some = weight > 0
        telling = some & ~chance & (both.data >= np.minimum(_ENOUGH, size))
        found, every = (
            sparse.csr_matrix((weight[kept], (both.row[kept], both.col[kept])), shape=(labels, words))
            for kept in (telling, some)
        )
        return found, every

    @cached_property
    def _unit(self) -> Any:
        from sklearn.preprocessing import normalize

        return normalize(self._both_weights[1])


def _likelihood_ratio(
    both: NDArray[np.float64], label: NDArray[np.float64], word: NDArray[np.float64], documents: int
) -> NDArray[np.float64]:
    """Compute G² of the four-field table of label and word (Dunning 1993), each argument a number of documents."""
    ratio = np.zeros(len(both))
    for count, rows, columns in (
        (both, label, word),
        (label - both, label, documents - word),
        (word - both, documents - label, word),
        (documents - label - word + both, documents - label, documents - word),
    ):
        there = count > 0
        ratio[there] += 2 * count[there] * np.log(count[there] * documents / (rows[there] * columns[there]))
    return ratio


def _indicator(rows: Sequence[NDArray[np.int32]], columns: int) -> Any:
    from scipy import sparse

    starts = np.cumsum([0, *map(len, rows)])
    places = np.concatenate(rows) if rows else np.empty(0, np.int32)
    return sparse.csr_matrix((np.ones(len(places)), places, starts), shape=(len(rows), columns))
