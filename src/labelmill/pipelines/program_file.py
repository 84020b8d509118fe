"""A program as a file: one readable JSON document that holds what was learned and what it was learned from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labelmill.errors import InputError
from labelmill.pipelines.program import Program
from labelmill.pipelines.spec import ProgramSpec

PROGRAM = "program.json"
"""The program's file, where the program is a folder: a student."""

_VERSION = 1


class TaxonomyVersion(BaseModel):
    """Which labels a program was tuned with.

    Attributes:
        key: Hash of the labels' content.
        labels: How many there are.
        source: The file that they came from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    labels: int
    source: str = ""


class ProgramFile(BaseModel):
    """A tuned program.

    Attributes:
        labelmill_program: The version of this format.
        spec: The program: everything that decides what a document gets, but the labels.
        taxonomy: The labels that it was tuned with.
        embedders: Fingerprints of its embedders, in the order of the specification's.
        figures: What it was chosen by.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labelmill_program: Literal[1] = 1
    spec: ProgramSpec
    taxonomy: TaxonomyVersion
    embedders: tuple[str, ...]
    figures: Mapping[str, Any] = Field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> ProgramFile:
        """Read a file that `write` wrote, or that of a student's folder; one that was edited by hand is checked.

        Raises:
            InputError: It is not there, no program, or of another version.
        """
        path = Path(path) / PROGRAM if Path(path).is_dir() else path
        try:
            content = json.loads(Path(path).read_text("utf-8"))
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"the program cannot be read: {reason}", path=path, remedy=_REMEDY) from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"this is no JSON: {error}", path=path, remedy=_REMEDY) from error
        version = content.get("labelmill_program") if isinstance(content, dict) else None
        if version != _VERSION:
            said = "this is no program" if version is None else f"this is a program of version {version!r}"
            raise InputError(f"{said}; version {_VERSION} is understood", path=path, remedy=_REMEDY)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            said = problem["msg"].removeprefix("Value error, ")
            raise InputError(f"{place}: {said}", path=path, remedy="Mend that place, or tune anew.") from error

    def write(self, path: str | Path) -> None:
        """Write the file, whole or not at all; lists of numbers on one line each.

        Raises:
            InputError: It cannot be written.
        """
        target = Path(path)
        part = target.with_name(f".{target.name}.part")
        try:
            part.write_text(_lay_out(self.model_dump(mode="json", exclude_none=True)) + "\n", "utf-8")
            part.replace(target)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"the program cannot be written: {reason}", path=path) from error
        finally:
            part.unlink(missing_ok=True)

    def differences(self, program: Program, model: str) -> list[str]:
        """Say in lines what is other than when it was tuned, and what still holds."""
        lines = []
        if program.taxonomy.key != self.taxonomy.key:
            known = {label.id for label in program.taxonomy.labels}
            decision = self.spec.decision
            named = {*(i for each in self.spec.examples for i in each.labels)} - known
            lines.append(
                f"the program was tuned with another version of the taxonomy ({self.taxonomy.labels:,} labels, now "
                f"{len(program.taxonomy):,}): what evidence weighs still holds, probabilities about so"
                + (f", and what was promised ({decision.promise}) is not shown" if decision else "")
                + (f"; {len(named):,} labels of its examples are gone" if named else "")
            )
        if program.embedders != self.embedders:
            lines.append(
                "the program was tuned with other embedders: what was learned of their scores may no longer hold; "
                "tune anew"
            )
        if self.spec.model and model != self.spec.model:
            lines.append(
                f"the program was tuned with the model {self.spec.model!r}, now {model!r}: its prompts still hold, "
                "what its answers weigh may not"
            )
        return lines


_REMEDY = "Make one with: labelmill tune … --out PROGRAM.json"


def _lay_out(value: Any, indent: str = "") -> str:
    """Write JSON for people: objects over many lines, lists of plain values on one."""
    if isinstance(value, dict) and value:
        inner = indent + " "
        rows = [f"{inner}{json.dumps(key, ensure_ascii=False)}: {_lay_out(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        inner = indent + " "
        return "[\n" + ",\n".join(inner + _lay_out(each, inner) for each in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
