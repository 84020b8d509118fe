"""Which format's reader reads a file, and its documents, each once; a document that comes again is a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from labelmill.errors import InputError
from labelmill.formats import Electors, Judged
from labelmill.keys import KeySet, text_key
from labelmill.records import Failure

FORMATS = ("snorkel", "wrench", "cleanlab", "huggingface", "label-studio", "argilla")
"""What is imported, beside tables and documents with labels."""


MOST_REASONS = 3
"""Places of what cannot be read that are named to a person."""


def add_reasons(reasons: list[str], failures: Iterable[Failure]) -> None:
    """Note where the first failures are, and what is wrong there."""
    for each in failures:
        if len(reasons) < MOST_REASONS:
            reasons.append(f"{each.source}: {each.message}")


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import.

    Attributes:
        path: The file or folder.
        electors: Who speaks in it, where it names them all.
        read: Reads it, as often as wanted.
    """

    path: Path
    electors: Electors | None
    read: Callable[[], Iterator[Judged | Failure]]

    def documents(self) -> Iterator[Judged | Failure]:
        """Read its documents, each once."""
        seen = KeySet()
        for item in self.read():
            if isinstance(item, Judged) and not item.document.strip():
                yield Failure(item.source, "read", "missing-id", "the document has no id", item.source)
            elif isinstance(item, Judged) and not seen.add(text_key(item.document)):
                message = f"the id {item.document!r} is that of an earlier document"
                yield Failure(item.source, "read", "duplicate-id", message, item.source)
            else:
                yield item


def open_source(
    path: str | Path,
    format: str,  # noqa: A002 - the user's word
    *,
    id_field: str = "id",
    text_field: str = "text",
    question: str | None = None,
) -> Source:
    """Open a file of another tool.

    Args:
        path: The file, or the folder of Hugging Face.
        format: One of `FORMATS`.
        id_field: What tasks of Label Studio call the document's id.
        text_field: What these, and records of Argilla, call its text.
        question: Which choices of Label Studio, or which question of Argilla, label documents.

    Raises:
        InputError: It cannot be read.
    """
    place = Path(path)
    if format == "label-studio":
        from labelmill.formats.label_studio import read_tasks

        return Source(
            place, None, lambda: read_tasks(place, id_field=id_field, text_field=text_field, question=question)
        )
    if format == "argilla":
        from labelmill.formats.argilla import read_records

        return Source(place, None, lambda: read_records(place, text_field=text_field, question=question))
    if format == "wrench":
        from labelmill.formats.wrench import read_split, read_voters

        # Who says nothing in a label matrix abstains.
        electors = Electors(dict.fromkeys(read_voters(place), False), together=True)
        return Source(place, electors, lambda: read_split(place))
    if format == "snorkel":
        from labelmill.formats.snorkel import read_matrix

        electors, _ = read_matrix(place)
        return Source(place, electors, lambda: read_matrix(place)[1])
    if format == "cleanlab":
        from labelmill.formats.cleanlab import read_examples

        return Source(place, None, lambda: read_examples(place))
    if format == "huggingface":
        from labelmill.formats.hugging_face import read_folder

        return Source(place, None, lambda: read_folder(place))
    raise InputError(f"unknown format {format!r}", remedy=f"Use one of {', '.join(FORMATS)}.")
