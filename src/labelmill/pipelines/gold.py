"""A corpus with gold labels, read once, and which of its documents a run has met."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from labelmill.corpus import read_documents
from labelmill.errors import GoldError
from labelmill.records import Document


@dataclass(frozen=True, slots=True)
class GoldCorpus:
    """Documents with gold labels, in memory: some hundred thousand at most.

    Attributes:
        documents: Those that could be read, in order.
        unreadable: Rows that could not.
        source: The first of the files, for messages.
    """

    documents: tuple[Document, ...]
    unreadable: int = 0
    source: str = ""

    @classmethod
    def read(
        cls,
        paths: Sequence[str | Path],
        *,
        id_field: str = "id",
        text_field: str = "text",
        labels_field: str = "labels",
    ) -> Self:
        """Read the documents of some files; the fields are what these call the id, the text, and the gold labels.

        Raises:
            CorpusError: A file cannot be read at all.
        """
        items = list(read_documents(paths, id_field=id_field, text_field=text_field, labels_field=labels_field))
        documents = tuple(item for item in items if isinstance(item, Document))
        return cls(documents, len(items) - len(documents), str(paths[0]))

    def met(self, ids: Collection[str], *runs: str) -> list[Document]:
        """Keep the documents that a run has done or failed, or that each of several runs has.

        Args:
            ids: The ids that it has.
            runs: Its name or theirs, for the message.

        Raises:
            GoldError: There is not one.
        """
        if known := [document for document in self.documents if document.id in ids]:
            return known
        where = " and in ".join(f"run {run!r}" for run in runs)
        raise GoldError(
            f"none of the {len(self.documents)} documents with gold is in {where}",
            path=self.source or None,
            remedy="Give the corpus that was labelled, and the same --id-field.",
        )

    def without(self, ids: Collection[str]) -> int:
        """Count the documents with gold labels that a run has neither done nor failed."""
        return sum(1 for document in self.documents if document.labels and document.id not in ids)
