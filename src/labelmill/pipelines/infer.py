"""Infer as a DSPy program: a text in, short phrases out."""

from __future__ import annotations

import dspy

from labelmill.corpus.fields import clean
from labelmill.pipelines.nearest import Nearest, shown_to, with_pool
from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.card import TaskCard
from labelmill.prompts.signatures import infer_demonstrations, infer_signature
from labelmill.prompts.wire import Template, Templates, fingerprint, parse

MAX_TOKENS = 160
"""Length of an answer at most: some 25 phrases."""

_MAX_PHRASES = 40
_MAX_CHARACTERS = 200


class Infer(dspy.Module):
    """Ask a model for short phrases that name labels.

    Call it as any DSPy module; a bulk run takes `request` and `read` apart instead and sends the request itself.

    Args:
        card: The wording of the task.
    """

    def __init__(self, card: TaskCard) -> None:
        """Make the predictor, with the card's examples as demonstrations."""
        super().__init__()
        self.predict = dspy.Predict(infer_signature(card), max_tokens=MAX_TOKENS, temperature=0.0)
        self.predict.demos = infer_demonstrations(card)
        self.nearest: Nearest | None = None
        self._templates = Templates()

    def forward(self, text: str) -> dspy.Prediction:
        """Propose phrases for a text, with the language model that DSPy is configured with."""
        with dspy.context(adapter=ADAPTER):
            answer = self.predict(text=text, **shown_to(self, text))
        return dspy.Prediction(phrases=clean_phrases(answer.phrases))

    def fingerprint(self) -> str:
        """Identify the wording, the demonstrations and the schema."""
        return with_pool(fingerprint(self.predict, max_tokens=MAX_TOKENS), self.nearest)

    def request(self, text: str, model: str) -> bytes:
        """Write the request for a text, as JSON."""
        template = self._templates.of(
            self.predict, model, lambda: Template.of(self.predict, model, max_tokens=MAX_TOKENS)
        )
        return template.body({"text": text}, **shown_to(self, text))

    def read(self, content: str, *, truncated: bool) -> list[str]:
        """Parse an answer into phrases; of a truncated one the last phrase is left out, unless it is the only one."""
        phrases = list(parse(self.predict.signature, content)["phrases"])
        return clean_phrases(phrases[:-1] if truncated and len(phrases) > 1 else phrases)


def clean_phrases(phrases: list[str]) -> list[str]:
    """Fold white space, drop the empty and the repeated, replace what no store takes, bound what a loop can cause."""
    folded = (" ".join(clean(str(phrase)).split())[:_MAX_CHARACTERS] for phrase in phrases)
    return list({phrase.casefold(): phrase for phrase in reversed([p for p in folded if p][:_MAX_PHRASES])}.values())[
        ::-1
    ]
