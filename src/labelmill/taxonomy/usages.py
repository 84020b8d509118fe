"""Usages: short phrases that say how documents speak of a label, by which it is found beside its names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmill.errors import InputError
from labelmill.keys import content_key, text_key
from labelmill.records import Label
from labelmill.taxonomy.integrity import faults
from labelmill.taxonomy.lines import read_lines, text_of, texts_of
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.problems import Row, on_line, quote
from labelmill.taxonomy.writer import write_lines

_BEGINNING = 1000
"""Characters by which documents are told apart, white space folded: those that begin alike may be the same."""


@dataclass(frozen=True, slots=True)
class LabelUsages:
    """The phrases of one label, or the reason why there are none.

    Attributes:
        label: The label's id.
        name: Its name, for the reader.
        phrases: Short, each once.
        source: Who wrote them: ``model NAME``, or ``words`` where they were taken out of documents.
        evidence: Ids of the documents that they were taken from, or that the model was shown.
        documents: The keys of these documents, by which they are known again; see `document_key`.
        problem: Why there are no phrases.
    """

    label: str
    name: str
    phrases: tuple[str, ...]
    source: str
    evidence: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Usages:
    """The phrases of the labels that have some.

    Attributes:
        phrases: By the label's id; none of them empty.
        documents: Keys of all documents that they come from: nothing that is learned from the same ones can tell
            whether they help.
        source: The file, for messages.
    """

    phrases: Mapping[str, tuple[str, ...]]
    documents: frozenset[str] = frozenset()
    source: str = ""

    @property
    def key(self) -> str:
        """Identify the phrases; who wrote them, and of what, does not count."""
        return content_key("usages", sorted((label, list(phrases)) for label, phrases in self.phrases.items()))

    @classmethod
    def read(cls, path: str | Path, taxonomy: Taxonomy) -> Usages:
        """Read a file of usages; by hand, a line needs no more than an ``id`` and ``phrases``.

        Raises:
            InputError: A line is none, or for a label that the taxonomy does not have, or a label has two; or no label
                has phrases.
        """
        source, labels = Path(path), {label.id for label in taxonomy}
        phrases: dict[str, tuple[str, ...]] = {}
        documents: set[str] = set()
        lines: dict[str, int] = {}
        for number, row in read_lines(source, "a label's phrases"):
            label = text_of(row, "id", source, number)
            if label not in labels:
                remedy = (
                    "Remove the line, or have the file written anew for these labels, with the same --labels-where."
                )
                raise InputError(f"no label has the id {quote(label)}", path=source, line=number, remedy=remedy)
            if label in lines:
                said = f"the label {quote(label)} has phrases twice, first{on_line(lines[label])}"
                raise InputError(said, path=source, line=number, remedy="Make one line of the two.")
            lines[label] = number
            if own := _phrases(row, source, number):
                phrases[label] = own
                documents.update(texts_of(row, "documents", source, number))
        if not phrases:
            remedy = "Write some with: labelmill taxonomy describe … --phrases 8."
            raise InputError("the file holds no phrases", path=source, remedy=remedy)
        return cls(phrases, frozenset(documents), str(source))


def write_usages(usages: Iterable[LabelUsages], path: str | Path) -> None:
    """Write one JSON object for each label.

    Raises:
        InputError: The file cannot be written.
    """
    write_lines((json.dumps(_row(each), ensure_ascii=False) for each in usages), path, "the phrases")


def document_key(text: str) -> str:
    """Identify a document by its beginning, whatever its id, case and white space."""
    return text_key(" ".join(text.split())[:_BEGINNING].casefold())


def _phrases(row: dict[str, Any], path: Path, line: int) -> tuple[str, ...]:
    phrases = tuple(dict.fromkeys(text for text in texts_of(row, "phrases", path, line) if text.strip()))
    for problem in faults([Row(Label("-", "-", phrases), line)]):
        message = "a phrase holds a NUL or half of a surrogate pair"
        raise InputError(message, path=path, line=line, remedy=problem.remedy)
    return phrases


def _row(each: LabelUsages) -> dict[str, Any]:
    row = {
        "id": each.label,
        "name": each.name,
        "phrases": each.phrases,
        "source": each.source,
        "evidence": each.evidence,
        "documents": each.documents,
    }
    return row | {"problem": each.problem} if each.problem else row
