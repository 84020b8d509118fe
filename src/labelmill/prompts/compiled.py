"""What an optimiser makes of a prompt, as plain JSON: instructions and demonstrations, nothing that is executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

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
            ``candidate`` and ``applies`` for pointwise Rank.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    instructions: str
    demonstrations: tuple[Mapping[str, Value], ...] = ()

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
        """Give a predictor this state, in place.

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
            for demo in self.demonstrations
        ]


def _plain(value: Any) -> Any:
    """Copy a value, sequences as lists, so that no two predictors share one."""
    return value if isinstance(value, str) else list(value)
