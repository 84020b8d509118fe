"""What an optimiser makes of a prompt, as plain JSON: instructions and demonstrations, nothing that is executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labelmill.errors import TaskError
from labelmill.keys import content_key

if TYPE_CHECKING:
    import dspy

StageName = Literal["infer", "rank"]
Value = str | list[str] | list[int]
"""Of a field of a demonstration: a text or candidates, phrases, or numbers."""


class PromptState(BaseModel):
    """What a prompt says beside its fields and their types, which are the program's.

    It goes into a program's file and comes back as it was: the requests made from it are the same to the byte.

    Attributes:
        instructions: The task in words, as the model is told.
        demonstrations: Worked examples in order, each a value for every field of the prompt: ``text`` and ``phrases``
            for Infer; ``text``, ``candidates`` (one a line, numbered) and ``chosen`` for listwise Rank; ``text``,
            ``candidate`` and ``applies`` for pointwise Rank; ``text`` and ``chosen``, ids of labels, for whole Rank.
        nearest: How many of them a document is shown, those that are nearest to it; 0 for all, whatever the document.
        sources: With `nearest`, for each demonstration the keys (`labelmill.keys.text_key`) of all pieces of the
            document that it was made of: no document is shown itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    instructions: str
    demonstrations: tuple[Mapping[str, Value], ...] = ()
    nearest: int = Field(default=0, ge=0)
    sources: tuple[tuple[str, ...], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> PromptState:
        if self.nearest and len(self.sources) != len(self.demonstrations):
            raise ValueError(f"{len(self.sources)} sources of {len(self.demonstrations)} demonstrations")
        return self

    @property
    def key(self) -> str:
        """Identify the state."""
        return content_key(self.model_dump(mode="json"))

    @classmethod
    def of(cls, predict: dspy.Predict) -> PromptState:
        """Take the state of a predictor; what its demonstrations hold beside the signature's fields is left out."""
        fields = predict.signature.fields
        return cls(
            instructions=predict.signature.instructions,
            demonstrations=tuple(
                {name: _plain(demo[name]) for name in fields if name in demo} for demo in predict.demos
            ),
        )

    def apply(self, predict: dspy.Predict) -> None:
        """Give a predictor this state, in place; without demonstrations, where each document is shown its own.

        Raises:
            TaskError: A demonstration has a field that the signature does not have.
        """
        import dspy

        signature = predict.signature
        for place, demo in enumerate(self.demonstrations, start=1):
            if not demo.keys() <= signature.fields.keys():
                raise TaskError(
                    f"demonstration {place} has the fields {', '.join(sorted(demo))}, "
                    f"and this prompt the fields {', '.join(sorted(signature.fields))}",
                    remedy="Tune the program anew: its kind of Infer or Rank is not the one that was tuned.",
                )
        # What stands before the first line keeps its indentation: DSPy cleans instructions as a docstring.
        predict.signature = signature.with_instructions(f"\n{self.instructions}")
        predict.demos = [
            dspy.Example({name: _plain(value) for name, value in demo.items()}).with_inputs(*signature.input_fields)
            for demo in (() if self.nearest else self.demonstrations)
        ]


def _plain(value: Any) -> Any:
    """Copy a value, sequences as lists, so that no two predictors share one."""
    return value if isinstance(value, str) else list(value)
