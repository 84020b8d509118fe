"""How far tuning is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TuneProgress:
    """What tuning is at.

    Attributes:
        step: In words: ``optimising infer``, ``retrieving``, ...
        done: Of it.
        total: Of it; 0 where that is not known.
        detail: More, where there is more.
    """

    step: str
    done: int = 0
    total: int = 0
    detail: str = ""


OnTune = Callable[[TuneProgress], None]
