"""A respondent as DSPy's language model: for what optimisers themselves ask, such as better instructions."""

from __future__ import annotations

from typing import Any

import dspy

from labelmill.errors import ModelRejected
from labelmill.pipelines.optimise.respondent import Respondent
from labelmill.pipelines.optimise.spending import Lease
from labelmill.prompts.rendering import answer_format, encode

MAX_TOKENS = 1024
"""Length of a proposal at most."""

TEMPERATURE = 1.0
"""Of proposals, unless the optimiser says otherwise: the same question should bring another idea."""


class RespondentLM(dspy.BaseLM):
    """Lets DSPy ask a respondent.

    The stages do not come this way: they put their questions to `respondent` as a bulk run would, so that an answer is
    read, repaired and found again as it is there. DSPy's own caches take no part, nor does its client.

    Args:
        respondent: Who answers.
        lease: Leave to spend.

    Attributes:
        refused: Why proposals could not be had, of all copies; some optimisers go on without a word.
    """

    def __init__(self, respondent: Respondent, lease: Lease) -> None:
        """Name the model as its server does."""
        super().__init__(respondent.model, cache=False, num_retries=0)
        self.respondent = respondent
        self.lease = lease
        self.refused: list[str] = []

    @property
    def supports_response_schema(self) -> bool:
        """Servers here hold answers to a schema."""
        return True

    @property
    def supported_params(self) -> set[str]:
        """What is passed on."""
        return {"max_tokens", "response_format", "temperature"}

    def __call__(
        self, prompt: str | None = None, *, messages: list[dict[str, Any]] | None = None, **kwargs: Any
    ) -> list[str]:
        """Answer one question.

        Raises:
            ModelRejected: It cannot be answered: it is too long, for example.
        """
        asked = {name: value for name, value in {**self.kwargs, **kwargs}.items() if value is not None}
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages or [{"role": "user", "content": prompt or ""}],
            "max_tokens": asked.get("max_tokens", MAX_TOKENS),
            "temperature": asked.get("temperature", TEMPERATURE),
        }
        if "response_format" in asked:
            body["response_format"] = answer_format(asked["response_format"])
        try:
            return [self.respondent.propose(encode(body), self.lease)]
        except ModelRejected as error:
            self.refused.append(str(error))
            raise
