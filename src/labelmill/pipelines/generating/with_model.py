"""Labels by a language model, after the first phase of TnT-LLM: summaries, a proposal, updates, a review.

A minibatch has a document of each region of the corpus, so that the first one shows nearly all there is. Updates end
when two of them in a row changed nothing that matters. Which documents a label has is decided by embeddings, from those
that the model named for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from labelmill.eval.agreement import near_duplicates
from labelmill.learning.clusters import unit
from labelmill.pipelines.excerpts import excerpt
from labelmill.pipelines.generating.drafting import Drafting
from labelmill.pipelines.generating.drafts import Decision, Draft, Group, Pool, Rows, Vectors
from labelmill.pipelines.generating.modules import Ask, Asker
from labelmill.pipelines.generating.names import clean_text, cut, distinct, same_name
from labelmill.pipelines.generating.progress import OnStep, StepProgress
from labelmill.pipelines.generating.tree import typical
from labelmill.pipelines.loop import give_up
from labelmill.prompts.card import TaskCard
from labelmill.prompts.generating import (
    kind_signature,
    propose_signature,
    review_signature,
    summarise_signature,
    update_signature,
)
from labelmill.prompts.signatures import number_candidates
from labelmill.retrievers.base import Embedder

ALIKE = 0.9
"""Cosine of two names' vectors from which they are near-duplicates."""

_QUIET = 2
"""Updates in a row that change nothing that matters, after which no more are made."""

_ODD_AT_MOST = 1 / 3
"""Share of siblings that can be unlike the others: a model that names more has not compared them."""

_SUMMARY_TOKENS, _KIND_TOKENS = 64, 64
_MOST_TOKENS = 4096
_TOKENS_OF_A_LABEL = 100
_UNKNOWN_CONTEXT = 4096
_CHARACTERS_A_TOKEN = 3
_FIXED_CHARACTERS = 4500
"""Of a prompt, at most: the instructions, and the schema in words."""

_SHORTEST_LINE = 8

_LONGEST_ADDITION = 30
"""Characters of the broader label's name that tell two labels of one name apart."""


