"""A corpus as the user named it: which files, how their fields are called, and how much of them to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labelmill.corpus.counting import count_documents
from labelmill.corpus.reading import read_documents
from labelmill.records import Document, Failure


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents to read, as often as wanted; standard input once.

    Attributes:
        paths: Files or folders of documents, or ``-``.
        limit: How many rows to read at most.
        id_field: What the files call a document's id.
        text_field: What they call the text.
        labels_field: What they call the gold labels.
    """

    paths: Sequence[str | Path]
    limit: int | None = None
    id_field: str = "id"
    text_field: str = "text"
    labels_field: str = "labels"

    @property
    def is_stream(self) -> bool:
        """Whether it is standard input, which has no name and can be read but once."""
        return any(str(path) == "-" for path in self.paths)

    def documents(self) -> Iterator[Document | Failure]:
        """Read it; see `read_documents`."""
        return read_documents(
            self.paths,
            limit=self.limit,
            id_field=self.id_field,
            text_field=self.text_field,
            labels_field=self.labels_field,
        )

    def count(self) -> int | None:
        """Count it, as far as that is cheap; see `count_documents`."""
        return count_documents(self.paths, limit=self.limit)
