"""A scripted model that describes labels: in process or, by `scripted.served`, behind a real server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labelmill.errors import LabelmillError
from labelmill.models.client import Completion

Written = dict[str, Any] | str | Completion | LabelmillError


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks: the label's line, the other sections by name, and whether it asks once more."""

    label: str
    sections: Mapping[str, str]
    again: bool

    @classmethod
    def read(cls, body: bytes) -> Wish:
        """Read the last question, as a model would."""
        messages = json.loads(body)["messages"]
        again = not messages[-1]["content"].startswith("[[ ## label ## ]]")
        content = messages[-3 if again else -1]["content"]
        content = content[: content.rindex("\n\nRespond with a JSON object")]
        parts = re.split(r"\[\[ ## (\w+) ## \]\]\n", content)[1:]
        sections = {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
        return cls(sections["label"].partition(" | ")[0], sections, again)


def sensible(wish: Wish) -> Written:
    """Describe a label by its name, and phrase it."""
    return {
        "description": f"Work in which one has to {wish.label}.",
        "includes": [f"to {wish.label} for others"],
        "excludes": [f"to watch others {wish.label}"],
        "phrases": [f"she likes to {wish.label}", f"who can {wish.label}?", f"{wish.label} every day"],
    }


@dataclass
class ScriptedWriter:
    """A `ChatModel` that describes by rule, and misbehaves where it is told to.

    Attributes:
        write: The rule.
        troubles: By a label's name, an answer in place of the rule's.
        mends: Whether it follows the rule where it is asked once more.
        pause: Seconds that an answer takes.
        dies_after: Answers after which every request raises `death`.
        requests: What was asked.
    """

    model: str = "writer"
    write: Callable[[Wish], Written] = sensible
    troubles: dict[str, Written] = field(default_factory=dict)
    mends: bool = False
    pause: float = 0.0
    dies_after: int = 10**9
    death: LabelmillError | None = None
    requests: list[Wish] = field(default_factory=list)
    answered: int = 0
    open: int = 0
    most_open: int = 0

    @property
    def identity(self) -> str:
        """Its name: no more is known."""
        return self.model

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        """Answer one request."""
        wish = Wish.read(body)
        self.requests.append(wish)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(self.pause)
        finally:
            self.open -= 1
        if self.death and self.answered >= self.dies_after:
            raise self.death
        trouble = self.troubles.get(wish.label)
        answer = self.write(wish) if trouble is None or (wish.again and self.mends) else trouble
        if isinstance(answer, LabelmillError):
            raise answer
        self.answered += 1
        if isinstance(answer, dict):
            wanted = "phrases" if "phrases" in json.dumps(json.loads(body)["response_format"]) else "description"
            names = ["phrases"] if wanted == "phrases" else ["description", "includes", "excludes"]
            answer = json.dumps({name: answer[name] for name in names})
        return answer if isinstance(answer, Completion) else Completion(answer, 100, 0, 20)
