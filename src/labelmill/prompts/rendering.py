"""One request as DSPy would send it, without DSPy's executor: the body, its bytes, its schema, its fingerprint.

`dspy.Predict` renders, sends, retries, caches and records in one call, one document at a time. A bulk run needs the
rendering alone. `render` and `encode` give the bytes that `dspy.Predict` posts under the same adapter; tests hold the
two against each other. `Template` does the same work for many documents at once.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
from dspy.adapters.json_adapter import _get_structured_outputs_response_format
from dspy.adapters.types.base_type import CUSTOM_TYPE_START_IDENTIFIER
from dspy.clients.legacy_requests import _strict_json_schema
from pydantic import BaseModel

from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.signatures import PROMPT_VERSION

MARK = CUSTOM_TYPE_START_IDENTIFIER
"""Begins what DSPy takes for a picture or a file, in any message and whoever wrote it."""


def render(
    predict: dspy.Predict,
    model: str,
    inputs: Mapping[str, Any],
    *,
    max_tokens: int,
    adapter: dspy.Adapter = ADAPTER,
    signature: type[dspy.Signature] | None = None,
    demos: Sequence[dspy.Example] | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """Render one request body for ``/v1/chat/completions``.

    In one thing it is not DSPy's: a text that is an input stays a text. DSPy expands what stands in it between marks
    of its own, so that a document could have the server fetch a picture from any address.

    Args:
        predict: The program's predictor, with its signature and demonstrations.
        model: The model's name at the server.
        inputs: A value for every input field.
        max_tokens: Length of the answer at most.
        adapter: How the program speaks to the model. Only one for JSON asks for a schema.
        signature: The signature to ask under, where it is not the predictor's.
        demos: The demonstrations to show, where they are not the predictor's.
        extra: More fields of the body, ``logprobs`` for example, in DSPy's order: ``seed``, ``stop``, ``logprobs``,
            ``top_logprobs``.
    """
    signature = predict.signature if signature is None else signature
    body = {
        "model": model,
        "messages": _messages(adapter, signature, predict.demos if demos is None else list(demos), inputs),
        "max_tokens": max_tokens,
        "temperature": 0.0,
        **extra,
    }
    if isinstance(adapter, dspy.JSONAdapter):
        body["response_format"] = response_format(signature)
    return body


def _messages(
    adapter: dspy.Adapter, signature: type[dspy.Signature], demos: list[Any], inputs: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Let the adapter write the messages, with marks in the inputs covered while it does."""
    cover = str(secrets.randbits(128))  # digits, which no change of case reaches
    covered = {name: value.replace(MARK, cover) if type(value) is str else value for name, value in inputs.items()}
    messages: list[dict[str, Any]] = adapter.format(signature, demos, covered)
    if covered == inputs:
        return messages
    return [
        {**message, "content": message["content"].replace(cover, MARK)} if type(message["content"]) is str else message
        for message in messages
    ]


def encode(body: Mapping[str, Any]) -> bytes:
    """Write a body as JSON, as the clients of openai and httpx do.

    Raises:
        UnicodeEncodeError: It holds one half of a surrogate pair. What reads documents has replaced those.
    """
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def response_format(signature: type[dspy.Signature]) -> dict[str, Any]:
    """Build the JSON schema of the signature's outputs, in the form that DSPy sends."""
    return answer_format(_get_structured_outputs_response_format(signature, use_native_function_calling=False))


def answer_format(model: type[BaseModel]) -> dict[str, Any]:
    """Build the JSON schema of an answer from DSPy's model of it."""
    schema = _strict_json_schema(model.model_json_schema())
    return {"type": "json_schema", "json_schema": {"name": model.__name__, "schema": schema, "strict": True}}


def fingerprint(predict: dspy.Predict, *, max_tokens: int, adapter: dspy.Adapter = ADAPTER, **extra: Any) -> str:
    """Identify everything of a request but its inputs and the model: wording, demonstrations, schema, length."""
    blank = dict.fromkeys(predict.signature.input_fields, "")
    probe = render(predict, "", blank, max_tokens=max_tokens, adapter=adapter, **extra)
    text = json.dumps([PROMPT_VERSION, dspy.__version__, probe], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
