"""How programs speak to a model: DSPy's JSON adapter, with the answers of demonstrations on one line."""

from __future__ import annotations

import json
from typing import Any

import dspy
from dspy.adapters.utils import serialize_for_json


def plain_messages(
    adapter: dspy.Adapter, signature: type[dspy.Signature], demos: list[dict[str, Any]], inputs: dict[str, Any]
) -> list[dict[str, Any]]:
    """Write a request's messages as `dspy.Adapter.format` does, but for what it does last.

    That is to expand what stands between certain marks in any message, whoever wrote it, into pictures and files: a
    document could have the model's server fetch any address.
    """
    question = adapter.format_user_message_content(signature, dict(inputs), main_request=True)
    return [
        {"role": "system", "content": adapter.format_system_message(signature)},
        *adapter.format_demos(signature, demos),
        {"role": "user", "content": question},
    ]


class OneLineJSONAdapter(dspy.JSONAdapter):
    """Asks for a JSON object under the signature's schema, and shows it on one line.

    DSPy indents the answers of demonstrations. A server that holds answers to a schema best does so without white space
    (vLLM: ``disable_any_whitespace``), and a small model that has seen only indented lists may then close its own at
    once: of 600 answers of SmolLM2 under vLLM 0.26, none named a phrase, and all did with demonstrations on one line.
    Under vLLM 0.32 on a CPU, which leaves out every space, its lists stayed empty.
    """

    def __init__(self) -> None:
        """Speak without tools."""
        super().__init__(use_native_function_calling=False)

    def format(
        self, signature: type[dspy.Signature], demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Write the messages, and let every text in them be a text; see `plain_messages`."""
        return plain_messages(self, signature, demos, inputs)

    def format_field_with_value(self, fields_with_values: dict[Any, Any], role: str = "user") -> str:
        """Write questions as DSPy does, and answers as JSON on one line."""
        if role == "user":
            question: str = super().format_field_with_value(fields_with_values, role)
            return question
        answer = {field.name: value for field, value in fields_with_values.items()}
        return json.dumps(serialize_for_json(answer), ensure_ascii=False)


ADAPTER = OneLineJSONAdapter()
"""The one adapter of all programs."""
