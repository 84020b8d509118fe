"""Files that commands write: never over their inputs, and over nothing that a person may have edited."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from labelmill.errors import InputError

Replace = Annotated[bool, typer.Option("--replace", help="Write a file anew that is there already.")]


def check_written(path: Path | None, inputs: Iterable[Path | None], *, replace: bool, why: str = "") -> None:
    """Refuse, before anything slow, what could only fail later or would undo somebody's work.

    Args:
        path: The file to write, if one is to be.
        inputs: What is read, which stays as it is whatever is said.
        replace: Whether it may be there.
        why: What is lost, or not, by replacing it; for the remedy.

    Raises:
        InputError: It is an input, it is there and `replace` is not given, or its folder is not there.
    """
    if path is None:
        return
    if path.exists():
        check_not_read(path, inputs)
        if not replace:
            raise InputError(
                "this file is there already, and a person may have edited it",
                path=path,
                remedy=f"Name another one, or say --replace{f': {why}' if why else '.'}",
            )
    if not path.absolute().parent.is_dir():
        raise InputError("there is no such folder", path=path, remedy="Make it, or name another file.")


def check_not_read(path: Path, inputs: Iterable[Path | None]) -> None:
    """Refuse to write a file that is read, whatever it is called.

    Raises:
        InputError: It is one of the inputs.
    """
    if path.exists() and any(each and each.exists() and path.samefile(each) for each in inputs):
        raise InputError("this file is read, and stays as it is", path=path, remedy="Name another file to write.")


def check_exported(target: Path, format: str, inputs: Iterable[Path], *, replace: bool, split: str = "train") -> None:  # noqa: A002 - the user's word
    """Refuse an export that would write over what it reads, or over files that are there; see `check_written`.

    Args:
        target: The file or folder to write.
        format: Who reads it.
        inputs: What is read.
        replace: Whether files may be there.
        split: Of WRENCH.

    Raises:
        InputError: One of its files is an input, or is there and `replace` is not given.
    """
    from labelmill.pipelines.exchange import files_of, files_replaced

    inputs = list(inputs)
    for each in files_of(target, format, split=split):
        check_not_read(each, inputs)
    for each in files_replaced(target, format, split=split):
        check_written(each, inputs, replace=replace)
