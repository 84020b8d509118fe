"""Which metrics belong together, in which order, and which of them a person is shown unasked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum


class Shown(StrEnum):
    """What to show: the main metrics, one group, or all."""

    main = "main"
    all = "all"
    ranking = "ranking"
    sets = "sets"
    tail = "tail"
    hierarchy = "hierarchy"
    calibration = "calibration"


TITLES = {
    Shown.ranking: "ranking",
    Shown.sets: "final sets",
    Shown.tail: "rare and frequent labels",
    Shown.hierarchy: "hierarchy",
    Shown.calibration: "calibration",
}
"""The groups, in their order."""

_PATTERNS = {
    Shown.ranking: r"(p|r|rp|ndcg)@\d+",
    Shown.tail: r"psp@\d+|psndcg@\d+|(r|rp)@\d+_(head|tail)",
    Shown.hierarchy: r"hf1|hp|hr|near_.+",
    Shown.calibration: r"ece@\d+",
    Shown.sets: r".+",
}
_MAIN_SETS = frozenset({"micro_f1", "micro_precision", "micro_recall", "macro_f1", "coverage", "set_size_mean"})
_MAIN_HIERARCHY = frozenset({"hf1", "near_f1"})
_USUAL_DEPTH = 10


def group(name: str) -> Shown:
    """Name the group of a metric."""
    return next(kind for kind, pattern in _PATTERNS.items() if re.fullmatch(pattern, name))


def choose(names: Iterable[str], shown: Shown = Shown.main) -> dict[Shown, list[str]]:
    """Choose the metrics to show, by group; a group without any is left out.

    The main ones are, of the rankings, RP and nDCG at every depth, P at the smallest and R at the largest; of rare and
    frequent labels, RP and PSP at the depth closest to 10.
    """
    known = list(names)
    depths = sorted({int(found[1]) for name in known if (found := re.fullmatch(r"rp@(\d+)", name))})
    chosen = {kind: [name for name in known if group(name) is kind] for kind in TITLES}
    if shown is Shown.main:
        chosen = {kind: [name for name in of_kind if _is_main(name, depths)] for kind, of_kind in chosen.items()}
    elif shown is not Shown.all:
        chosen = {shown: chosen[shown]}
    return {kind: of_kind for kind, of_kind in chosen.items() if of_kind}


def _is_main(name: str, depths: list[int]) -> bool:
    kind = group(name)
    if kind is Shown.sets:
        return name in _MAIN_SETS
    if kind is Shown.hierarchy:
        return name in _MAIN_HIERARCHY
    if kind is Shown.calibration:
        return True
    usual = min(depths, key=lambda depth: abs(depth - _USUAL_DEPTH))
    if kind is Shown.tail:
        return name in {f"psp@{usual}", f"rp@{usual}_head", f"rp@{usual}_tail"}
    return name.startswith(("rp@", "ndcg@")) or name in {f"p@{depths[0]}", f"r@{depths[-1]}"}
