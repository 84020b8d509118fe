"""Drafts: descriptions and labelling instructions that wait for a person, apart from the taxonomy that they are for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from labelmill.errors import InputError
from labelmill.records import Label
from labelmill.taxonomy.integrity import faults
from labelmill.taxonomy.lines import read_lines, text_of, texts_of
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.problems import Row, on_line, quote
from labelmill.taxonomy.writer import write_lines

DraftField = Literal["description", "includes", "excludes"]
FIELDS: tuple[DraftField, ...] = get_args(DraftField)

DESCRIBED_BY = "described_by"
"""The field of an accepted taxonomy that says where a label's description comes from."""

_VERSION_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Draft:
    """A text for one field of one label, or the reason why there is none.

    Attributes:
        label: The label's id.
        name: Its name, for the reader.
        field: ``description``; ``includes``, what belongs, or ``excludes``, what does not: one entry a line.
        text: What is proposed; empty where there is a problem, or where a person has rejected it.
        source: Who wrote it: ``model NAME``, or ``words`` where it is a list of telling words.
        evidence: Ids of the documents that it was made of.
        problem: Why there is no text.
    """

    label: str
    name: str
    field: DraftField
    text: str
    source: str
    evidence: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The next version of a taxonomy, and what became of the drafts.

    Attributes:
        taxonomy: With what was accepted.
        taken: How many drafts are in it.
        kept: How many were not taken, since the label has such a text already.
        left_out: How many have no text: failed, or rejected by emptying them.
    """

    taxonomy: Taxonomy
    taken: int
    kept: int
    left_out: int


def version_of(taxonomy: Taxonomy) -> str:
    """Name a version of a taxonomy: the first digits of the hash of its content."""
    return taxonomy.key[:_VERSION_DIGITS]


def write_drafts(drafts: Iterable[Draft], taxonomy: Taxonomy, path: str | Path) -> None:
    """Write one JSON object for each draft, with the version of the taxonomy that it is for.

    Raises:
        InputError: The file cannot be written.
    """
    version = version_of(taxonomy)
    write_lines((json.dumps(_row(draft, version), ensure_ascii=False) for draft in drafts), path, "the drafts")


def read_drafts(path: str | Path, taxonomy: Taxonomy) -> list[Draft]:
    """Read drafts, as written or as a person has edited them since.

    Raises:
        InputError: A line is no draft, for a label that there is not, for another version of the taxonomy, or drafts
            the same field of the same label as another line; or no line is left.
    """
    source, version = Path(path), version_of(taxonomy)
    labels = {label.id: label for label in taxonomy}
    found: dict[tuple[str, str], Draft] = {}
    lines: dict[tuple[str, str], int] = {}
    for number, row in read_lines(source, "a draft"):
        draft = _draft(row, source, number, version, labels)
        key = draft.label, draft.field
        if key in found:
            said = f"the {draft.field} of {quote(draft.label)} is drafted twice, first{on_line(lines[key])}"
            raise InputError(said, path=source, line=number, remedy="Keep one of the two lines.")
        found[key], lines[key] = draft, number
    if not found:
        raise InputError(
            "the file holds no drafts", path=source, remedy="Write some with: labelmill taxonomy describe."
        )
    return list(found.values())


def accept(taxonomy: Taxonomy, drafts: Sequence[Draft], *, overwrite: bool = False) -> Accepted:
    """Put drafts into a taxonomy; a text that a label has already stays, unless it is to be overwritten.

    A description becomes the label's. What belongs and what does not become its fields ``includes`` and ``excludes``,
    which no retriever searches: a label must not be found by what it excludes. `DESCRIBED_BY` says who wrote it.

    Args:
        taxonomy: The version that the drafts are for.
        drafts: As `read_drafts` gives them.
        overwrite: Whether drafts replace what is there.
    """
    changed = {label.id: label for label in taxonomy}
    taken = kept = left_out = 0
    for draft in drafts:
        if not draft.text.strip():
            left_out += 1
        elif has_text(changed[draft.label], draft.field) and not overwrite:
            kept += 1
        else:
            changed[draft.label] = _with(changed[draft.label], draft)
            taken += 1
    return Accepted(Taxonomy.from_labels(changed[label.id] for label in taxonomy), taken, kept, left_out)


def has_text(label: Label, field: DraftField) -> bool:
    """Tell whether a label has a text in a field already."""
    return bool((label.description if field == "description" else label.fields.get(field, "")).strip())


def _with(label: Label, draft: Draft) -> Label:
    if draft.field == "description":
        fields = {**label.fields, DESCRIBED_BY: draft.source}
        return replace(label, description=draft.text, fields=fields)
    return replace(label, fields={**label.fields, draft.field: draft.text})


def _row(draft: Draft, version: str) -> dict[str, Any]:
    row = {
        "id": draft.label,
        "name": draft.name,
        "field": draft.field,
        "text": draft.text,
        "source": draft.source,
        "evidence": draft.evidence,
        "taxonomy": version,
    }
    return row | {"problem": draft.problem} if draft.problem else row


def _draft(row: dict[str, Any], path: Path, line: int, version: str, labels: dict[str, Label]) -> Draft:
    own, label_id, field = (text_of(row, key, path, line) for key in ("taxonomy", "id", "field"))
    if own != version:
        raise InputError(
            f"this draft is for another version of the taxonomy: {quote(own)}, not {quote(version)}",
            path=path,
            line=line,
            remedy="Accept it into the version that it was made for, or have this version described: answers that the "
            "journal has are used again.",
        )
    if label_id not in labels:
        raise InputError(f"no label has the id {quote(label_id)}", path=path, line=line, remedy="Remove the line.")
    known = next((each for each in FIELDS if each == field), None)
    if known is None:
        said = f"the field {quote(field)} cannot be drafted"
        raise InputError(said, path=path, line=line, remedy=f"It is one of {', '.join(FIELDS)}.")
    draft = Draft(
        label_id,
        labels[label_id].name,
        known,
        text_of(row, "text", path, line),
        str(row.get("source") or "a person"),
        texts_of(row, "evidence", path, line),
        str(row.get("problem") or ""),
    )
    for problem in faults([Row(Label(label_id, "-", description=f"{draft.text}{draft.source}"), line)]):
        raise InputError(problem.message, path=path, line=line, remedy=problem.remedy)
    return draft
