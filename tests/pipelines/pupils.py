"""A model that is good once it is shown how, or told how, and gold documents that nobody labels without it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from small_world import NAMES

from labelmill.errors import LabelmillError, ModelGone
from labelmill.models.client import Completion
from labelmill.prompts.signatures import WHOLE_LIST
from labelmill.records import Document

CODES = ["quoll", "zibet", "fossa", "tayra", "okapi", "nilgai", "dhole", "serow", "takin", "kudu", "eland", "addax"]
"""One a label: no text has a word of a label's name, so that retrieval without phrases finds nothing."""

BETTER = "Look every word up."


def gold(documents: int = 20) -> list[Document]:
    """Make documents of two labels each."""
    pairs = [(n % len(NAMES), (5 * n + n // len(NAMES) + 1) % len(NAMES)) for n in range(documents)]
    return [
        Document(f"g{n}", f"Note {n}: {CODES[a]} and {CODES[b]}.", tuple(dict.fromkeys((NAMES[a], NAMES[b]))))
        for n, (a, b) in enumerate(pairs)
    ]


@dataclass
class Pupil:
    """A `ChatModel` that knows what the codes mean, and says so if its prompt has demonstrations or the better words.

    Attributes:
        gifted: Whether it needs neither.
        proposal: What it answers where instructions are asked for.
        dies_after: Answers after which its server is gone.
        bodies: What was asked, in order.
        fails: Raised for a stage's question whose text holds the key.
    """

    model: str = "pupil"
    gifted: bool = False
    proposal: str = BETTER
    dies_after: int | None = None
    fails: dict[str, LabelmillError] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def identity(self) -> str:
        return self.model

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        if self.dies_after is not None and len(self.bodies) >= self.dies_after:
            raise ModelGone("nobody is there")
        self.bodies.append(body)
        request = json.loads(body)
        question = request["messages"][-1]["content"]
        for text, error in self.fails.items():
            if text in question:
                raise error
        if "top_logprobs" in request:
            return Completion("yes", 10, 4, 1, next_token=self._judge(request, question))
        return Completion(json.dumps(self._answer(request, question)), 100, 40, 20)

    def _answer(self, request: dict[str, Any], question: str) -> dict[str, Any]:
        wanted = request["response_format"]["json_schema"]["schema"]["required"]
        meant = [NAMES[CODES.index(word)] for word in re.findall(r"\w+", question) if word in CODES]
        if wanted == ["phrases"]:
            return {"phrases": meant if self._knows(request) else ["note"]}
        if wanted == ["chosen"]:
            whole = WHOLE_LIST in request["messages"][0]["content"]
            shown = request["messages"][0]["content"].partition(WHOLE_LIST)[2] if whole else question
            listed = re.findall(r"^\d+\. (.*)$", shown, re.MULTILINE)
            applies = [number for number, name in enumerate(listed, start=1) if name in meant]
            return {"chosen": applies if self._knows(request) else [len(listed)]}
        return dict.fromkeys(wanted, self.proposal)

    def _judge(self, request: dict[str, Any], question: str) -> dict[str, float]:
        applies = any(NAMES[CODES.index(word)] in question for word in re.findall(r"\w+", question) if word in CODES)
        right, wrong = (-0.1, -3.0) if self._knows(request) else (-3.0, -0.1)
        return {"Yes": right if applies else wrong, "No": wrong if applies else right}

    def _knows(self, request: dict[str, Any]) -> bool:
        messages = request["messages"]
        return self.gifted or len(messages) > 2 or BETTER in messages[0]["content"]
