"""Corpora as text files: a folder of them, or a single one; each file is one document, without gold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from labelmill.corpus.fields import Fields, clean, document_from
from labelmill.corpus.text import is_utf8, open_text
from labelmill.errors import CorpusError
from labelmill.records import Document, Failure


def read_folder(folder: Path) -> Iterator[Document | Failure]:
    """Read every ``*.txt`` below a folder, sorted by path; a document's id is its path within the folder.

    Raises:
        CorpusError: There is none.
    """
    files = sorted(path for path in folder.rglob("*.txt") if path.is_file())
    if not files:
        remedy = "Name files in place of the folder, such as FOLDER/*.jsonl."
        raise CorpusError("there is no .txt file in this folder", path=folder, remedy=remedy)
    for path in files:
        yield read_text(path, path.relative_to(folder).as_posix())


def read_text(path: Path, document_id: str) -> Document | Failure:
    """Read a text file as one document."""
    document_id, source = clean(document_id), clean(str(path))
    try:
        with open_text(path, newline="\n") as lines:
            text = lines.read()
    except CorpusError as reason:  # one bad file of a folder is one bad document
        return Failure(document_id, "read", "unreadable", str(reason), source)
    if not is_utf8(text):
        return Failure(document_id, "read", "encoding", "the file is not UTF-8", source)
    return document_from({"id": document_id, "text": text}, source, Fields("id", "text", "labels"))
