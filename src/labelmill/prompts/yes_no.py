"""How pointwise Rank speaks to a model: what is fixed first, then the document, then one candidate; one word back."""

from __future__ import annotations

from typing import Any

import dspy

from labelmill.prompts.adapter import plain_messages


class YesNoAdapter(dspy.Adapter):
    """Writes the instructions, the inputs each under its name, and the question; reads one word.

    The answer is plain text, so that the next token of the assistant's turn is yes or no. Requests about one document
    differ from the last input on: all before it is in the server's prefix cache.
    """

    def __init__(self) -> None:
        """Speak without tools."""
        super().__init__(use_native_function_calling=False)

    def format(
        self, signature: type[dspy.Signature], demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Write the messages, and let every text in them be a text; see `plain_messages`."""
        return plain_messages(self, signature, demos, inputs)

    def format_system_message(self, signature: type[dspy.Signature]) -> str:
        """Give the instructions alone: the fields explain themselves."""
        return str(signature.instructions)

    def format_user_message_content(
        self,
        signature: type[dspy.Signature],
        inputs: dict[str, Any],
        prefix: str = "",
        suffix: str = "",
        main_request: bool = False,  # noqa: ARG002 - demonstrations ask like the request itself
    ) -> str:
        """Write all inputs but the last as paragraphs, the last on one line with its name, and the question below."""
        *leading, last = (name for name in signature.input_fields if name in inputs)
        (answer,) = signature.output_fields.values()
        paragraphs = [f"{name.capitalize()}:\n{inputs[name]}" for name in leading]
        question = f"{last.capitalize()}: {inputs[last]}\n{answer.json_schema_extra['desc']}"
        return "\n\n".join(part for part in (prefix, *paragraphs, question, suffix) if part)

    def format_assistant_message_content(
        self, signature: type[dspy.Signature], outputs: dict[str, Any], missing_field_message: str | None = None
    ) -> str:
        """Write the word."""
        (name,) = signature.output_fields
        return str(outputs.get(name, missing_field_message))

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """Read yes, however it is written, and take anything else for no; the probabilities are what counts."""
        (name,) = signature.output_fields
        return {name: "yes" if completion.strip().casefold() == "yes" else "no"}

    def _call_postprocess(self, processed: Any, original: Any, outputs: list[Any], lm: Any, lm_kwargs: Any) -> Any:
        """Let a token without text (of an end of turn, for example) be an answer: it has probabilities like others."""
        worded = [{**output, "text": output.get("text") or " "} for output in outputs if isinstance(output, dict)]
        return super()._call_postprocess(processed, original, worded or outputs, lm, lm_kwargs)


YES_NO = YesNoAdapter()
"""The adapter of pointwise Rank."""
