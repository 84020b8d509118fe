"""BM25 over name, aliases and description, by tantivy: whole words, stemmed; strong where the wording is shared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from labelmill.records import Label
from labelmill.retrievers.base import Hits

_ANALYZER = "words"
_HEAP_BYTES = 128 * 1024 * 1024


class BM25:
    """One tantivy document per label: its name, its aliases and its description as one field.

    Args:
        folder: Where the index lies, written by `build`.
    """

    name = "bm25"

    def __init__(self, folder: Path) -> None:
        """Open the index in the folder."""
        import tantivy

        self._index = tantivy.Index.open(str(folder))
        self._index.register_tokenizer(_ANALYZER, analyzer())
        self._index.reload()

    @staticmethod
    def build(labels: Sequence[Label], folder: Path) -> None:
        """Write the index of the labels into an empty folder."""
        import tantivy

        index = tantivy.Index(_schema(), path=str(folder))
        index.register_tokenizer(_ANALYZER, analyzer())
        # One thread, one commit: the order of documents, and with it every tie, is the taxonomy's.
        writer = index.writer(_HEAP_BYTES, num_threads=1)
        for position, label in enumerate(labels):
            text = "\n".join((label.name, *label.aliases, label.description))
            writer.add_document(tantivy.Document(position=position, text=text))
        writer.commit()
        writer.wait_merging_threads()

    def retrieve(self, queries: Sequence[Sequence[str]], k: int) -> list[Hits]:
        """Find the best labels for each document's queries; see `Retriever`."""
        return [self._retrieve_one(document, k) for document in queries]

    def _retrieve_one(self, queries: Sequence[str], k: int) -> Hits:
        best: dict[int, tuple[float, int]] = {}
        for number, query in enumerate(queries):
            for position, score in self._search(query, k):
                if score > best.get(position, (-1.0, 0))[0]:
                    best[position] = (score, number)
        ranked = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:k]
        return Hits(
            np.array([position for position, _ in ranked], dtype=np.int32),
            np.array([score for _, (score, _) in ranked], dtype=np.float32),
            np.array([number for _, (_, number) in ranked], dtype=np.int32),
        )

    def _search(self, query: str, k: int) -> list[tuple[int, float]]:
        # The query is built from terms, not parsed: a document is data, and its colons and quotes mean nothing.
        from tantivy import Occur, Query

        words = dict.fromkeys(self._words.analyze(query))
        if not words:
            return []
        terms = [(Occur.Should, Query.term_query(self._index.schema, "text", word)) for word in words]
        found = self._searcher.search(Query.boolean_query(terms), limit=k, count=False)
        addresses = [address for _, address in found.hits]
        positions = self._searcher.fast_field_values("position", addresses)
        return [(int(position), float(hit[0])) for position, hit in zip(positions, found.hits, strict=True)]

    @cached_property
    def _searcher(self) -> Any:
        return self._index.searcher()

    @cached_property
    def _words(self) -> Any:
        return analyzer()


def analyzer() -> Any:
    """Make what turns a text into words: letters and digits, lower case, without accents, stemmed as English."""
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    builder = TextAnalyzerBuilder(Tokenizer.simple())
    for step in (Filter.remove_long(60), Filter.lowercase(), Filter.ascii_fold(), Filter.stemmer("english")):
        builder = builder.filter(step)
    return builder.build()


def _schema() -> Any:
    from tantivy import SchemaBuilder

    builder = SchemaBuilder()
    builder.add_integer_field("position", stored=False, fast=True)
    builder.add_text_field("text", stored=False, tokenizer_name=_ANALYZER, index_option="freq")
    return builder.build()
