"""A model that answers questionnaires by rule, in process, and misbehaves where it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from labelmill.errors import LabelmillError
from labelmill.models.client import Completion


@dataclass
class Interviewee:
    """Answers each request with what the rule makes of its text: an object for JSON, a string as it stands, or an error.

    Attributes:
        rule: From the text, and whether it is asked once more, to the answer.
        requests: The texts that were asked about, in order.
        pause: Seconds that every answer takes.
    """

    rule: Callable[[str, bool], Any]
    model: str = "interviewee"
    requests: list[str] = field(default_factory=list)
    pause: float = 0.0

    @property
    def identity(self) -> str:
        """Its name: no more is known."""
        return self.model

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        """Answer one request."""
        messages = json.loads(body)["messages"]
        again = not messages[-1]["content"].startswith(_BEGIN)
        content = messages[-3 if again else -1]["content"].removeprefix(_BEGIN)
        text = content[: content.rindex("\n\nRespond with a JSON object")]
        self.requests.append(text)
        await asyncio.sleep(self.pause)
        answer = self.rule(text, again)
        if isinstance(answer, LabelmillError):
            raise answer
        return Completion(answer if isinstance(answer, str) else json.dumps(answer), 10, 4, 2)


_BEGIN = "[[ ## text ## ]]\n"
