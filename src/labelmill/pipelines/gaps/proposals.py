"""Proposals for a taxonomy, and the file in which a person edits and accepts them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from labelmill.errors import InputError

Kind = Literal["new", "alias", "split"]


class NearLabel(BaseModel):
    """A label that is nearest to what is proposed.

    Attributes:
        label: Its id.
        name: Its name.
        likeness: The cosine of the proposal with the nearest of its names and aliases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    name: str
    likeness: float


class Part(BaseModel):
    """One part of a label that is to be split.

    Attributes:
        name: Of the narrower label that it would be.
        id: Of that label; its name, where none is given.
        phrases: What documents say for it, the most frequent first.
        documents: In how many documents.
        sample: Ids of some of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    id: str = ""
    phrases: tuple[str, ...] = ()
    documents: int = 0
    sample: tuple[str, ...] = ()


class Proposal(BaseModel):
    """One change of the taxonomy that documents speak for; a person may change any of it.

    Attributes:
        accept: Whether the next version shall have it.
        kind: ``new`` for a label, ``alias`` for another name of one, ``split`` for narrower labels below one.
        name: The new label's name, or the alias.
        id: Of the new label; its name, where none is given.
        label: The id of the label that gets the alias, or is split; empty for a new one.
        parents: Ids of what a new label is to be under.
        documents: How many documents speak for it.
        sample: Ids of some of them.
        phrases: What they say, the most frequent first, the name among it.
        nearest: The labels that come nearest.
        parts: Of a split.
        separation: Of a split: how much more alike the phrases of one part are than those of different parts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    accept: StrictBool = False
    kind: Kind
    name: str
    id: str = ""
    label: str = ""
    parents: tuple[str, ...] = ()
    documents: int = Field(default=0, ge=0)
    sample: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    nearest: tuple[NearLabel, ...] = ()
    parts: tuple[Part, ...] = ()
    separation: float | None = None


def write_proposals(proposals: Sequence[Proposal], path: str | Path) -> None:
    """Write one JSON object a line, whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(_short(each.model_dump()), ensure_ascii=False) + "\n" for each in proposals)
        part.replace(target)
    except OSError as error:
        raise InputError(
            f"the proposals cannot be written: {error.strerror or error}",
            path=path,
            remedy="Name a file in a folder that is there and can be written to.",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def read_proposals(path: str | Path) -> list[tuple[int, Proposal]]:
    """Read what `write_proposals` wrote and a person edited, each with its line; empty lines are passed over.

    Raises:
        InputError: The file cannot be read, or a line is no proposal.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"the proposals cannot be read: {reason}", path=path, remedy=_MAKE) from error
    return list(_read_lines(text, path))


_MAKE = "Make them with: labelmill taxonomy gaps RUNS.duckdb --out PROPOSALS.jsonl"


def _read_lines(text: str, path: str | Path) -> Iterator[tuple[int, Proposal]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, Proposal.model_validate(json.loads(line))
        except ValidationError as error:
            said = _in_words(error.errors()[0])
            raise InputError(said, path=path, line=number, remedy="Mend or delete that line.") from error
        except (ValueError, RecursionError) as error:
            message = f"this is no JSON: {error}"
            raise InputError(message, path=path, line=number, remedy="Mend or delete that line.") from error


_WANTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "greater_than_equal": "0 or more",
    "literal_error": "new, alias or split",
    "model_type": "an object, as gaps writes it",
}


def _in_words(problem: Mapping[str, Any]) -> str:
    """Say what is wrong with a proposal, in words of the file: what pydantic calls a tuple is a list there."""
    place = ""
    for part in problem["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    kind = problem["type"]
    if kind == "missing":
        return f"there is no {place!r}, which a proposal needs"
    if kind == "extra_forbidden":
        return f"a proposal has no {place!r}"
    if kind == "tuple_type":
        wanted = "a list of objects" if place in {"nearest", "parts"} else "a list of texts"
    else:
        wanted = _WANTED.get(kind, "")
    subject = f"{place!r}" if place else "a line"
    return f"{subject} must be {wanted}" if wanted else f"{subject}: {problem['msg'].lower()}"


def _short(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what this kind of proposal does not have."""
    needed = {"accept", "kind", "name", "documents"}
    return {name: value for name, value in values.items() if name in needed or value not in ((), [], "", None)}
