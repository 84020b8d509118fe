"""A student in tuning: it must have learned from other documents than those that are learned from here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labelmill.errors import InputError
from labelmill.pipelines.distilling.lessons import seen_keys
from labelmill.records import Document
from labelmill.retrievers.students import StudentFolder


def refuse_seen(student: StudentFolder, documents: Sequence[Document]) -> None:
    """Refuse a student that learned from documents of the gold: of these it says what its teacher said.

    Raises:
        InputError: One is among them, or begins alike.
    """
    seen = np.isin(seen_keys(document.text for document in documents), student.seen)
    if seen.any():
        first = documents[int(np.argmax(seen))].id
        raise InputError(
            f"{int(seen.sum()):,} of {len(documents):,} gold documents are among those that the student learned from, "
            f"for example {first!r}: what it is worth could not be told",
            path=student.path,
            remedy="Distil it from other documents than those to tune with, or leave --student out.",
        )
