"""A corpus as a stream of documents, from any mixture of files; what cannot be read is a failure in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from labelmill.corpus.delimited import read_delimited
from labelmill.corpus.fields import Fields, clean, unreadable
from labelmill.corpus.folder import read_folder, read_text
from labelmill.corpus.jsonl import read_jsonl
from labelmill.corpus.parquet import read_parquet
from labelmill.corpus.text import is_utf8
from labelmill.errors import CorpusError
from labelmill.keys import KeySet, text_key
from labelmill.records import Document, Failure

_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".txt")
_GZIPPED = (".jsonl", ".ndjson", ".csv", ".tsv", ".txt")


def read_documents(
    paths: str | Path | Sequence[str | Path],
    *,
    id_field: str = "id",
    text_field: str = "text",
    labels_field: str = "labels",
    limit: int | None = None,
) -> Iterator[Document | Failure]:
    """Stream the documents of a corpus, in order; memory holds a few batches of them and 16 bytes for each id.

    Each row of the corpus gives exactly one `Document` or one `Failure`: no id, a repeated id, no text, a value of the
    wrong type, bytes that are not UTF-8, a line that cannot be parsed. A repeated id fails under its ``file:line``, for
    the id itself belongs to the document that had it first.

    Args:
        paths: JSONL, CSV, TSV (each also ``.gz``) or Parquet files, folders of text files, single text files, or ``-``
            for JSONL on standard input.
        id_field: What the files call the id.
        text_field: What they call the text.
        labels_field: What they call the gold labels, if there are any.
        limit: How many rows to read at most, failures among them.

    Raises:
        CorpusError: At once, for a path that is not there, given twice, or of an unknown format; while reading, for a
            file without documents, without the text field, or damaged.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    sources = [None if str(path) == "-" else Path(path) for path in given]
    check_sources(sources)
    return islice(_unique(sources, Fields(id_field, text_field, labels_field)), limit)


def check_sources(sources: Sequence[Path | None]) -> None:
    """See that every path is there, named once, and of a known format.

    Raises:
        CorpusError: One is not.
    """
    if not sources:
        raise CorpusError("no corpus is named", remedy="Name a file, a folder, or - for standard input.")
    seen: set[Path | None] = set()
    for path in sources:
        resolved = path and path.resolve()
        if resolved in seen:
            raise CorpusError("this is named twice", path=path or "-", remedy="Name it once.")
        if resolved and not is_utf8(str(resolved)):  # it is part of keys, and stored
            raise CorpusError("its path is not UTF-8", path=clean(str(path)), remedy="Rename the file or its folder.")
        seen.add(resolved)
        try:
            _check_format(path)
        except OSError as reason:
            message = f"the file cannot be read ({reason.strerror or reason})"
            raise CorpusError(message, path=path, remedy="Check the path and its permissions.") from None


def _check_format(path: Path | None) -> None:
    if path is None or path.is_dir():
        return
    if not path.exists():
        raise CorpusError("there is no such file or folder", path=path, remedy="Check the path.")
    if suffix_of(path) not in (_GZIPPED if path.suffix.lower() == ".gz" else _SUFFIXES):
        remedy = f"Use one of {', '.join(_SUFFIXES)}, a folder of .txt files, or - for JSONL on standard input."
        raise CorpusError(f"a corpus is not read from {path.suffix or 'such a file'}", path=path, remedy=remedy)


def suffix_of(path: Path) -> str:
    """Name a file's format by its suffix in lower case, ``.gz`` left out."""
    return (Path(path.stem) if path.suffix.lower() == ".gz" else path).suffix.lower()


def _unique(sources: Sequence[Path | None], fields: Fields) -> Iterator[Document | Failure]:
    """Read source after source and fail what bears the id of an earlier row."""
    seen = KeySet()
    for path in sources:
        empty = True
        for row in _rows(path, fields):
            empty = False
            row_id = row.id if isinstance(row, Document) else row.document
            if seen.add(text_key(row_id)):
                yield row
            else:
                yield unreadable(row.source, "duplicate-id", f"the id {row_id!r} is that of an earlier document")
        if empty:
            raise CorpusError("it holds no documents", path=path or "stdin", remedy="Name a file that does.")


def _rows(path: Path | None, fields: Fields) -> Iterator[Document | Failure]:
    if path is None:
        return read_jsonl(None, fields)
    if path.is_dir():
        return read_folder(path)
    suffix = suffix_of(path)
    if suffix == ".parquet":
        return read_parquet(path, fields)
    if suffix in {".csv", ".tsv"}:
        return read_delimited(path, "," if suffix == ".csv" else "\t", fields)
    if suffix == ".txt":
        return iter([read_text(path, path.name)])
    return read_jsonl(path, fields)