@dataclass(frozen=True, slots=True)
class Room:
    """What fits into a model's context.

    Attributes:
        answer: Tokens of an answer at most.
        characters: Of labels and documents in a prompt, together.
    """

    answer: int
    characters: int

    @classmethod
    def of(cls, model: Any, most: int) -> Room:
        """Take it from what the server says; 4,096 tokens where it does not."""
        context = getattr(model, "context_tokens", None) or _UNKNOWN_CONTEXT
        answer = max(128, min(_MOST_TOKENS, context // 3, _TOKENS_OF_A_LABEL * (most + 1)))
        return cls(answer, max(1000, _CHARACTERS_A_TOKEN * (context - answer) - _FIXED_CHARACTERS))


class WithModel:
    """Makes labels by asking a model.

    Args:
        pool: The documents.
        order: Rows that the model reads, in an order of which every stretch covers the corpus.
        asker: Asks.
        embedder: For names and labels; that of the pool.
        card: The wording.
        use_case: What the labels are for.
        batch: Documents shown at once.
        room: What fits into a prompt.
        on_step: Told how far it is.
    """

    def __init__(
        self,
        pool: Pool,
        order: Rows,
        asker: Asker,
        embedder: Embedder,
        *,
        card: TaskCard,
        use_case: str,
        batch: int,
        room: Room,
        on_step: OnStep,
    ) -> None:
        """Keep them; nothing is asked yet."""
        self._pool = pool
        self._order = order
        self._asker = asker
        self._embedder = embedder
        self._card = card
        self._use_case = use_case
        self._batch = batch
        self._room = room
        self._on_step = on_step
        self._summaries: dict[int, str] = {}
        self._taken: set[str] = set()
        self.unsummarised = 0

    async def summarise(self) -> None:
        """Summarise all documents that the model is to read; one without an answer stands for itself.

        Raises:
            ModelGone: No server answers.
            ModelRefused: No request can work.
        """
        module = Ask("summarise", summarise_signature(self._card, self._use_case), _SUMMARY_TOKENS)
        shown = StepProgress("documents summarised", len(self._order))

        async def one(row: int) -> None:
            document = self._pool.documents[row]
            text = document.text[: self._room.characters]
            answer = await self._asker.ask(module, {"text": text}, {"document": document.id})
            said = clean_text(answer["summary"]) if answer else ""
            self.unsummarised += answer is None
            self._summaries[row] = said or excerpt(document.text)
            shown.done += 1
            shown.reused = self._asker.reused
            self._on_step(shown)

        tasks = [asyncio.ensure_future(one(row)) for row in self._order.tolist()]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            await give_up(tasks)
            raise

    async def make(self, rows: Rows, most: int, above: Sequence[str]) -> tuple[list[Group], list[Decision]]:
        """Make labels; see `Maker`. There may be none, where the model gave none that can be used."""
        read = self._order[np.isin(self._order, rows)].tolist()
        batches = [read[start : start + self._batch] for start in range(0, len(read), self._batch)]
        drafting = Drafting(most)
        use_case = self._use_case
        if above:
            use_case = f"{use_case}\nAll documents belong to {' > '.join(above)}; the labels divide that further."
        await self._draft(drafting, batches, use_case, above)
        self._merge_alike(drafting)
        if len(drafting.drafts) > 1:
            module = Ask("review", review_signature(self._card, use_case, most), self._room.answer)
            labels = fit(drafting.lines(), self._room.characters)
            answer = await self._asker.ask(module, {"labels": labels}, self._about(drafting, above))
            if answer:
                drafting.review(answer)
        groups = self._settle(drafting, rows)
        return self._named_apart(groups, above), drafting.decisions

    async def odd(self, groups: Sequence[Group], above: Sequence[str]) -> list[int]:
        """Ask which siblings are not of the others' kind; see `Maker`."""
        if len(groups) < 3:
            return []
        module = Ask("kind", kind_signature(self._use_case), _KIND_TOKENS)
        names = [group.draft.name for group in groups]
        inputs = {"broader": " > ".join(above) or "(none)", "labels": fit(names, self._room.characters)}
        answer = await self._asker.ask(module, inputs, {"under": list(above), "labels": len(names)})
        odd = {number - 1 for number in answer["odd"] if 1 <= number <= len(names)} if answer else set()
        return sorted(odd) if len(odd) <= _ODD_AT_MOST * len(names) else []

    async def _draft(
        self, drafting: Drafting, batches: Sequence[list[int]], use_case: str, above: Sequence[str]
    ) -> None:
        """Propose from the first minibatch, and update over the others until nothing changes any more."""
        propose = Ask("propose", propose_signature(self._card, use_case, drafting.most), self._room.answer)
        update = Ask("update", update_signature(self._card, use_case, drafting.most), self._room.answer)
        shown = StepProgress(f"minibatches read{f' for {above[-1]}' if above else ''}", len(batches))
        quiet = 0
        for batch in batches:
            about = self._about(drafting, above) | {"read": [self._pool.documents[row].id for row in batch]}
            summaries = [self._summaries[row] for row in batch]
            if not drafting.drafts:
                documents = fit(summaries, self._room.characters)
                answer = await self._asker.ask(propose, {"documents": documents}, about)
                if answer:
                    drafting.propose(answer, batch)
            else:
                labels = fit(drafting.lines(), self._room.characters // 2)
                documents = fit(summaries, self._room.characters // 2)
                answer = await self._asker.ask(update, {"labels": labels, "documents": documents}, about)
                changed = drafting.update(answer, batch) if answer else False
                quiet = 0 if changed or not answer else quiet + 1
            shown.done += 1
            self._on_step(shown)
            if quiet == _QUIET and shown.done < len(batches):
                why = f"the last {_QUIET} of {shown.done} minibatches changed nothing; {len(batches)} there were"
                drafting.decisions.append(Decision("stopped", tuple(above), why))
                break

    def _about(self, drafting: Drafting, above: Sequence[str]) -> dict[str, Any]:
        return {"labels": len(drafting.drafts), "under": list(above)}

    def _merge_alike(self, drafting: Drafting) -> None:
        """Merge labels whose names say nearly the same, the one with fewer documents into the other."""
        while len(drafting.drafts) > 1:
            vectors = self._embedder.embed([draft.name for draft in drafting.drafts])
            pairs = near_duplicates(vectors, ALIKE)
            if not pairs:
                return
            first, second, cosine = pairs[0]
            larger = len(drafting.drafts[first].support) >= len(drafting.drafts[second].support)
            into, place = (first, second) if larger else (second, first)
            drafting.merge(place, into, f"the names are alike (cosine {cosine:.2f})")

    def _settle(self, drafting: Drafting, rows: Rows) -> list[Group]:
        """Put every document under the label that is nearest, and leave out the labels that have none."""
        least = 2 if len(rows) >= 50 else 1
        while drafting.drafts:
            centroids = self._centroids(drafting.drafts)
            of = np.argmax(self._pool.vectors[rows] @ centroids.T, axis=1)
            sizes = np.bincount(of, minlength=len(drafting.drafts))
            if sizes.min() >= least or len(drafting.drafts) == 1:
                return self._groups(drafting.drafts, rows, of)
            drafting.drop(int(np.argmin(sizes)), "no document is nearest to it")
        return []

    def _centroids(self, drafts: Sequence[Draft]) -> Vectors:
        """Give each label the mean of its documents' vectors and that of its own words."""
        texts = [". ".join(filter(None, (each.name, each.description, each.include))) for each in drafts]
        words = self._embedder.embed(texts)
        supports = [self._pool.vectors[list(each.support)].sum(axis=0) for each in drafts]
        return unit(words + np.stack(supports))

    def _groups(self, drafts: Sequence[Draft], rows: Rows, of: Rows) -> list[Group]:
        groups = []
        for number, draft in enumerate(drafts):
            own = rows[of == number]
            centroid = unit(self._pool.vectors[own].mean(axis=0, keepdims=True))[0]
            groups.append(Group(draft, own, centroid, typical(own, centroid, self._pool.vectors)))
        return sorted(groups, key=lambda group: -len(group.rows))

    def _named_apart(self, groups: list[Group], above: Sequence[str]) -> list[Group]:
        """Give no two labels of the whole taxonomy the same name: the later one is told by the label above it."""
        for group in groups:
            name = group.draft.name
            if same_name(name) in self._taken:
                name = distinct(f"{name} ({cut(above[-1], _LONGEST_ADDITION)})" if above else name, self._taken)
            self._taken.add(same_name(name))
            draft = group.draft
            group.draft = Draft(name, draft.description, draft.include, draft.exclude, draft.support)
        return groups


def fit(lines: Sequence[str], characters: int) -> str:
    """Number lines, cut so that all of them fit into so many characters, as far as a line can be cut."""
    longest = max(_SHORTEST_LINE, characters // max(1, len(lines)) - 5)
    return number_candidates([cut(" ".join(line.split()), longest) for line in lines])
