"""The DSPy program that answers a questionnaire, and how one of its answers is read, question by question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dspy
import orjson
from dspy.utils.exceptions import AdapterParseError

from labelmill.keys import content_key
from labelmill.models.client import ChatModel, Completion
from labelmill.pipelines.questions import ANSWER_VERSION, Cost, Question, ask_and_mend
from labelmill.pipelines.voting.questionnaire import Questionnaire
from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.questionnaire import QUESTIONNAIRE_VERSION, Asked, questionnaire_signature
from labelmill.prompts.wire import Template, Templates, fingerprint, parse

STAGE = "vote"
_TOKENS, _TOKENS_OF_AN_ANSWER = 40, 16


class Questioning(dspy.Module):
    """Answer several questions on a document at once.

    Call it as any DSPy module; a bulk run takes `question` and sends the request itself.

    Args:
        questionnaire: What is asked.
    """

    def __init__(self, questionnaire: Questionnaire) -> None:
        """Make the predictor."""
        super().__init__()
        self.questionnaire = questionnaire
        self.max_tokens = _TOKENS + sum(_tokens_of(each) for each in questionnaire.questions)
        signature = questionnaire_signature(questionnaire.document, questionnaire.questions, questionnaire.guidance)
        self.predict = dspy.Predict(signature, max_tokens=self.max_tokens, temperature=0.0)
        self._templates = Templates()

    def forward(self, text: str) -> dspy.Prediction:
        """Answer the questions on a text, with the language model that DSPy is configured with."""
        with dspy.context(adapter=ADAPTER):
            return self.predict(text=text)

    def fingerprint(self) -> str:
        """Identify the wording and the schema; what answers vote for is no part of it."""
        return content_key(QUESTIONNAIRE_VERSION, fingerprint(self.predict, max_tokens=self.max_tokens))

    def request(self, text: str, model: str) -> bytes:
        """Write the request for a text, as JSON."""
        template = self._templates.of(
            self.predict, model, lambda: Template.of(self.predict, model, max_tokens=self.max_tokens)
        )
        return template.body({"text": text})

    def read(self, content: str, *, strict: bool) -> list[Any]:
        """Read an answer: for each question in order a list of answers, or None where its own cannot be read.

        Args:
            content: What the model wrote.
            strict: Whether every question must have an answer that it admits.

        Raises:
            AdapterParseError: It must and has not, or no question has.
        """
        try:
            fields = parse(self.predict.signature, content)
        except AdapterParseError:
            if strict:
                raise
            fields = _object(content)
        said = [_said(each, fields.get(each.name)) for each in self.questionnaire.questions]
        if all(each is None for each in said):
            raise AdapterParseError(
                type(ADAPTER).__name__, self.predict.signature, content, message="no question has one of its answers"
            )
        return said

    def question(self, text: str, model: ChatModel, fingerprint: str) -> Question:
        """Ask all questions about a text; what is answered to some of them stands where others are not answered.

        Args:
            text: Of a document.
            model: Whom it will be put to.
            fingerprint: The program's, which takes a while to compute.
        """
        shown = text[: self.questionnaire.characters]
        key = content_key(STAGE, ANSWER_VERSION, fingerprint, model.identity, shown)

        async def ask(chat: ChatModel, turn: int, cost: Cost) -> list[Any]:
            first = True

            def read(answer: Completion) -> list[Any]:
                nonlocal first
                strict, first = first, False
                return self.read(answer.content, strict=strict)

            return await ask_and_mend(chat, self.request(shown, chat.model), read, turn, cost)

        return Question(key, STAGE, ask)


def _tokens_of(question: Asked) -> int:
    """Bound what an answer takes: four characters a token would do, and not all write English."""
    longest = max(len(answer) for answer in question.answers)
    most = len(question.answers) if question.several else 1
    return _TOKENS_OF_AN_ANSWER + len(question.name) + most * (4 + longest)


def _object(content: str) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(question: Asked, answer: Any) -> Sequence[str] | None:
    """Give the answers to a question, each once; None where one of them is none that it admits."""
    some = answer if isinstance(answer, list) else [answer]
    if isinstance(answer, list) != question.several or not all(each in question.answers for each in some):
        return None
    return list(dict.fromkeys(some))
