"""Files that say under which ids labels go on in the next version of a taxonomy: old id to new ids.

CSV and TSV have a row for each pair, under a header with ``old`` and ``new``: an old id in several rows is split, a new
one in several is merged, an empty new one says that the label is removed. JSONL has an object for each old id, whose
``new`` is an id or a list of them. Whatever else is there (names, the reason) is for people.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from labelmill.errors import InputError, TaxonomyError
from labelmill.taxonomy.detection import Proposal
from labelmill.taxonomy.diff import Targets
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.problems import quote
from labelmill.taxonomy.readers.text import encoding_problem, open_text
from labelmill.taxonomy.writer import aside

_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
_HEADER = ("old", "new", "old_name", "new_name", "why")


def read_map(path: Path, old: Taxonomy, new: Taxonomy) -> Targets:
    """Read a map between two versions.

    Raises:
        TaxonomyError: It cannot be read, or an id in it is not that of a label; with file and line.
    """
    from_ids, to_ids = {label.id for label in old}, {label.id for label in new}
    found: dict[str, dict[str, None]] = {}
    removed: dict[str, int] = {}
    for line, given, targets in _read(path):
        source = _known(given, from_ids, "old", path, line)
        into = found.setdefault(source, {})
        into.update(dict.fromkeys(_known(target, to_ids, "new", path, line) for target in targets))
        if not targets:
            removed[source] = line
    for source, line in removed.items():
        if found[source]:
            raise TaxonomyError(
                f"{quote(source)} is removed here, and goes to {quote(next(iter(found[source])))} elsewhere",
                path=path,
                line=line,
                remedy="Keep one of the two.",
            )
    return {source: tuple(into) for source, into in found.items()}


def write_map(path: Path, proposals: Sequence[Proposal]) -> None:
    """Write proposals as a map, for a person to correct: what is left in it holds once it is read.

    Raises:
        InputError: The file is of another format, or cannot be written.
    """
    suffix = _suffix(path)
    try:
        with aside(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
            if suffix in {".jsonl", ".ndjson"}:
                file.writelines(json.dumps(_record(each), ensure_ascii=False) + "\n" for each in proposals)
            else:
                rows = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
                rows.writerow(_HEADER)
                rows.writerows(
                    (each.source.id, label.id, each.source.name, label.name, each.why)
                    for each in proposals
                    for label in each.into
                )
    except OSError as error:
        raise InputError(
            f"the map cannot be written: {error.strerror or error}", path=path, remedy="Name another file."
        ) from error


def _record(proposal: Proposal) -> dict[str, Any]:
    return {
        "old": proposal.source.id,
        "new": [label.id for label in proposal.into],
        "old_name": proposal.source.name,
        "new_name": [label.name for label in proposal.into],
        "why": proposal.why,
    }


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise TaxonomyError(
            f"a map is not read from or written to {suffix or 'a file without a suffix'}",
            path=path,
            remedy=f"Use one of {', '.join(_SUFFIXES)}.",
        )
    return suffix


def _read(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Give line, old id and new ids of every row."""
    suffix = _suffix(path)
    try:
        with open_text(path, newline="" if suffix in {".csv", ".tsv"} else "\n") as text:
            if suffix in {".jsonl", ".ndjson"}:
                yield from _objects(text, path)
            else:
                yield from _rows(csv.reader(text, delimiter="\t" if suffix == ".tsv" else ",", strict=True), path)
    except FileNotFoundError:
        raise TaxonomyError("there is no such file", path=path, remedy="Check the path.") from None
    except (OSError, UnicodeError, EOFError, zlib.error) as error:
        raise TaxonomyError(f"the map cannot be read ({error})", path=path, remedy="Check the file.") from error


def _rows(reader: Any, path: Path) -> Iterator[tuple[int, str, list[str]]]:
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise _wrong(f"the quotes of this row do not match ({error})", path, line) from error
        if not any(cell.strip() for cell in cells):
            continue
        _check_encoding("".join(cells), path, line)
        if header is None:
            header = [cell.strip().casefold() for cell in cells]
            if not {"old", "new"} <= set(header):
                raise _wrong(f"the header has no columns old and new: {', '.join(map(quote, cells))}", path, line)
        elif len(cells) != len(header):
            raise _wrong(f"this row has {len(cells)} cells, the header {len(header)}", path, line)
        else:
            record = dict(zip(header, cells, strict=True))
            yield line, record["old"], [record["new"]] if record["new"].strip() else []
    if header is None:
        raise _wrong("the map has no header", path, 1)


def _objects(lines: Any, path: Path) -> Iterator[tuple[int, str, list[str]]]:
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        _check_encoding(text, path, line)
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _wrong("this is not JSON", path, line) from error
        old, new = (record.get("old"), record.get("new", [])) if isinstance(record, Mapping) else (None, None)
        targets = [] if new is None else new if isinstance(new, list) else [new]
        if not isinstance(record, Mapping) or not all(type(each) in {str, int} for each in (old, *targets)):
            raise _wrong('this is not an object of an old id and new ids: {"old": "a", "new": ["b", "c"]}', path, line)
        yield line, str(old), list(map(str, targets))


def _known(given: str, ids: set[str], which: str, path: Path, line: int) -> str:
    for text in (given, given.strip()):  # as readers of CSV files strip cells, and those of JSONL do not
        if text in ids:
            return text
    raise TaxonomyError(
        f"the {which} taxonomy has no label of the id {quote(given)}",
        path=path,
        line=line,
        remedy="Write ids as the taxonomies have them.",
    )


def _check_encoding(text: str, path: Path, line: int) -> None:
    if problem := encoding_problem(text, line):
        raise TaxonomyError(problem.message, path=path, line=line, remedy=problem.remedy)


def _wrong(message: str, path: Path, line: int) -> TaxonomyError:
    return TaxonomyError(message, path=path, line=line, remedy="Write old and new ids under the header old,new.")
