"""Phrases of usages in tuning: what they were made of must be other documents than those that are learned from."""

from __future__ import annotations

from collections.abc import Sequence

from labelmill.errors import InputError
from labelmill.records import Document
from labelmill.taxonomy.usages import Usages, document_key


def refuse_own(usages: Usages, documents: Sequence[Document]) -> None:
    """Refuse phrases that were made of documents of the gold.

    A document is found by its own words all too well. What phrases were made of cannot be left out of them again fold
    by fold, as the examples of other lanes are; so evidence that has them would be worth less afterwards than it
    seems, and would be kept where it is of no use.

    Raises:
        InputError: One is among them, or begins alike.
    """
    own = [document.id for document in documents if document_key(document.text) in usages.documents]
    if own:
        raise InputError(
            f"{len(own):,} of {len(documents):,} gold documents are among those that the phrases were made of, "
            f"for example {own[0]!r}: how well labels are found by them could not be told",
            path=usages.source or None,
            remedy="Make the phrases of other documents than those to tune with, or leave --usages out.",
        )
