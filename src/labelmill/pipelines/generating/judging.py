"""Pairwise judgement by a model: of two labels, which says better what a document is about; asked in both orders."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelmill.eval.preference import Preference, preference
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.generating.modules import Ask, Asker
from labelmill.pipelines.generating.progress import OnStep, StepProgress
from labelmill.pipelines.loop import give_up, run_to_end
from labelmill.prompts.card import TaskCard
from labelmill.prompts.generating import better_signature
from labelmill.records import Document, Label
from labelmill.store.steps import StepStore

_CHARACTERS = 4000
_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """A document and two labels for it."""

    document: Document
    first: Label
    second: Label


def judge_pairs(
    pairs: Sequence[Pair], connection: Connection, path: Path, card: TaskCard, use_case: str, on_step: OnStep
) -> tuple[Preference, int]:
    """Ask a model about each pair, once with either label in front.

    Args:
        pairs: Documents with two labels.
        connection: The model.
        path: The file of steps that keeps the answers.
        card: The wording.
        use_case: What the labels are for; empty where that is not known.
        on_step: Told how far it is.

    Returns:
        What was preferred, and how many pairs have no answer.

    Raises:
        ModelError: The model cannot be asked.
    """
    module = Ask("judge", better_signature(card, use_case), _TOKENS)
    shown = StepProgress("documents judged", len(pairs))

    async def go() -> list[tuple[int, int] | None]:
        async with connection.open() as model:
            assert model is not None
            with StepStore(path) as store:
                asker = Asker(model, store, connection.concurrency)

                async def one(pair: Pair) -> tuple[int, int] | None:
                    said = []
                    for front, behind in ((pair.first, pair.second), (pair.second, pair.first)):
                        inputs = {
                            "text": pair.document.text[:_CHARACTERS],
                            "first": _words(front),
                            "second": _words(behind),
                        }
                        about = {"document": pair.document.id, "first": front.id, "second": behind.id}
                        answer = await asker.ask(module, inputs, about)
                        said.append(None if answer is None else int(answer["better"]))
                    shown.done += 1
                    shown.reused = asker.reused // 2
                    on_step(shown)
                    return None if None in said else (said[0] or 0, said[1] or 0)

                tasks = [asyncio.ensure_future(one(pair)) for pair in pairs]
                try:
                    return list(await asyncio.gather(*tasks))
                except BaseException:
                    await give_up(tasks)
                    raise

    verdicts = run_to_end(go)
    found = np.array([each for each in verdicts if each is not None], np.int64).reshape(-1, 2)
    return preference(found), sum(each is None for each in verdicts)


def _words(label: Label) -> str:
    """Give a label's name and what it means, on one line; quotes of documents would give the answer away."""
    include = label.fields.get("include", "")
    meaning = include if label.fields.get("examples") and label.description.startswith("Documents such as") else ""
    return " ".join(f"{label.name}: {meaning or label.description}".split())[:400].rstrip(": ")
