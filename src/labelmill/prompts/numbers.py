"""Whole numbers from 1 to a bound, as the type of an answer.

DSPy writes a type into every request, behind the document, where no prefix cache reaches. A `Literal` of a thousand
numbers takes thousands of tokens there; this type is called `int` there, and its bounds are in the schema alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema


class Bounded(int):
    """A whole number from 1 to `most`; `numbers_to` makes the type for a bound."""

    most: ClassVar[int]

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> CoreSchema:
        """Tell pydantic the bounds."""
        return core_schema.int_schema(ge=1, le=cls.most)


@lru_cache(maxsize=64)
def numbers_to(most: int) -> type[Bounded]:
    """Make the type of the numbers from 1 to `most`; for the same bound it is the same type."""
    return type("int", (Bounded,), {"most": most})
