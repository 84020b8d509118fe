"""The parts of a program's evidence, and what becomes of a specification without some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labelmill.pipelines.evidence import OF_A_LANE
from labelmill.pipelines.program import Program
from labelmill.pipelines.spec import STUDENT_LANE, ProgramSpec
from labelmill.pipelines.tuning.choosing import Part

NEIGHBOURS = "neighbours/text"
TAUGHT = (NEIGHBOURS, "classifier/text")
"""Lanes that learn from labelled examples."""

INFER = "infer"
USAGES = "usages"


def parts_of(program: Program, seconds: Mapping[str, float], asking: float) -> list[Part]:
    """List what can be left out: lanes, scorers, all but the first embedder, Infer where there are windows too, usages.

    Args:
        program: Assembled for learning.
        seconds: What lanes and scorers took per document.
        asking: Seconds per document that Infer's model took.
    """
    assert program.retrieve.reordering is not None
    columns = program.retrieve.reordering.evidence.columns
    width = len(OF_A_LANE)
    lanes: dict[str, set[int]] = {}
    embedders: dict[int, set[int]] = {}
    took: dict[str | int, dict[str, float]] = {}
    for place, lane in enumerate(program.retrieve.lanes):
        own = set(range(place * width, (place + 1) * width))
        name = f"{lane.searched}/{lane.kind}"
        if lane.kind == "phrases" and program.spec.infer == "both":
            name = INFER
        elif lane.searched == USAGES:
            name = USAGES  # in all kinds of queries: they are kept together or not at all
        lanes.setdefault(name, set()).update(own)
        took.setdefault(name, {INFER: asking} if name == INFER else {})[lane.name] = seconds.get(lane.name, 0.0)
        if lane.embedder and not _makes_tokens(program.spec.embedders[lane.embedder], columns):
            embedders.setdefault(lane.embedder, set()).update(own)
            took.setdefault(lane.embedder, {})[lane.name] = seconds.get(lane.name, 0.0)
    for name, own in lanes.items():
        if name == NEIGHBOURS:
            own.update(place for place, column in enumerate(columns) if column == "label.log_share_of_gold")
    kinds = {INFER: "infer", USAGES: "usages"}
    found = [Part(name, kinds.get(name, "lane"), frozenset(own), took[name]) for name, own in lanes.items()]
    for name in program.spec.scorers:
        own = {place for place, column in enumerate(columns) if column.split(".")[0] == name}
        spent = {scorer: value for scorer, value in seconds.items() if scorer.split(".")[0] == name}
        found.append(Part(name, "scorer", frozenset(own), spent))
    for place, own in embedders.items():
        found.append(Part(program.spec.embedders[place], "embedder", frozenset(own), took[place]))
    return found


def _makes_tokens(embedder: str, columns: Sequence[str]) -> bool:
    """Say whether late interaction rests on an embedder: then it cannot be left out alone."""
    return any(column.startswith(f"late.{embedder}.") for column in columns)


def without(spec: ProgramSpec, out: Sequence[Part]) -> dict[str, Any]:
    """Say which fields of a specification are others without some parts."""
    names = {part.name for part in out}
    changed: dict[str, Any] = {}
    assert spec.lanes is not None
    lanes = {name: weight for name, weight in spec.lanes.items() if name not in names}
    if INFER in names:
        lanes = {name: weight for name, weight in lanes.items() if not name.endswith("/phrases")}
    if not any(name.endswith("/phrases") for name in lanes):
        changed["infer"] = "windows"  # a model whose phrases nothing looks for is not asked
    if USAGES in names:
        lanes = {name: weight for name, weight in lanes.items() if not name.startswith(f"{USAGES}/")}
    changed["lanes"] = lanes
    if not any(name.startswith(f"{USAGES}/") for name in lanes):
        changed["usages"] = ""
    if STUDENT_LANE not in lanes:
        changed["student"] = ""
    changed["scorers"] = tuple(name for name in spec.scorers if name not in names)
    gone = {part.name for part in out if part.kind == "embedder"}
    changed["embedders"] = tuple(name for name in spec.embedders if name not in gone)
    if not set(TAUGHT) & set(lanes):
        changed["examples"] = ()
    return changed
