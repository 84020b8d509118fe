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
        if any(each and each.exists() and path.samefile(each) for each in inputs):
            raise InputError("this file is read, and stays as it is", path=path, remedy="Name another file to write.")
        if not replace:
            raise InputError(
                "this file is there already, and a person may have edited it",
                path=path,
                remedy=f"Name another one, or say --replace{f': {why}' if why else '.'}",
            )
    if not path.absolute().parent.is_dir():
        raise InputError("there is no such folder", path=path, remedy="Make it, or name another file.")
