"""Names for proposals by a language model, which is shown the phrases; what it says badly leaves the name as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import dspy
from dspy.utils.exceptions import AdapterParseError

from labelmill.corpus.fields import clean
from labelmill.errors import ModelRejected
from labelmill.models.client import ChatModel
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.gaps.phrases import Told
from labelmill.pipelines.gaps.proposals import Proposal
from labelmill.pipelines.loop import run_to_end
from labelmill.prompts.card import TaskCard
from labelmill.prompts.signatures import one_line
from labelmill.prompts.wire import Template, parse
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.names import normalise

_TOKENS = 40
_LONGEST = 100
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Named:
    """Proposals with names by a model.

    Attributes:
        proposals: In the order given.
        kept: How many keep the name that they had, for the model gave none that could be taken.
    """

    proposals: tuple[Proposal, ...]
    kept: int = 0


def naming_signature(card: TaskCard) -> type[dspy.Signature]:
    """Make the signature of naming: phrases in, one name out."""
    instructions = "\n".join(
        [
            f"The phrases below stand in several documents and mean the same. Name what they mean: {card.label}.",
            "Write the name as a catalogue would: a few words, no sentence, nothing that the phrases do not say.",
            *card.guidance,
        ]
    )
    signature: type[dspy.Signature] = dspy.Signature(
        {
            "phrases": (str, dspy.InputField(desc="one phrase a line")),
            "name": (str, dspy.OutputField(desc=f"a short name of {card.label}")),
        },
        instructions,
    )
    return signature


def name_proposals(
    proposals: Sequence[Proposal], taxonomy: Taxonomy, card: TaskCard, lm: str | Sequence[str] | ChatModel, told: Told
) -> Named:
    """Have a model name new labels, aliases and parts of splits.

    Args:
        proposals: What to name.
        taxonomy: Its names are taken: a model that repeats one is not followed.
        card: The wording of the task.
        lm: As for `Labeler`.
        told: Told how far it is.

    Raises:
        ModelError: The model cannot be asked at all.
    """
    asked: list[tuple[int, int | None, tuple[str, ...]]] = [
        (place, None, each.phrases) for place, each in enumerate(proposals) if each.kind != "split"
    ]
    asked += [(place, n, part.phrases) for place, each in enumerate(proposals) for n, part in enumerate(each.parts)]
    with ExitStack() as resources:
        connection = run_to_end(lambda: Connection.find(lm, resources))
        answers = run_to_end(lambda: _ask(connection, card, [phrases for _, _, phrases in asked], told))
    taken = {normalise(name) for label in taxonomy for name in (label.name, *label.aliases)}
    named, kept = list(proposals), 0
    for (place, part, _), answer in zip(asked, answers, strict=True):
        name = one_line(clean(answer))[:_LONGEST].strip()
        if not name or normalise(name) in taken:
            kept += 1
            continue
        taken.add(normalise(name))
        named[place] = _renamed(named[place], part, name)
    return Named(tuple(named), kept)


def _renamed(proposal: Proposal, part: int | None, name: str) -> Proposal:
    if part is None:
        return proposal.model_copy(update={"name": name})
    parts = [each.model_copy(update={"name": name}) if n == part else each for n, each in enumerate(proposal.parts)]
    return proposal.model_copy(update={"parts": tuple(parts)})


async def _ask(connection: Connection, card: TaskCard, phrases: Sequence[Sequence[str]], told: Told) -> list[str]:
    """Ask for each name, some at once; an answer that cannot be read, or is refused, is an empty name."""
    predict = dspy.Predict(naming_signature(card), max_tokens=_TOKENS, temperature=0.0)
    template = Template.of(predict, connection.model, max_tokens=_TOKENS)
    turns, done = asyncio.Semaphore(_AT_ONCE), 0
    async with connection.open() as model:
        assert model is not None

        async def about(shown: Sequence[str]) -> str:
            nonlocal done
            async with turns:
                body = template.body({"phrases": "\n".join(map(one_line, shown))})
                try:
                    answer = str(parse(predict.signature, (await model.complete(body)).content)["name"])
                except (AdapterParseError, ModelRejected):
                    answer = ""
            done += 1
            told("naming", done, len(phrases))
            return answer

        return list(await asyncio.gather(*map(about, phrases)))
