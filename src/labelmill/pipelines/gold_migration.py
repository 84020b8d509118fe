"""Gold labels carried over to another version of the taxonomy: a file in, a file of the same format out, and a report.

Everything but the gold labels of a row stays as it is. A row that cannot be read is copied, and counted.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from labelmill.corpus.fields import split_labels
from labelmill.corpus.reading import suffix_of
from labelmill.corpus.text import open_text
from labelmill.errors import CorpusError, GoldError, InputError
from labelmill.taxonomy import Targets, Taxonomy
from labelmill.taxonomy.writer import aside

_LINES = {".jsonl", ".ndjson"}
_TABLES = {".csv": ",", ".tsv": "\t"}
_LONGEST_CELL = 1 << 26


class Fate(StrEnum):
    """What becomes of a gold label."""

    kept = "kept"
    changed = "changed"
    removed = "removed"
    in_parts = "split"
    unknown = "unknown"


@dataclass(slots=True)
class Carried:
    """What became of one gold label, as the file writes it.

    Attributes:
        text: What the file says.
        fate: What became of it.
        into: What is written instead; for a split label that is left out, what it was split into.
        times: In how many documents.
        first: The place of the first, ``file:line``.
        reason: Why it is unknown.
    """

    text: str
    fate: Fate
    into: tuple[str, ...] = ()
    times: int = 0
    first: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        shown = {name: getattr(self, name) for name in ("text", "times", "first")}
        return shown | ({"into": list(self.into)} if self.into else {}) | ({"why": self.reason} if self.reason else {})


@dataclass(slots=True)
class GoldMigration:
    """What became of the gold labels of a file.

    Attributes:
        documents: Rows that could be read.
        unreadable: Rows that could not, and were copied.
        first_unreadable: The place of the first of them.
        labels: What became of each distinct label.
        merged: How often two labels of a document became one, which is written once.
        emptied: Documents that had labels and have none left.
    """

    documents: int = 0
    unreadable: int = 0
    first_unreadable: str = ""
    labels: list[Carried] = field(default_factory=list)
    merged: int = 0
    emptied: int = 0

    def of(self, fate: Fate) -> list[Carried]:
        """List the labels of one fate, the most frequent first."""
        return sorted((each for each in self.labels if each.fate is fate), key=lambda each: (-each.times, each.text))

    def times(self, fate: Fate) -> int:
        """Count how often labels of one fate stand in documents."""
        return sum(each.times for each in self.labels if each.fate is fate)

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        counts = {name: getattr(self, name) for name in ("documents", "unreadable", "merged", "emptied")}
        listed = {str(fate): [each.as_dict() for each in self.of(fate)] for fate in Fate if fate is not Fate.kept}
        return counts | {"times": {str(fate): self.times(fate) for fate in Fate}} | listed


def migrate_gold(
    source: Path,
    target: Path,
    old: Taxonomy,
    new: Taxonomy,
    targets: Targets,
    *,
    all_parts: bool = False,
    labels_field: str = "labels",
) -> GoldMigration:
    """Carry the gold labels of a file over; ids stay ids, and names stay names where the new ones are unique.

    A label that is gone is left out, and one that was split as well, unless `all_parts` has every part written. What
    the old version does not have stays as it is.

    Args:
        source: JSONL, CSV or TSV, each also ``.gz``.
        target: The file to write, of the same format; whole, or as it was.
        old: The version that the labels are of.
        new: The version to carry them over to.
        targets: For every label of `old` its ids in `new`; none where it is gone.
        all_parts: Whether all parts of a split label apply.
        labels_field: What the file calls the gold labels.

    Raises:
        CorpusError: The file cannot be read, or has no such field.
        InputError: The formats differ, or the file cannot be written.
    """
    suffix = suffix_of(source)
    _check(source, target, suffix)
    carrying = _Carrying(old, new, targets, all_parts=all_parts)
    text = _lines(source, newline="" if suffix in _TABLES else "\n")
    try:
        with aside(target) as fresh, _open_to_write(fresh, gzipped=target.suffix.lower() == ".gz") as out:
            if suffix in _LINES:
                _carry_lines(text, out, carrying, str(source), labels_field)
            else:
                _carry_rows(text, out, carrying, source, labels_field, _TABLES[suffix])
    except OSError as error:
        raise InputError(
            f"the file cannot be written: {error.strerror or error}", path=target, remedy="Name another file."
        ) from error
    carrying.result.labels = list(carrying.known.values())
    return carrying.result


def _check(source: Path, target: Path, suffix: str) -> None:
    if not source.is_file():
        raise CorpusError("there is no such file", path=source, remedy="Check the path.")
    if suffix not in {*_LINES, *_TABLES}:
        raise CorpusError(
            f"gold is not carried over from {source.suffix or 'such a file'}",
            path=source,
            remedy=f"Use one of {', '.join((*sorted(_LINES), *_TABLES))}, each also with .gz.",
        )
    if suffix_of(target) != suffix:
        raise InputError(f"the file is of another format than {source}", path=target, remedy=f"Name a {suffix} file.")
    if target.exists() and target.samefile(source):
        raise InputError("this is the file that is read", path=target, remedy="Name another one with --out.")


class _Carrying:
    """What becomes of each distinct label, looked up once, and the count of it."""

    def __init__(self, old: Taxonomy, new: Taxonomy, targets: Targets, *, all_parts: bool) -> None:
        self.result = GoldMigration()
        self.known: dict[str, Carried] = {}
        self._old, self._new, self._targets, self._all_parts = old, new, targets, all_parts

    def labels(self, texts: Sequence[str], place: str) -> list[str]:
        """Give the labels of a document as they are now."""
        found: dict[str, None] = {}
        for text in dict.fromkeys(texts):
            carried = self.known.get(text) or self.known.setdefault(text, self._carry(text))
            carried.times += 1
            carried.first = carried.first or place
            into = () if carried.fate in {Fate.removed, Fate.in_parts} else carried.into
            self.result.merged += sum(each in found for each in into)
            found.update(dict.fromkeys(into))
        self.result.emptied += bool(texts) and not found
        return list(found)

    def cannot_read(self, place: str) -> None:
        """Count a row that is copied."""
        self.result.unreadable += 1
        self.result.first_unreadable = self.result.first_unreadable or place

    def _carry(self, text: str) -> Carried:
        try:
            label = self._old[self._old.resolve(text)]
        except GoldError as error:
            if _position(self._new, text) is not None:
                return Carried(text, Fate.kept, (text,))
            return Carried(text, Fate.unknown, (text,), reason=str(error))
        into = self._targets[label.id]
        if not into:
            return Carried(text, Fate.removed)
        written = tuple(self._write(text, target, by_id=text == label.id) for target in into)
        if len(into) > 1 and not self._all_parts:
            return Carried(text, Fate.in_parts, written)
        return Carried(text, Fate.kept if written == (text,) else Fate.changed, written)

    def _write(self, text: str, target: str, *, by_id: bool) -> str:
        """Write a label of the new version: as it was, if that says it still; by id where a name would not tell it."""
        position = self._new.position(target)
        name = self._new[position].name
        ways = [text, target] if by_id else [text, name, target]
        return next(way for way in ways if _position(self._new, way) == position)


def _position(taxonomy: Taxonomy, text: str) -> int | None:
    try:
        return taxonomy.resolve(text)
    except GoldError:
        return None


def _lines(path: Path, newline: str) -> Iterator[str]:
    """Read line by line; what goes wrong with writing them is not taken for an error of reading."""
    with open_text(path, newline=newline) as text:
        yield from text


def _carry_lines(lines: Iterator[str], out: TextIO, carrying: _Carrying, name: str, labels_field: str) -> None:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            out.write(line)
            continue
        place = f"{name}:{number}"
        record = _object(line)
        texts = _texts(record.get(labels_field)) if record is not None else None
        if record is None or texts is None:
            carrying.cannot_read(place)
            out.write(line)
            continue
        carrying.result.documents += 1
        after = carrying.labels(texts, place)
        if after == texts:
            out.write(line)
            continue
        alone = not isinstance(record[labels_field], list) and len(after) == 1
        out.write(_dump(record | {labels_field: after[0] if alone else after}, plain=line.isascii()) + "\n")


def _object(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _texts(value: Any) -> list[str] | None:
    """List the labels of a record as texts; None where they are of another kind."""
    items = [] if value is None else value if isinstance(value, list) else [value]
    return [str(item) for item in items] if all(type(item) in {str, int} for item in items) else None


def _dump(record: dict[str, Any], *, plain: bool) -> str:
    line = json.dumps(record, ensure_ascii=plain)
    try:
        line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, which was escaped before
        return json.dumps(record)
    return line


def _carry_rows(
    text: Iterator[str], out: TextIO, carrying: _Carrying, path: Path, labels_field: str, delimiter: str
) -> None:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    column, width = -1, 0
    for line, cells in _cells(reader, path):
        if not any(cell.strip() for cell in cells):
            continue
        if not width:
            header = [cell.strip() for cell in cells]
            if labels_field not in header:
                shown = ", ".join(map(repr, header))
                raise CorpusError(
                    f"there is no field {labels_field!r}; the fields are {shown}",
                    path=path,
                    line=line,
                    remedy="Name the one that holds the gold labels: --labels-field.",
                )
            column, width = header.index(labels_field), len(header)
        elif len(cells) != width:
            carrying.cannot_read(f"{path}:{line}")
        else:
            cells[column] = _carry_cell(cells[column], carrying, f"{path}:{line}")
        writer.writerow(cells)


def _cells(reader: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # what belongs to the row cannot be told, so that it cannot be copied
            raise CorpusError(
                f"the quotes of this row do not match ({error})", path=path, line=line, remedy="Mend the row."
            ) from error


def _carry_cell(cell: str, carrying: _Carrying, place: str) -> str:
    texts = split_labels(cell)
    carrying.result.documents += 1
    if texts is None:
        return cell
    after = carrying.labels(texts, place)
    if after == texts:
        return cell
    as_list = cell.lstrip().startswith("[") or not after or any("|" in each or each[:1] == "[" for each in after)
    return json.dumps(after, ensure_ascii=False) if as_list else "|".join(after)


def _open_to_write(path: Path, *, gzipped: bool) -> TextIO:
    opened: Callable[..., Any] = gzip.open if gzipped else open
    file: TextIO = opened(path, "wt", encoding="utf-8", errors="surrogateescape", newline="")
    return file
