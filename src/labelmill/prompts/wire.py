"""Requests as DSPy would send them, without DSPy's executor: rendered and parsed by the same adapter and signature.

`dspy.Predict` renders, sends, retries, caches and records in one call, one document at a time. A bulk run needs the
rendering and the parsing alone. `render` gives the body of the chat completion that `dspy.Predict` under
`ADAPTER` posts, byte for byte once encoded; a test holds the two against each other.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import dspy
from dspy.adapters.json_adapter import _get_structured_outputs_response_format
from dspy.clients.legacy_requests import _strict_json_schema
from dspy.utils.exceptions import AdapterParseError

from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.signatures import PROMPT_VERSION


def render(predict: dspy.Predict, model: str, inputs: dict[str, Any], *, max_tokens: int) -> dict[str, Any]:
    """Render one request body for ``/v1/chat/completions``.

    Args:
        predict: The program's predictor, with its signature and demonstrations.
        model: The model's name at the server.
        inputs: A value for every input field.
        max_tokens: Length of the answer at most.
    """
    return {
        "model": model,
        "messages": ADAPTER.format(predict.signature, predict.demos, inputs),
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "response_format": response_format(predict.signature),
    }


def parse(predict: dspy.Predict, content: str) -> dict[str, Any]:
    """Parse an answer into the signature's output fields.

    Raises:
        dspy.utils.exceptions.AdapterParseError: The answer is no JSON object with these fields, even after repair.
    """
    try:
        fields: dict[str, Any] = ADAPTER.parse(predict.signature, content)
    except RecursionError:
        # A model that loops can open brackets without end; the repair of the JSON then recurses without end.
        raise AdapterParseError("OneLineJSONAdapter", predict.signature, content, message="nested too deeply") from None
    return fields


def response_format(signature: type[dspy.Signature]) -> dict[str, Any]:
    """Build the JSON schema of the signature's outputs, in the form that DSPy sends."""
    model = _get_structured_outputs_response_format(signature, use_native_function_calling=False)
    schema = _strict_json_schema(model.model_json_schema())
    return {"type": "json_schema", "json_schema": {"name": model.__name__, "schema": schema, "strict": True}}


def fingerprint(predict: dspy.Predict, *, max_tokens: int) -> str:
    """Identify everything of a request but its inputs and the model: wording, demonstrations, schema, length."""
    probe = render(predict, "", dict.fromkeys(predict.signature.input_fields, ""), max_tokens=max_tokens)
    text = json.dumps([PROMPT_VERSION, dspy.__version__, probe], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
