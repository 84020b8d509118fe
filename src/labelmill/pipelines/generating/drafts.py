"""What making a taxonomy passes on: drafts of labels, groups of documents under them, and decisions on both."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.records import Document

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pool:
    """The documents that a taxonomy is made of.

    Attributes:
        documents: In the order that they were drawn.
        vectors: A row of length 1 for each.
        unreadable: Rows of the corpus that are no documents.
        seen: Documents of the corpus.
    """

    documents: list[Document]
    vectors: Vectors
    unreadable: int = 0
    seen: int = 0

    def __len__(self) -> int:
        """Count the documents."""
        return len(self.documents)


@dataclass(frozen=True, slots=True)
class Draft:
    """A label in the making.

    Attributes:
        name: One line, not empty.
        description: What it means.
        include: Which documents belong to it.
        exclude: Which similar ones do not.
        support: Documents that were named for it, as rows of the pool.
    """

    name: str
    description: str = ""
    include: str = ""
    exclude: str = ""
    support: tuple[int, ...] = ()


@dataclass(slots=True)
class Group:
    """A label with the documents under it.

    Attributes:
        draft: Its words.
        rows: The documents under it, as rows of the pool.
        centroid: The mean of their vectors, scaled to length 1.
        quoted: The rows that are quoted for it, the most typical first.
        children: The narrower labels, each with some of its documents.
    """

    draft: Draft
    rows: Rows
    centroid: Vectors
    quoted: tuple[int, ...] = ()
    children: list[Group] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that was decided about labels, for the report.

    Attributes:
        kind: ``chosen`` (how many labels), ``merged``, ``renamed``, ``dropped``, ``moved``, ``refused`` (what a model
            wanted), ``unlike`` (a label that is not of its siblings' kind, and stays), or ``stopped``.
        labels: The names.
        why: In a few words.
        into: The name of what they became, or where they went.
    """

    kind: str
    labels: tuple[str, ...]
    why: str
    into: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self) | {"labels": list(self.labels)}
