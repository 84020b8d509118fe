"""Answers of a model: parsed as DSPy would parse them, and asked for once more where they cannot be read."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import dspy
import orjson
from dspy.utils.exceptions import AdapterParseError

from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.numbers import Bounded

CUT = "the answer was cut at its maximum length"
"""What `repair` is told of an answer that ended at its maximum length; it then asks for a shorter one."""

_SHOWN_CHARACTERS = 500
_PROBLEM_CHARACTERS = 200


def parse(signature: type[dspy.Signature], content: str) -> dict[str, Any]:
    """Parse an answer into the signature's output fields.

    What is exactly of the signature's form is taken as it is, and all else is left to the adapter, which repairs
    what it can; a test holds that the two agree.

    Raises:
        dspy.utils.exceptions.AdapterParseError: The answer is no JSON object with these fields, even after repair.
    """
    plain = _parse_plain(signature, content)
    if plain is not None:
        return plain
    try:
        fields: dict[str, Any] = ADAPTER.parse(signature, content)
    except (RecursionError, ValueError):
        # A model that loops can open brackets without end; the repair of the JSON then gives up, or never ends.
        raise AdapterParseError("OneLineJSONAdapter", signature, content, message="nested too deeply") from None
    return fields


def _parse_plain(signature: type[dspy.Signature], content: str) -> dict[str, Any] | None:
    """Parse what needs no repair and no conversion; None for everything else."""
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    outputs = signature.output_fields
    if type(answer) is not dict or answer.keys() != outputs.keys():
        return None
    if not all(_is_plainly(answer[name], field.annotation) for name, field in outputs.items()):
        return None
    return {name: answer[name] for name in outputs}


def _is_plainly(value: Any, annotation: Any) -> bool:
    """Tell whether a value is a list of strings, or of whole numbers from a range, as the annotation demands.

    Types are compared and not classes: true is no 1 here. The adapter makes one of it, so it may have the answer.
    """
    if type(value) is not list or get_origin(annotation) is not list:
        return False
    (kind,) = get_args(annotation)
    if kind is str:
        return all(type(item) is str for item in value)
    if isinstance(kind, type) and issubclass(kind, Bounded):
        return all(type(item) is int and 1 <= item <= kind.most for item in value)
    if get_origin(kind) is not Literal:
        return False
    allowed = get_args(kind)
    return all(type(item) is int for item in allowed) and all(type(item) is int and item in allowed for item in value)


def repair(body: bytes, answer: str, problem: str) -> bytes:
    """Continue a conversation whose answer cannot be read: the same request, asked once more.

    Schema, length and all other fields stay, and so does the prompt, which the server has in its prefix cache.

    Args:
        body: The request, as it was sent.
        answer: What the model answered. Its beginning is shown to the model, as a message of its own.
        problem: What was wrong with it, in a few words; `CUT` where it ended at its maximum length.
    """
    request = orjson.loads(body)
    shown = _valid(answer[:_SHOWN_CHARACTERS]) or "(nothing)"  # chat templates differ on an empty message
    what = " ".join(_valid(problem).split())[:_PROBLEM_CHARACTERS].rstrip(".")
    form = "the JSON object alone, with fewer entries" if CUT in problem else "the JSON object alone"
    request["messages"] += [
        {"role": "assistant", "content": shown},
        {"role": "user", "content": f"This could not be read: {what}.\nAnswer once more, with {form}."},
    ]
    return orjson.dumps(request)


def _valid(text: str) -> str:
    """Replace halves of surrogate pairs, which no JSON holds."""
    return text.encode("utf-8", "replace").decode()
