"""Rows of files that are no documents, which are told and passed over; and the documents, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from labelmill.records import Document, Failure

MOST_ROWS = 10_000
"""That are kept; further ones are counted alone."""


@dataclass(slots=True)
class Unread:
    """What could not be read.

    Attributes:
        unreadable: How many rows.
        rows: The first of them: where each is, and why.
    """

    unreadable: int = 0
    rows: list[Failure] = field(default_factory=list)

    def skip(self, row: Failure) -> None:
        """Count a row that is no document."""
        self.unreadable += 1
        if len(self.rows) < MOST_ROWS:
            self.rows.append(row)

    def documents_of(self, items: Iterable[Document | Failure]) -> Iterator[Document]:
        """Give the documents, and skip what is none."""
        for item in items:
            if isinstance(item, Failure):
                self.skip(item)
            else:
                yield item


def in_batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Cut documents into lists of as many."""
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
