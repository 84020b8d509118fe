"""The JSON of WRENCH, the benchmark of weak supervision: one class per document, one vote of each voter or none.

https://github.com/JieyuZ2/wrench/wiki/Dataset:-Format-and-Usage. It names no voters: `VOTERS` beside it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import orjson

from labelmill.corpus.fields import clean
from labelmill.errors import InputError
from labelmill.formats.entries import read_entries
from labelmill.formats.json_values import Unfit, failed, id_of, list_of, object_of, text_of
from labelmill.formats.values import Judged, Opinion, Vote
from labelmill.formats.writing import write_json, write_members
from labelmill.records import Failure

ABSTAINS = -1
CLASSES, VOTERS = "label.json", "voters.json"
SPLITS = ("train", "valid", "test")

Row = tuple[str, str | None, int, Sequence[int]]
"""A document's id, its text, its class or `ABSTAINS`, and what each voter says."""


def write_split(folder: Path, split: str, rows: Iterable[Row], classes: Sequence[str], voters: Sequence[str]) -> int:
    """Write ``SPLIT.json``, the names of its classes, and those of its voters; returns how many documents there are.

    Args:
        folder: Where; made where it is not there.
        split: ``train``, ``valid`` or ``test``.
        rows: The documents.
        classes: Their names, by number.
        voters: Their names, in the order of their votes.

    Raises:
        InputError: There is no such split, a file cannot be written, or other splits have other classes or voters.
    """
    if split not in SPLITS:
        raise InputError(f"{split!r} is no split of WRENCH", remedy=f"Use one of {', '.join(SPLITS)}.")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"it cannot be made: {error.strerror}", path=folder, remedy="Name another folder.") from error
    beside = {CLASSES: {str(number): name for number, name in enumerate(classes)}, VOTERS: list(voters)}
    others = any((folder / f"{each}.json").exists() for each in SPLITS if each != split)
    for name, value in beside.items():
        if others and (folder / name).exists() and _json(folder / name) != value:
            raise InputError(
                "this file of other splits says something else",
                path=folder / name,
                remedy="Name another folder: all splits of one have the same classes and voters.",
            )
    for name, value in beside.items():
        write_json(folder / name, value)
    members = (
        (document, {"label": label, "weak_labels": list(votes), "data": {} if text is None else {"text": text}})
        for document, text, label, votes in rows
    )
    return write_members(folder / f"{split}.json", members)


def read_voters(path: Path) -> list[str]:
    """Name the voters of a split; by their number where nothing beside it names them.

    Raises:
        InputError: What names them is no list of texts.
    """
    beside = path.with_name(VOTERS)
    if beside.is_file():
        names = _json(beside)
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError("this is no list of names", path=beside, remedy="Mend or remove it.")
        if len(set(names)) < len(names):
            raise InputError("a name is there twice", path=beside, remedy="Name each voter differently.")
        return [clean(name) for name in names]
    for _, entry, _ in read_entries(path, of="{"):
        votes = entry.get("weak_labels") if isinstance(entry, dict) else None
        return [f"lf_{number}" for number in range(len(votes) if isinstance(votes, list) else 0)]
    return []


def read_split(path: Path) -> Iterator[Judged | Failure]:
    """Read a split with what each voter says of each document.

    Args:
        path: ``train.json``, ``valid.json`` or ``test.json``; `CLASSES` is beside it.

    Raises:
        InputError: One of them cannot be read.
    """
    classes, voters = _classes(path.with_name(CLASSES)), read_voters(path)
    for key, entry, line in read_entries(path, of="{"):
        source = f"{clean(str(path))}:{line}"
        try:
            yield _judged(id_of(key, "the key"), object_of(entry, "the document"), classes, voters, source)
        except Unfit as reason:
            yield failed(source, reason)


def _judged(
    document: str, entry: dict[str, object], classes: dict[int, str], voters: Sequence[str], source: str
) -> Judged:
    votes = list_of(entry.get("weak_labels"), "weak_labels")
    if len(votes) != len(voters):
        raise Unfit(f"there are {len(votes)} weak_labels, of {len(voters)} voters")
    said = [_class(vote, classes, "a weak label") for vote in votes]
    opinions = tuple(
        Opinion(voter, () if name is None else (Vote(name),)) for voter, name in zip(voters, said, strict=True)
    )
    label = _class(entry.get("label"), classes, "label")
    data = entry.get("data")
    text = data.get("text") if isinstance(data, dict) else None
    return Judged(
        document, clean(text) if isinstance(text, str) else "", opinions, None if label is None else (label,), source
    )


def _class(value: object, classes: dict[int, str], what: str) -> str | None:
    if value is None or value == ABSTAINS:
        return None
    if type(value) is not int or value not in classes:
        raise Unfit(f"{what} is {value!r}, which {CLASSES} does not have")
    return classes[value]


def _classes(path: Path) -> dict[int, str]:
    if not path.is_file():
        raise InputError("there is no such file", path=path, remedy=f"{CLASSES} names the classes by their numbers.")
    named = _json(path)
    try:
        return {int(number): text_of(name, "a class") for number, name in object_of(named, "the file").items()}
    except (Unfit, ValueError) as reason:
        raise InputError(f"it does not name classes by numbers: {reason}", path=path, remedy="Mend it.") from None


def _json(path: Path) -> object:
    try:
        return orjson.loads(path.read_bytes())
    except (orjson.JSONDecodeError, OSError) as reason:
        raise InputError(f"this is not JSON ({reason})", path=path, remedy="Mend the file.") from None
