"""Language models for comparing programs: one that answers from a document's own words, and one that counts.

The first makes programs ask all their questions where there is no real model, so that calls and tokens can be
compared; of how well a model helps it says nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

from labelmill.models.client import ChatModel, Completion

PHRASES = 10
CHOSEN = 10

_RUN = re.compile(r"[^\W\d_]{4,}(?: [^\W\d_]{4,}){0,2}")
_TOKEN = re.compile(r"\w{1,6}|[^\w\s]")
_NUMBERED = "\n\n[[ ## candidates ## ]]\n"
_OPTIONS = "\nOptions: "
_THOUGHT = "find the skills. We read the vacancy and name every skill that it asks for."


class WordModel:
    """Answers Infer with runs of long words of the text, and Rank with the first candidates, in their order.

    It understands the prompts of both programs: numbers under a JSON schema for ours, names after a chain of thought
    for IReRa's.
    """

    model = identity = "words"

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:  # noqa: ARG002
        """Answer one request; tokens are pieces of words of six letters at most, and marks."""
        request = json.loads(body)
        question = request["messages"][-1]["content"]
        answer = _answer_json(question) if "response_format" in request else _answer_text(question)
        sent = sum(count_tokens(message["content"]) for message in request["messages"])
        return Completion(answer, prompt_tokens=sent, completion_tokens=count_tokens(answer))


def count_tokens(text: str) -> int:
    """Count about as a model's tokeniser would."""
    return len(_TOKEN.findall(text))


def _answer_json(question: str) -> str:
    asked = question.removeprefix("[[ ## text ## ]]\n").rpartition("\n\nRespond with a JSON object")[0]
    _, asks_rank, last = asked.rpartition(_NUMBERED)
    if asks_rank:
        answer: dict[str, list[Any]] = {"chosen": list(range(1, min(last.count("\n") + 1, CHOSEN) + 1))}
    else:
        answer = {"phrases": _phrases(last)}
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False)


def _answer_text(question: str) -> str:
    asked = question.rpartition("---\n\nVacancy: ")[2].rpartition("\nReasoning:")[0]
    _, asks_rank, last = asked.rpartition(_OPTIONS)
    names = last.split(", ")[:CHOSEN] if asks_rank else _phrases(last)
    return f"{_THOUGHT}\nSkills: {', '.join(names)}"


def _phrases(text: str) -> list[str]:
    return list(dict.fromkeys(_RUN.findall(text)))[:PHRASES]


class Counted:
    """A model that counts what one program asks of it.

    Args:
        asked: The model.

    Attributes:
        calls: Requests that were answered.
        read: Tokens of prompts, cached ones included.
        written: Tokens of answers.
    """

    def __init__(self, asked: ChatModel) -> None:
        """Count from nothing."""
        self.asked = asked
        self.model = asked.model
        self.forget()

    @property
    def identity(self) -> str:
        """What its answers depend on."""
        return self.asked.identity

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        """Pass a request on."""
        answer = await self.asked.complete(body, turn=turn, group=group)
        self.calls += 1
        self.read += answer.prompt_tokens
        self.written += answer.completion_tokens
        return answer

    def forget(self) -> None:
        """Count from nothing: what was asked to warm up does not count."""
        self.calls = self.read = self.written = 0
