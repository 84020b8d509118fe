"""Labelling functions: Python functions of a user's module that vote on a document."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from labelmill.errors import InputError
from labelmill.records import Document

Function = Callable[[Document], Any]

_MARK = "__labelmill_voter__"


@overload
def labeling_function(function: Function, /) -> Function: ...
@overload
def labeling_function(*, name: str | None = None) -> Callable[[Function], Function]: ...
def labeling_function(
    function: Function | None = None, /, *, name: str | None = None
) -> Function | Callable[[Function], Function]:
    """Mark a function as a voter.

    It is given a `Document` (without gold) and returns None to abstain, a label's id or unique name, several of them,
    or a mapping from labels to numbers: above 0 for, below 0 against, the size being its confidence, 1 at most.

    >>> @labeling_function
    ... def bread(document):
    ...     return {"bread": 0.9, "soup": -1} if "flour" in document.text else None

    Args:
        function: The function, where the decorator is used without parentheses.
        name: The voter's name; that of the function by default.
    """

    def mark(marked: Function) -> Function:
        setattr(marked, _MARK, name or getattr(marked, "__name__", "function"))
        return marked

    return mark if function is None else mark(function)


def load_functions(path: str | Path) -> dict[str, Function]:
    """Run a module of labelling functions and return these by name, in the order of the file.

    It may import what lies beside it, as any Python file that is run.

    Raises:
        InputError: There is no such file, it raises, or it has no labelling function, or two of one name.
    """
    if not Path(path).is_file():
        raise InputError("there is no such module", path=path, remedy="Name a .py file with labelling functions.")
    if (beside := str(Path(path).resolve().parent)) not in sys.path:
        sys.path.append(beside)
    try:
        names = runpy.run_path(str(path))
    except BaseException as reason:
        told = f"{type(reason).__name__}: {reason}"
        raise InputError(f"the module cannot be run ({told})", path=path, remedy="Mend it.") from reason
    found: dict[str, Function] = {}
    for value in names.values():
        voter = getattr(value, _MARK, None)
        if voter is None or found.get(voter) is value:
            continue
        if voter in found:
            raise InputError(f"two labelling functions are called {voter!r}", path=path, remedy="Rename one.")
        found[voter] = value
    if not found:
        raise InputError("it has no labelling function", path=path, remedy="Mark some with @labeling_function.")
    return found


@dataclass(frozen=True, slots=True)
class Said:
    """What a voter says of a label that it names.

    Attributes:
        label: An id or a unique name.
        worth: Above 0 for, below 0 against; the size is its confidence, 1 at most.
    """

    label: str
    worth: float = 1.0


def read_answer(answer: Any) -> list[Said]:
    """Understand what a labelling function returned.

    Raises:
        ValueError: It is none of what a function may return.
    """
    said = _read(answer)
    for each in said:
        each.label.encode()  # half a character cannot be sent, and is in no label
    return said


def _read(answer: Any) -> list[Said]:
    if answer is None:
        return []
    if isinstance(answer, str):
        return [Said(answer)]
    if isinstance(answer, Mapping):
        return [_weighed(label, worth) for label, worth in answer.items()]
    if isinstance(answer, list | tuple | set | frozenset) and all(isinstance(each, str) for each in answer):
        return [Said(each) for each in sorted(set(answer))]
    raise ValueError(f"it returned {type(answer).__name__}, not None, a label, labels, or labels with numbers")


def _weighed(label: Any, worth: Any) -> Said:
    if isinstance(worth, bool):
        worth = 1.0 if worth else -1.0
    if not isinstance(label, str) or not isinstance(worth, int | float) or not 0 < abs(worth) <= 1:
        raise ValueError(f"it returned {label!r}: {worth!r}, not a label with a number in -1..1 other than 0")
    return Said(label, float(worth))
