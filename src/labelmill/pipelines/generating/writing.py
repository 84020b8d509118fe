"""A generated taxonomy as files: the labels as JSON Lines, and beside them a report of how they came about.

Criteria, the number of documents and the quotes are fields of the labels, which every reader keeps. The report holds
the decisions, and for each label the mean of its documents' vectors, by which further documents can be put under it.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from labelmill.errors import InputError
from labelmill.pipelines.excerpts import excerpt
from labelmill.pipelines.generating.drafts import Decision, Group, Pool, Vectors
from labelmill.pipelines.generating.tree import walk
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy

REPORT_VERSION = 1

_QUOTE = 200
_LONGEST_ID = 60
_OUTER_SHARE = 5
"""Percent of a label's own documents that are farther from its centroid than `reach` says."""


@dataclass(frozen=True, slots=True)
class Files:
    """What is written beside each other.

    Attributes:
        taxonomy: The labels.
        report: How they came about.
        steps: Every step.
        labelled: Of an evaluation: the documents, labelled with a model.
        judged: Of an evaluation: a model's judgements.
    """

    taxonomy: Path
    report: Path
    steps: Path
    labelled: Path
    judged: Path

    @classmethod
    def beside(cls, out: str | Path) -> Files:
        """Name the files of a taxonomy: ``intents.jsonl``, ``intents.report.json``, ``intents.steps.duckdb``."""
        out = Path(out)
        stem = out.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".ndjson")
        kinds = ("report.json", "steps.duckdb", "labelled.duckdb", "judged.duckdb")
        return cls(out, *(out.with_name(f"{stem}.{kind}") for kind in kinds))

    def check(self) -> None:
        """See that the taxonomy can be written, and that none is lost that was made or changed by hand.

        Raises:
            InputError: Another format, no such folder, or a file that is there and not as `generate` left it.
        """
        suffixes = {".jsonl", ".ndjson"}
        plain = Path(self.taxonomy.stem) if self.taxonomy.suffix == ".gz" else self.taxonomy
        if plain.suffix not in suffixes:
            raise InputError("a taxonomy is written as JSON Lines", path=self.taxonomy, remedy="Name it .jsonl.")
        if self.taxonomy.is_dir() or not self.taxonomy.absolute().parent.is_dir():
            what = "this is a folder" if self.taxonomy.is_dir() else "there is no such folder"
            raise InputError(what, path=self.taxonomy, remedy="Name a file in a folder that exists.")
        if self.taxonomy.exists() and self._made() != Taxonomy.read(self.taxonomy).key:
            raise InputError(
                "there is a taxonomy that was not generated, or was changed since",
                path=self.taxonomy,
                remedy="Name another --out, or remove the file if nothing in it is to be kept.",
            )

    def _made(self) -> str:
        report = read_report(self.report)
        return str(report.get("taxonomy", "")) if report else ""


def read_report(path: str | Path) -> dict[str, Any] | None:
    """Read a report; None where there is none, or none of this version."""
    try:
        content = orjson.loads(Path(path).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    known = isinstance(content, dict) and content.get("labelmill_generated") == REPORT_VERSION
    return content if known else None


def taxonomy_of(groups: Sequence[Group], pool: Pool) -> tuple[Taxonomy, list[tuple[str, Group]]]:
    """Make the taxonomy; and say which group each label's id stands for, in order.

    Raises:
        TaxonomyError: The groups make no taxonomy, which nothing that made them should let happen.
    """
    labels: list[Label] = []
    named: dict[int, str] = {}
    placed: list[tuple[str, Group]] = []
    for group, above in walk(groups):
        label_id = _id(group.draft.name, set(named.values()))
        named[id(group)] = label_id
        placed.append((label_id, group))
        quotes = [excerpt(pool.documents[row].text, longest=_QUOTE) for row in group.quoted]
        fields = {
            "include": group.draft.include,
            "exclude": group.draft.exclude,
            "support": str(len(group.rows)),
            "examples": json.dumps(quotes, ensure_ascii=False),
        }
        labels.append(
            Label(
                id=label_id,
                name=group.draft.name,
                description=group.draft.description,
                parents=(named[id(above[-1])],) if above else (),
                prior=round(len(group.rows) / len(pool), 6),
                fields=fields,
            )
        )
    return Taxonomy.from_labels(labels), placed


def report_of(
    taxonomy: Taxonomy,
    placed: Sequence[tuple[str, Group]],
    pool: Pool,
    decisions: Sequence[Decision],
    settings: Mapping[str, Any],
    cost: Mapping[str, Any],
) -> dict[str, Any]:
    """Make the report, as JSON has it."""
    labels = {}
    for label_id, group in placed:
        near = pool.vectors[group.rows] @ group.centroid
        labels[label_id] = {
            "name": group.draft.name,
            "support": len(group.rows),
            "named_by_model": len(group.draft.support),
            "examples": [
                {"document": pool.documents[row].id, "source": pool.documents[row].source} for row in group.quoted
            ],
            "narrower": len(group.children),
            "reach": round(float(np.percentile(near, _OUTER_SHARE)), 5),
            "centroid": _packed(group.centroid),
        }
    return {
        "labelmill_generated": REPORT_VERSION,
        "taxonomy": taxonomy.key,
        "settings": dict(settings),
        "documents": {"in_corpus": pool.seen, "drawn": len(pool), "unreadable": pool.unreadable},
        "cost": dict(cost),
        "decisions": [decision.as_dict() for decision in decisions],
        "labels": labels,
    }


def write_report(report: Mapping[str, Any], path: Path) -> None:
    """Write the report; the file is whole or stays as it was.

    Raises:
        InputError: It cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
        part.replace(path)
    except OSError as error:
        raise InputError(
            f"the report cannot be written: {error.strerror or error}",
            path=path,
            remedy="Name an --out in a folder that can be written to and has space.",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def centroid_of(packed: object) -> Vectors | None:
    """Read a centroid out of a report; None where it is none."""
    try:
        vector = np.frombuffer(base64.b64decode(str(packed), validate=True), dtype="<f4")
    except ValueError:
        return None
    return vector.astype(np.float32) if len(vector) and np.isfinite(vector).all() else None


def _packed(vector: Vectors) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _id(name: str, taken: set[str]) -> str:
    """Make an id of a name: words and hyphens, of any script."""
    slug = "-".join(re.findall(r"\w+", name.casefold()))[:_LONGEST_ID].strip("-_") or "label"
    number, tried = 2, slug
    while tried in taken:
        tried, number = f"{slug}-{number}", number + 1
    return tried
