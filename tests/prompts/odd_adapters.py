"""Adapters that do with inputs what ours do not: a template must notice."""

from __future__ import annotations

import json
import textwrap

from labelmill.prompts.adapter import OneLineJSONAdapter


class Trimming(OneLineJSONAdapter):
    """Trims inputs, as DSPy does with whole messages."""

    def format_user_message_content(self, signature, inputs, *args, **more):
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in dict(inputs).items()}
        return super().format_user_message_content(signature, trimmed, *args, **more)


class LastInput(OneLineJSONAdapter):
    """Puts the inputs alone into the message, so that DSPy's trimming of messages reaches them."""

    def format_user_message_content(self, signature, inputs, *args, **more):
        return "\n".join(inputs[name] for name in signature.input_fields).strip()


class Dedenting(OneLineJSONAdapter):
    """Takes common indentation away."""

    def format_user_message_content(self, signature, inputs, *args, **more):
        return textwrap.dedent(super().format_user_message_content(signature, inputs, *args, **more))


class Quoting(OneLineJSONAdapter):
    """Writes inputs as JSON within the message."""

    def format_user_message_content(self, signature, inputs, *args, **more):
        return json.dumps({name: inputs[name] for name in signature.input_fields})


class Twice(OneLineJSONAdapter):
    """Says everything two times."""

    def format_user_message_content(self, signature, inputs, *args, **more):
        return super().format_user_message_content(signature, inputs, *args, **more) * 2


class Deaf(OneLineJSONAdapter):
    """Leaves the inputs out."""

    def format_user_message_content(self, signature, inputs, *args, **more):
        return "What was it?"


class Shouting(OneLineJSONAdapter):
    """Changes what is written."""

    def format_user_message_content(self, signature, inputs, *args, **more):
        return super().format_user_message_content(signature, inputs, *args, **more).upper()


class Counting(OneLineJSONAdapter):
    """Counts what it renders."""

    rendered = 0

    def format(self, *args, **more):
        self.rendered += 1
        return super().format(*args, **more)
