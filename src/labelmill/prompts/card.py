"""The task card: what a document is, what a label is, and examples, as the user's TOML; a new domain needs no code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labelmill.errors import TaskError


class Example(BaseModel):
    """One worked example, shown to the model as a demonstration.

    Attributes:
        text: A document, or a part of one.
        phrases: What Infer should answer.
        labels: Names that Rank should choose; may be names outside the taxonomy at hand, they are only wording.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(min_length=1)
    phrases: tuple[str, ...] = Field(min_length=1)
    labels: tuple[str, ...] = ()


class TaskCard(BaseModel):
    """The wording of a task, from which the prompts of every stage are made.

    Attributes:
        document: What a document is: ``a sentence from a job advertisement``.
        label: What a label is, in the singular: ``a skill that the job asks for``.
        guidance: Sentences that tell a careful annotator what to do and what to leave.
        examples: Worked examples; small models need two or three.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    document: str = Field(default="a document", min_length=1)
    label: str = Field(default="a subject that the document is about", min_length=1)
    guidance: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()

    @classmethod
    def read(cls, path: str | Path) -> TaskCard:
        """Read a card from a TOML file.

        Raises:
            TaskError: The file cannot be read, is no TOML, or has a field that a card does not have.
        """
        path = Path(path)
        try:
            content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise TaskError("no such file", path=path, remedy="Give --task the path of a TOML file.") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise TaskError(f"cannot be read ({reason})", path=path, remedy="Give --task a TOML file.") from error
        except UnicodeDecodeError as error:
            raise TaskError("not UTF-8", path=path, remedy="Save the file as UTF-8.") from error
        except RecursionError:
            raise TaskError("not valid TOML: nested too deeply", path=path, remedy="A card nests no lists.") from None
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"at line (\d+)", str(error))
            raise TaskError(
                f"not valid TOML: {error}",
                path=path,
                line=int(line.group(1)) if line else None,
                remedy="Correct that line." if line else "Correct its end.",
            ) from error
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise TaskError(_first_problem(error), path=path, remedy=_FIELDS) from error


_FIELDS = "A card has document, label, guidance = [..] and [[examples]] with text, phrases = [..], labels = [..]."


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown field {place!r}"
    return f"field {place!r}: {problem['msg'].lower()}"
