"""Generate a taxonomy from a corpus: draw, cluster or ask, build the hierarchy, check, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.models.client import ChatModel
from labelmill.models.served import PATIENCE_SECONDS, TIMEOUT_SECONDS
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.generating.drafts import Decision, Group, Pool
from labelmill.pipelines.generating.drawing import covering, draw, pool_key
from labelmill.pipelines.generating.model_free import ModelFree
from labelmill.pipelines.generating.modules import Asker
from labelmill.pipelines.generating.progress import OnStep
from labelmill.pipelines.generating.tree import grow, walk
from labelmill.pipelines.generating.with_model import Room, WithModel
from labelmill.pipelines.generating.writing import Files, report_of, taxonomy_of, write_report
from labelmill.pipelines.loop import run_to_end
from labelmill.pipelines.questions import Cost
from labelmill.prompts.card import TaskCard
from labelmill.retrievers.base import Embedder
from labelmill.store.steps import StepStore
from labelmill.taxonomy import Taxonomy, write_jsonl

Depth = Literal[1, 2, 3]

MOST_LABELS = 100
SAMPLE, SAMPLE_FOR_MODEL = 5000, 400
"""Documents that labels are made of by default, without a language model and with one."""

BATCH = 20
_POOL = 2000
"""Documents at least that are put under a model's labels, be they read by it or not."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What generating gave.

    Attributes:
        taxonomy: The labels, broader before narrower.
        files: Where they are.
        pool: The documents that they were made of.
        groups: The labels with their documents.
        decisions: What was decided.
        notes: What a person should know; lines.
        cost: What the model was asked in this sitting.
        asked: Questions that were put to it.
        reused: Answers that were there already.
        failed: Documents that could not be read or summarised.
        seconds: It took.
    """

    taxonomy: Taxonomy
    files: Files
    pool: Pool
    groups: list[Group]
    decisions: list[Decision]
    notes: list[str]
    cost: Cost
    asked: int
    reused: int
    failed: int
    seconds: float

    @property
    def narrowest(self) -> int:
        """How many labels have no narrower ones."""
        return sum(not group.children for group, _ in walk(self.groups))


@dataclass(frozen=True, slots=True)
class _Made:
    """The labels, and what making them took."""

    groups: list[Group]
    decisions: list[Decision]
    notes: list[str]
    asker: Asker | None = None
    unsummarised: int = 0


def generate(
    corpus: Corpus | Sequence[str | Path],
    out: str | Path,
    *,
    use_case: str,
    most: int = MOST_LABELS,
    exactly: bool = False,
    depth: Depth = 1,
    lm: str | Sequence[str] | ChatModel = "none",
    sample: int | None = None,
    batch: int = BATCH,
    embedder: str | Embedder = "minilm",
    task: TaskCard | str | Path | None = None,
    seed: int = 0,
    concurrency: int | None = None,
    timeout: float = TIMEOUT_SECONDS,
    patience: float = PATIENCE_SECONDS,
    on_step: OnStep = lambda _: None,
) -> Generated:
    """Generate a taxonomy; the same call after a kill asks a model nothing twice, and gives the same.

    Args:
        corpus: The documents, or the paths of their files.
        out: The JSONL file to write; its report and its steps come beside it.
        use_case: What the labels are for, in a sentence.
        most: How many labels there may be that have no narrower ones.
        exactly: Without a model: that many are wanted, rather than as many as the documents show.
        depth: Levels at most.
        lm: ``none``, ``embedded``, ``MODEL@URL``, a URL, several of one model, or any `ChatModel`.
        sample: Documents to read; a model reads so many.
        batch: Documents that a model is shown at once.
        embedder: Makes the vectors.
        task: The task card.
        seed: Of everything that is drawn.
        concurrency: Requests in flight at each server at most.
        timeout: Seconds for an answer.
        patience: Seconds to wait while no server answers.
        on_step: Told how far it is.

    Raises:
        InputError: A setting is wrong, the corpus has too few documents, or `out` holds a taxonomy that was not made
            by this, or was changed since.
        StoreError: The file of steps cannot be used.
        ModelError: The model cannot be asked.
    """
    started = time.monotonic()
    if not use_case.strip():
        raise InputError("the use case is empty", remedy='Say what the labels are for: --use-case "route questions".')
    if most < 2 or batch < 2:
        raise InputError(f"{'--max-labels' if most < 2 else '--batch'} is less than 2", remedy="Give 2 or more.")
    files = Files.beside(out)
    files.check()
    corpus = corpus if isinstance(corpus, Corpus) else Corpus(corpus)
    card = task if isinstance(task, TaskCard) else TaskCard.read(task) if task else TaskCard()
    loaded = load(embedder)
    settings = {"use_case": use_case, "most": most, "depth": depth, "seed": seed, "embedder": loaded.name}
    settings["fingerprint"] = loaded.fingerprint
    with ExitStack() as resources:
        limits: Any = {"concurrency": concurrency, "timeout": timeout, "patience": patience}
        connection = run_to_end(lambda: Connection.find(lm, resources, **limits))
        read = sample or (SAMPLE_FOR_MODEL if connection.model else SAMPLE)
        pool = draw(corpus, max(read, _POOL) if connection.model else read, loaded, seed, on_step)
        with StepStore(files.steps) as store:
            key = pool_key(pool, loaded)
            free = ModelFree(pool, key, exactly=exactly, seed=seed, store=store)

            async def go() -> _Made:
                async with connection.open() as model:
                    if model is None:
                        return _Made(*await grow(free, pool, most, depth), [])
                    asker = Asker(model, store, connection.concurrency)
                    order = covering(pool, key, read, batch, seed, store)
                    maker = WithModel(
                        pool,
                        order,
                        asker,
                        loaded,
                        card=card,
                        use_case=use_case,
                        batch=batch,
                        room=Room.of(model, most),
                        on_step=on_step,
                    )
                    await maker.summarise()
                    groups, decisions = await grow(maker, pool, most, depth)
                    notes = _problems(asker)
                    if len(groups) < 2:
                        notes.append("the model gave no labels that can be used: these are made without it")
                        decisions.append(Decision("refused", (), notes[-1]))
                        groups, more = await grow(free, pool, most, depth)
                        decisions += more
                    return _Made(groups, decisions, notes, asker, maker.unsummarised)

            made = run_to_end(go)
            narrowest = sum(not group.children for group, _ in walk(made.groups))
            if exactly and not connection.model and narrowest < most:
                why = "a label has two documents at least, and some that were alike fell together"
                made.notes.append(f"{most:,} labels were wanted, and the documents give {narrowest:,}: {why}")
            settings |= {"model": connection.model, "sample": read, "batch": batch, "exactly": exactly}
            return _write(made, pool, files, settings, store, started)


def _write(
    made: _Made, pool: Pool, files: Files, settings: dict[str, Any], store: StepStore, started: float
) -> Generated:
    taxonomy, placed = taxonomy_of(made.groups, pool)
    steps = [step for step in store.steps() if step.model]
    cost = {
        "steps": len(steps),
        "requests": sum(step.requests for step in steps),
        "prompt_tokens": sum(step.prompt_tokens for step in steps),
        "completion_tokens": sum(step.completion_tokens for step in steps),
    }
    write_jsonl(taxonomy, files.taxonomy)
    write_report(report_of(taxonomy, placed, pool, made.decisions, settings, cost), files.report)
    asker = made.asker
    return Generated(
        taxonomy,
        files,
        pool,
        made.groups,
        made.decisions,
        made.notes,
        asker.spent if asker else Cost(),
        asker.asked if asker else 0,
        asker.reused if asker else 0,
        pool.unreadable + made.unsummarised,
        time.monotonic() - started,
    )


def _problems(asker: Asker) -> list[str]:
    return [f"{count:,} answers to {step!r} could not be read" for step, count in sorted(asker.problems.items())]


def load(embedder: str | Embedder) -> Embedder:
    """Make the embedder that was named."""
    from labelmill.models.embedders import load_embedder

    return load_embedder(embedder) if isinstance(embedder, str) else embedder
