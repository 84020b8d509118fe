"""Whole Rank: a model is shown every label of a small taxonomy, and answers with the numbers of those that apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dspy

from labelmill.errors import InputError
from labelmill.pipelines.nearest import Nearest, shown_to, with_pool
from labelmill.pipelines.rank import clean_numbers
from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.card import TaskCard
from labelmill.prompts.compiled import PromptState
from labelmill.prompts.signatures import whole_demonstrations, whole_signature
from labelmill.prompts.wire import Template, Templates, fingerprint, parse
from labelmill.records import Candidate, Label

MOST_LABELS = 1000
"""Of a taxonomy that is shown whole: some 6,000 tokens, which a server's prefix cache holds for all documents."""

_TOKENS_AROUND = 24
_TOKENS_PER_NUMBER = 6
"""A number of up to four digits, its comma and a space, where every digit is a token."""

_MOST_CHOSEN = 50
"""Of a document's labels that an answer has room for; what is cut there is cut behind the last whole number."""


class WholeRank(dspy.Module):
    """Ask a model which of all labels apply.

    The labels are numbered as the taxonomy has them. They stand in the part of the prompt that is the same for every
    document; see `whole_signature`.

    Args:
        card: The wording of the task.
        labels: Of the taxonomy.
        titles: What to show for each of them; their names by default.

    Raises:
        InputError: There are more than `MOST_LABELS`.
    """

    def __init__(self, card: TaskCard, labels: Sequence[Label], titles: Sequence[str] | None = None) -> None:
        """Make the predictor, with the card's examples as demonstrations."""
        check_size(len(labels))
        super().__init__()
        names = [label.name for label in labels]
        self._count = len(names)
        self._signature = whole_signature(card, titles or names)
        self.max_tokens = _TOKENS_AROUND + _TOKENS_PER_NUMBER * min(len(names), _MOST_CHOSEN)
        self.predict = dspy.Predict(self._signature, max_tokens=self.max_tokens, temperature=0.0)
        self.predict.demos = whole_demonstrations(card, names)
        self.nearest: Nearest | None = None
        self._templates = Templates()

    def forward(self, text: str) -> dspy.Prediction:
        """Choose among all labels, with the language model that DSPy is configured with.

        Returns:
            A prediction whose ``chosen`` are positions in the taxonomy, the best first.
        """
        with dspy.context(adapter=ADAPTER):
            answer = self.predict(text=text, signature=self._asked(self.predict.signature), **shown_to(self, text))
        return dspy.Prediction(chosen=clean_numbers(answer.chosen, self._count))

    def fingerprint(self) -> str:
        """Identify the wording, the labels, the demonstrations and the schema."""
        signature = self._asked(self.predict.signature)
        return with_pool(fingerprint(self.predict, max_tokens=self.max_tokens, signature=signature), self.nearest)

    def request(self, text: str, model: str) -> bytes:
        """Write the request for a text, as JSON."""
        template = self._templates.of(
            self.predict,
            model,
            lambda: Template.of(self.predict, model, max_tokens=self.max_tokens, narrow=self._asked),
        )
        return template.body({"text": text}, **shown_to(self, text))

    def read(self, content: str, *, truncated: bool) -> list[int]:
        """Parse an answer into positions in the taxonomy, the best first; see `Rank.read` for a truncated one."""
        numbers = list(parse(self._signature, content)["chosen"])
        return clean_numbers(numbers[:-1] if truncated else numbers, self._count)

    def _asked(self, signature: type[dspy.Signature]) -> type[dspy.Signature]:
        """Take instructions that an optimiser has changed; labels of a module that was loaded may be old ones."""
        asked: type[dspy.Signature] = self._signature.with_instructions(f"\n{signature.instructions}")
        return asked


def check_size(labels: int) -> None:
    """See that a taxonomy can be shown whole.

    Raises:
        InputError: It has more than `MOST_LABELS` labels.
    """
    if labels > MOST_LABELS:
        raise InputError(
            f"rank='whole' shows a model every label, {MOST_LABELS:,} at most, and this taxonomy has {labels:,}",
            remedy="Take --rank listwise, which shows what was retrieved, or keep fewer labels with --labels-where.",
        )


def join(candidates: Sequence[Candidate], named: Sequence[int]) -> tuple[list[Candidate], list[int]]:
    """Find among a document's candidates what a model named; what Retrieve did not find is put behind them.

    Args:
        candidates: As retrieved.
        named: Positions in the taxonomy, the best first.

    Returns:
        The candidates, those put behind without evidence and not `found`; and the indexes of the named ones.
    """
    joined = list(candidates)
    places = {candidate.label: place for place, candidate in enumerate(candidates)}
    for label in named:
        if label not in places:
            places[label] = len(joined)
            joined.append(Candidate(label, 0.0, found=False))
    return joined, [places[label] for label in named]


def by_id(state: PromptState, labels: Sequence[Label]) -> PromptState:
    """Have demonstrations name labels by id in place of number: numbers are others once the taxonomy is edited."""
    return _with_chosen(state, {str(number): label.id for number, label in enumerate(labels, start=1)})


def by_number(state: PromptState, labels: Sequence[Label]) -> PromptState:
    """Undo `by_id`, for the labels as they are now; a demonstration none of whose labels is left goes."""
    return _with_chosen(state, {label.id: number for number, label in enumerate(labels, start=1)})


def _with_chosen(state: PromptState, names: Mapping[str, str | int]) -> PromptState:
    shown, sources = list[Mapping[str, object]](), list[tuple[str, ...]]()
    for place, demonstration in enumerate(state.demonstrations):
        before = list(demonstration.get("chosen", ()))
        chosen = [names[str(each)] for each in before if str(each) in names]
        if chosen or not before:
            shown.append({**demonstration, **({"chosen": chosen} if chosen else {})})
            sources += state.sources[place : place + 1]
    changed = {"demonstrations": shown, "sources": sources}
    return PromptState.model_validate(state.model_dump() | changed)
