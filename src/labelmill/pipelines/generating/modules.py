"""The questions of making a taxonomy as DSPy programs, and how each is asked once: through the client, into DuckDB."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import dspy
from pydantic import BaseModel

from labelmill.corpus.fields import clean
from labelmill.errors import ModelGone, ModelRejected, ModelUnavailable
from labelmill.keys import content_key
from labelmill.models.client import ChatModel, Completion
from labelmill.pipelines.questions import ANSWER_VERSION, Cost, Unreadable, ask_and_mend
from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.generating import GENERATING_VERSION
from labelmill.prompts.wire import Template, Templates, fingerprint, parse
from labelmill.store.steps import Step, StepStore


class Ask(dspy.Module):
    """One kind of question: call it as any DSPy module, or take `request` and `read` apart.

    Args:
        step: Its name in the file of steps.
        signature: What is asked and answered.
        max_tokens: Length of an answer at most.
    """

    def __init__(self, step: str, signature: type[dspy.Signature], max_tokens: int) -> None:
        """Make the predictor."""
        super().__init__()
        self.step = step
        self.max_tokens = max_tokens
        self.predict = dspy.Predict(signature, max_tokens=max_tokens, temperature=0.0)
        self._templates = Templates()

    def forward(self, **inputs: str) -> dspy.Prediction:
        """Ask the language model that DSPy is configured with."""
        with dspy.context(adapter=ADAPTER):
            return self.predict(**inputs)

    def fingerprint(self) -> str:
        """Identify the wording and the schema."""
        return content_key(GENERATING_VERSION, fingerprint(self.predict, max_tokens=self.max_tokens))

    def request(self, inputs: Mapping[str, str], model: str) -> bytes:
        """Write the request, as JSON."""
        template = self._templates.of(
            self.predict, model, lambda: Template.of(self.predict, model, max_tokens=self.max_tokens)
        )
        return template.body(inputs)

    def read(self, content: str, *, truncated: bool) -> list[Any]:
        """Parse an answer into plain values, one mapping; of a list that was cut, the last item is left out."""
        fields = {name: _plain(value) for name, value in parse(self.predict.signature, content).items()}
        lists = [name for name, value in fields.items() if isinstance(value, list) and value]
        if truncated and lists:
            fields[lists[-1]] = fields[lists[-1]][:-1]
        return [fields]


class Asker:
    """Puts questions to a model, each once: what was answered before is in the file of steps.

    Args:
        model: The language model.
        store: The file.
        concurrency: Questions that are put to it at once at most.
        on_cost: Told what each question cost.
    """

    def __init__(
        self,
        model: ChatModel,
        store: StepStore,
        concurrency: int,
        on_cost: Callable[[Cost], None] = lambda _: None,
    ) -> None:
        """Make what all questions share. Call it within the event loop."""
        self._model = model
        self._store = store
        self._free = asyncio.Semaphore(concurrency)
        self._on_cost = on_cost
        self._asked: dict[str, asyncio.Future[Step]] = {}
        self.spent = Cost()
        self.asked = self.reused = 0
        self.problems: dict[str, int] = {}

    async def ask(self, module: Ask, inputs: Mapping[str, str], about: Mapping[str, Any]) -> dict[str, Any] | None:
        """Ask; None where there is no answer that can be read.

        Args:
            module: The question.
            inputs: A text for each of its fields.
            about: For people who read the file.

        Raises:
            ModelGone: No server answers.
            ModelRefused: No request to the servers can work.
        """
        asked = [ANSWER_VERSION, module.fingerprint(), self._model.identity, dict(inputs)]
        key = content_key("generate", module.step, *asked)
        step = self._store.get(key)
        if step is not None:
            self.reused += 1
        elif key in self._asked:
            step = await asyncio.shield(self._asked[key])
        else:
            self._asked[key] = asyncio.ensure_future(self._put(key, module, inputs, about))
            try:
                step = await self._asked[key]
            finally:
                self._asked.pop(key, None)
        if step.problem:
            self.problems[module.step] = self.problems.get(module.step, 0) + 1
            return None
        answer: dict[str, Any] = step.output[0]
        return answer

    async def _put(self, key: str, module: Ask, inputs: Mapping[str, str], about: Mapping[str, Any]) -> Step:
        cost, output, problem = Cost(), list[Any](), ""
        stored = True

        def read(answer: Completion) -> list[Any]:
            return module.read(answer.content, truncated=answer.truncated)

        async with self._free:
            try:
                output = await ask_and_mend(self._model, module.request(inputs, self._model.model), read, 0, cost)
            except ModelGone:
                raise
            except (ModelUnavailable, ModelRejected) as error:
                cost.requests += error.attempts
                problem = clean(str(error))
                stored = not isinstance(error, ModelUnavailable)  # which is not the question's fault: it is asked again
            except Unreadable as error:
                problem = clean(str(error))
            finally:
                self.spent.add(cost)
                self.asked += 1
                self._on_cost(cost)
        step = Step(
            key,
            module.step,
            output,
            about,
            self._model.model,
            problem,
            cost.requests,
            cost.prompt_tokens,
            cost.cached_tokens,
            cost.completion_tokens,
            round(cost.seconds, 4),
        )
        return self._store.put(step) if stored else step


def _plain(value: Any) -> Any:
    """Turn an answer into what JSON holds, with no half of a surrogate pair."""
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, dict):
        return {clean(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return clean(value)
    if type(value) is int and abs(value) >= 2**53:
        return 0
    return value
