"""A pilot: some documents are labelled, nothing is stored, and calls, tokens and hours of the whole corpus follow.

Documents are drawn at random from the whole corpus, which is read once for that. Calls and tokens of a document grow
with its length, and the length of every document is known: so they are predicted by linear regression on the number
of characters (Cochran, Sampling Techniques, 3rd ed. 1977, ch. 7), whose interval is much narrower than that of a mean
where lengths differ. Hours follow from the documents labelled per second once the servers are busy. Tokens out of the
cache are never known, not even where the pilot is the whole corpus: a cache that is warm gives more. Documents that
fail are taken to cost what others do, and texts that repeat, which a run asks for once, to be different ones.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from labelmill.errors import ModelError
from labelmill.models.client import ChatModel
from labelmill.models.served import ServedModel
from labelmill.pipelines.estimate import Estimate, Prices, cost_of, hours_of, total_of
from labelmill.pipelines.execution import BatchResult, Execution
from labelmill.pipelines.loop import give_up, settle
from labelmill.records import Document, Failure

PILOT_DOCUMENTS = 50
PILOT_SECONDS = 120.0
"""In which further documents must be done, for as long as the servers are not busy with those there are."""

_BATCH = 4
"""Documents that go together: few, so that there are many moments at which some are done."""

_ROUNDS = 3
"""Documents for each request that the servers take at once: less would measure the beginning and the end alone."""

_SECONDS_BETWEEN_TICKS = 1.0

_MEASURED = ("calls", "prompt_tokens", "cached_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class Plan:
    """What labelling a corpus will take.

    Attributes:
        documents: In the corpus.
        unreadable: Rows of it that are none.
        pilot: Documents that were labelled for the prediction.
        pilot_failures: Those of them that failed.
        pilot_seconds: How long that took.
        calls: Questions to the model.
        prompt_tokens: Read, cached ones included.
        cached_tokens: Out of the prefix cache.
        completion_tokens: Written.
        hours: With the servers as they are.
        cost: At the prices given.
    """

    documents: int
    unreadable: int
    pilot: int
    pilot_failures: int
    pilot_seconds: float
    calls: Estimate
    prompt_tokens: Estimate
    cached_tokens: Estimate
    completion_tokens: Estimate
    hours: Estimate
    cost: Estimate


@dataclass(frozen=True, slots=True)
class PilotProgress:
    """How far a pilot is: documents done, of those it has begun or was asked for, and seconds so far."""

    done: int
    documents: int
    seconds: float


@dataclass(slots=True)
class Sample:
    """Documents drawn from a corpus, and what is known of all the others.

    Attributes:
        documents: In random order.
        count: Of the corpus.
        characters: Of all its documents.
        unreadable: Rows that are no documents.
    """

    documents: list[Document] = field(default_factory=list)
    count: int = 0
    characters: int = 0
    unreadable: int = 0

    @classmethod
    def draw(cls, items: Iterable[Document | Failure], size: int, seed: int) -> Sample:
        """Draw documents, each with the same chance, in one pass (Vitter 1985, algorithm R)."""
        chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
        sample = cls()
        for item in items:
            if isinstance(item, Failure):
                sample.unreadable += 1
                continue
            sample.count += 1
            sample.characters += len(item.text)
            place = chance.randrange(sample.count)
            if len(sample.documents) < size:
                sample.documents.append(item)
            elif place < size:
                sample.documents[place] = item
        chance.shuffle(sample.documents)
        return sample


@dataclass(slots=True)
class _Measured:
    """What the pilot saw: a row a document that was done, and when each was."""

    characters: list[int] = field(default_factory=list)
    costs: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in _MEASURED})
    moments: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    begun: int = 0
    fed: float = 0.0
    most: int = 0

    @property
    def under_way(self) -> int:
        return self.begun - len(self.moments)

    def begin(self, documents: int, now: float) -> None:
        self.begun += documents
        self.fed = now
        self.most = max(self.most, self.under_way)

    def add(self, documents: Sequence[Document], result: BatchResult, now: float) -> None:
        texts = {item.id: item.text for item in documents}
        answers = {stage.key: stage for stage in result.stages}
        for done in result.documents:
            used = [answers[key] for key in done.stages if key in answers]
            self.characters.append(len(texts[done.document]))
            self.costs["calls"].append(len(done.stages))
            for name in _MEASURED[1:]:
                self.costs[name].append(sum(getattr(stage, name) for stage in used))
        self.moments += [now] * len(documents)
        self.failures += result.failures


class Pilot:
    """Labels a sample with one program.

    Until the documents asked for are done, there are never more than as many under way; further ones are begun only
    where all would be done in time at the rate so far, and while the servers are not busy yet.

    Args:
        execution: Of the program.
        model: Its language model, where it has one.
        documents: How many to label at least, if the corpus has them.
        seconds: In which further ones must be done.
        on_progress: Told after every batch, and every second.
    """

    def __init__(
        self,
        execution: Execution,
        model: ChatModel | None,
        *,
        documents: int = PILOT_DOCUMENTS,
        seconds: float = PILOT_SECONDS,
        on_progress: Callable[[PilotProgress], None] = lambda _: None,
    ) -> None:
        """Measure nothing yet."""
        self._execution = execution
        self._model = model
        self._documents = max(documents, 1)
        self._seconds = seconds
        self._on_progress = on_progress
        self._measured = _Measured()
        self._start = 0.0

    async def run(self, sample: Sample, prices: Prices) -> Plan:
        """Label the sample and predict.

        Raises:
            ModelError: No server answers, no request can work, or no document could be labelled.
        """
        self._start = time.perf_counter()
        ticking = asyncio.create_task(self._tick(len(sample.documents)))
        try:
            await self._label(sample.documents)
        finally:
            await give_up([ticking])
        seconds = self._elapsed()
        measured = self._measured
        if measured.failures and not measured.characters:
            first = measured.failures[0]
            raise ModelError(
                f"none of {len(measured.failures)} documents could be labelled; {first.document} failed at "
                f"{first.stage} ({first.kind}): {first.message}"
            )
        totals = {
            name: total_of(
                np.asarray(measured.characters),
                np.asarray(values),
                sample.count,
                sample.characters,
                repeatable=name != "cached_tokens",
            )
            for name, values in measured.costs.items()
        }
        faster = max(self._at_once() / measured.most, 1.0)
        hours = hours_of(np.asarray(measured.moments), measured.fed, sample.count, faster=faster)
        return Plan(
            documents=sample.count,
            unreadable=sample.unreadable,
            pilot=len(measured.moments),
            pilot_failures=len(measured.failures),
            pilot_seconds=seconds,
            hours=hours,
            cost=cost_of(totals, hours, prices),
            **totals,
        )

    async def _label(self, documents: Sequence[Document]) -> None:
        running: set[asyncio.Task[None]] = set()
        asked = [documents[: self._documents], documents[self._documents :]]
        batches = [part[first : first + _BATCH] for part in asked for first in range(0, len(part), _BATCH)]
        try:
            for turn, batch in enumerate(batches):
                while running and not self._begins(len(batch)):
                    running = await settle(running)
                if not self._begins(len(batch)):
                    break
                self._measured.begin(len(batch), self._elapsed())
                running.add(asyncio.create_task(self._label_batch(batch, turn, len(documents))))
            while running:
                running = await settle(running)
        finally:
            await give_up(running)

    def _begins(self, size: int) -> bool:
        """Say whether to begin some more now: there is room for them, and they tell more within the time."""
        measured, at_once = self._measured, self._at_once()
        done = len(measured.moments)
        room = 2 * at_once if done >= self._documents else min(2 * at_once, max(self._documents, _BATCH))
        if measured.under_way and measured.under_way + size > room:
            return False
        if measured.begun < self._documents:
            return True
        in_time = (measured.begun + size) * self._elapsed() <= done * self._seconds
        return in_time and measured.begun < _ROUNDS * at_once

    async def _label_batch(self, batch: Sequence[Document], turn: int, drawn: int) -> None:
        result = await self._execution.label(batch, turn)
        self._execution.stored(result)
        self._measured.add(batch, result, self._elapsed())
        self._show(drawn)

    async def _tick(self, drawn: int) -> None:
        while True:
            self._show(drawn)
            await asyncio.sleep(_SECONDS_BETWEEN_TICKS)

    def _show(self, drawn: int) -> None:
        measured = self._measured
        documents = max(measured.begun, min(self._documents, drawn))
        self._on_progress(PilotProgress(len(measured.moments), documents, self._elapsed()))

    def _elapsed(self) -> float:
        return time.perf_counter() - self._start

    def _at_once(self) -> int:
        states = self._model.states() if isinstance(self._model, ServedModel) else ()
        return sum(state.limit for state in states) or (self._execution.at_once if self._model else _BATCH)
