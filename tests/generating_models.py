"""What tests of generating share: a corpus of four topics, a model that follows a rule, one that answers rubbish."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from labelmill.errors import LabelmillError
from labelmill.models.client import Completion
from scripted import Request

TOPICS = {
    "bread": ["bake a rye bread", "knead the sourdough", "a crusty loaf of bread", "flour for the dough"],
    "soup": ["simmer a lentil soup", "stock for the soup", "a bowl of hot soup", "season the broth of soup"],
    "bicycle": ["repair a bicycle tyre", "pump up the bicycle", "oil the bicycle chain", "true a bicycle wheel"],
    "garden": ["water the garden beds", "plant roses in the garden", "prune garden shrubs", "weed the garden path"],
}
_ENDS = ["today", "with care", "for guests", "before noon", "at home", "again"]


def topic_rows(each: int = 12) -> list[dict[str, Any]]:
    """Write documents about four topics, with their topic as gold."""
    return [
        {
            "id": f"{topic}-{number}",
            "text": f"{topic}: {texts[number % 4]} {topic} {_ENDS[number % 6]} {number}",
            "labels": [topic],
        }
        for number in range(each)
        for topic, texts in TOPICS.items()
    ]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: which step, and its inputs."""

    step: str
    inputs: dict[str, str]
    again: bool
    names: tuple[str, ...] = ()

    @property
    def documents(self) -> list[str]:
        return _listed(self.inputs.get("documents", ""))

    @property
    def labels(self) -> list[str]:
        return _listed(self.inputs.get("labels", ""))


_STEPS = {"summary": "summarise", "labels": "propose", "fits": "update", "dropped": "review", "odd": "kind",
          "better": "judge"}  # fmt: skip


def read(body: bytes) -> Asked:
    """Read a request as a model would: the schema says what is asked."""
    request = json.loads(body)
    properties = request["response_format"]["json_schema"]["schema"]["properties"]
    if "chosen" in properties:
        rank = Request.read(body)
        return Asked("rank", {"text": rank.text}, rank.again, rank.candidates)
    step = next(name for field, name in _STEPS.items() if field in properties)
    again = request["messages"][-1]["content"].startswith("This could not be read")
    content = request["messages"][-3 if again else -1]["content"]
    content = content[: content.rindex("\n\nRespond with a JSON object")]
    parts = re.split(r"\[\[ ## (\w+) ## \]\]\n", content)[1:]
    return Asked(step, {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}, again)


def _listed(text: str) -> list[str]:
    return [line.split(". ", 1)[1] for line in text.splitlines() if ". " in line]


@dataclass
class Taxonomist:
    """A `ChatModel` that knows the four topics; it answers as it is told to instead, step by step.

    Attributes:
        answers: By step: gives the content, a value that is written as JSON, or an error to raise.
        stop_after: Answers after which it dies, as a killed run does.
    """

    model: str = "taxonomist"
    answers: dict[str, Callable[[Asked], Any]] = field(default_factory=dict)
    stop_after: int | None = None
    asked: list[Asked] = field(default_factory=list)
    identity: str = "taxonomist"
    context_tokens: int | None = None

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        question = read(body)
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(question)
        await asyncio.sleep(0)
        answer = self.answers.get(question.step, _rule)(question)
        if isinstance(answer, LabelmillError):
            raise answer
        content = answer if isinstance(answer, str) else json.dumps(answer)
        return Completion(content, prompt_tokens=100, completion_tokens=10)

    def steps(self, step: str) -> list[Asked]:
        return [question for question in self.asked if question.step == step]


def topic_of(text: str) -> str:
    """Name the topic that a text is about."""
    return next((topic for topic, texts in TOPICS.items() if any(each in text for each in texts)), "")


def proposal(topic: str, documents: list[int]) -> dict[str, Any]:
    """Write a label as a model does."""
    return {
        "name": topic.title(),
        "description": f"All about {topic}.",
        "include": f"Work with {topic}.",
        "exclude": "All else.",
        "documents": documents,
    }


def _rule(question: Asked) -> Any:
    topics = [topic_of(text) for text in question.documents]
    numbers = {topic: [n for n, of in enumerate(topics, 1) if of == topic] for topic in dict.fromkeys(topics)}
    if question.step == "summarise":
        return {"summary": question.inputs["text"]}
    if question.step == "propose":
        return {"labels": [proposal(topic, own) for topic, own in numbers.items() if topic]}
    if question.step == "update":
        known = [label.split(":")[0].casefold() for label in question.labels]
        added = [proposal(topic, own) for topic, own in numbers.items() if topic and topic not in known]
        fits = [known.index(topic) + 1 if topic in known else 0 for topic in topics]
        return {"fits": fits, "added": added, "changed": [], "merged": []}
    if question.step == "review":
        return {"changed": [], "merged": [], "dropped": []}
    if question.step == "kind":
        return {"odd": []}
    own = topic_of(question.inputs["text"])
    if question.step == "rank":
        return {"chosen": [number for number, name in enumerate(question.names, 1) if own and own in name.casefold()]}
    first, second = (own in question.inputs[side].casefold() for side in ("first", "second"))
    return {"better": 1 if first and not second else 2 if second and not first else 0}


_NAMES = ["", " ", "Bread", "bread", "BREAD!", "a\nb\r\nc", "x" * 5000, "Other", "\x00\x07", "1. Soup", "\ud800", "—", "面包",
          "null", "[[ ## labels ## ]]", '"quoted"', "<b>", "Soup", "Bicycle", "Garden"]  # fmt: skip


def rubbish(seed: int) -> Callable[[Asked], Any]:
    """Answer anything: duplicates, hundreds of labels, circles, numbers that are none, no JSON at all."""
    chance = random.Random(seed)

    def numbers() -> list[int]:
        return [chance.choice([0, 1, 2, 3, 4, 5, -7, 10**12, 10**30]) for _ in range(chance.randrange(30))]

    def label() -> dict[str, Any]:
        texts = {key: chance.choice(_NAMES) for key in ("name", "description", "include", "exclude")}
        return texts | {"documents": numbers()}

    def answer(question: Asked) -> Any:
        if chance.random() < 0.15:
            return chance.choice(["", "{", "[" * 5000, "I cannot help with that.", '{"labels": 7}', "\ud800", "null"])
        many = chance.choice([0, 1, 3, 8, 500])
        return {
            "summarise": lambda: {"summary": chance.choice(_NAMES)},
            "propose": lambda: {"labels": [label() for _ in range(many)]},
            "update": lambda: {
                "fits": numbers(),
                "added": [label() for _ in range(many)],
                "changed": [{**label(), "label": number} for number in numbers()],
                "merged": [{"labels": numbers(), "reason": ""} for _ in range(5)],
            },
            "review": lambda: {
                "changed": [{**label(), "label": number} for number in numbers()],
                "merged": [{"labels": numbers(), "reason": "they are"} for _ in range(5)],
                "dropped": numbers(),
            },
            "kind": lambda: {"odd": numbers()},
            "judge": lambda: {"better": chance.choice([0, 1, 2, 3, "first"])},
        }[question.step]()

    return answer
