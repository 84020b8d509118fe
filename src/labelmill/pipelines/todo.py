"""Which documents of a corpus a run has still to label, and which are left as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from labelmill.keys import content_key
from labelmill.records import Document, Failure


class Todo:
    """Leaves out what is done, and what failed and has not changed since.

    Documents that got no answer failed through no fault of theirs, and are always tried again.

    Args:
        program: Key of the program.
        done: Tells whether a document of this key is done.
        failed: Documents that failed before, each with the key of what failed and the kind of failure.
        retry_failed: Whether all that failed is tried again.

    Attributes:
        skipped: How many documents were left out.
    """

    def __init__(
        self,
        program: str,
        done: Callable[[str], bool],
        failed: Mapping[str, tuple[str, str]],
        *,
        retry_failed: bool = False,
    ) -> None:
        """Leave nothing out yet."""
        self.skipped = 0
        self._program = program
        self._done = done
        self._failed = dict(failed)
        self._retry_failed = retry_failed

    def of(self, items: Iterable[Document | Failure]) -> Iterator[Document | Failure]:
        """Give what is to be labelled, and what cannot be read, each with its key."""
        for item in items:
            if isinstance(item, Failure):
                name, key = item.document, _unread_key(item)
            else:
                name, key = item.id, document_key(self._program, item)
            failed_with, kind = self._failed.pop(name, ("", ""))
            stays_failed = failed_with == key and kind != "unavailable" and not self._retry_failed
            if stays_failed or self._done(key):
                self.skipped += 1
            else:
                yield replace(item, key=key) if isinstance(item, Failure) else item

    def gone(self) -> list[str]:
        """Name the documents that failed before and were not met: repaired under another name, or taken out."""
        return list(self._failed)


def document_key(program: str, document: Document) -> str:
    """Identify a document's part of a run by the program's key: done means done with this program and this text."""
    return content_key("document", program, document.id, document.text)


def _unread_key(failure: Failure) -> str:
    return content_key("unread", failure.document, failure.kind, failure.message)
