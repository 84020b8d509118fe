"""A language model's word on suspects: pointwise Rank, asked about each document and the labels suspected in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from labelmill.corpus import chunk
from labelmill.errors import ModelRejected
from labelmill.models.client import ChatModel
from labelmill.models.judging import judge
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.loop import run_to_end
from labelmill.pipelines.pointwise import PointwiseRank, merge_probabilities
from labelmill.pipelines.spec import ProgramSpec
from labelmill.pipelines.suspects import Suspect, Suspects
from labelmill.store import Store
from labelmill.store.standings import read_program

_DOCUMENTS_AT_ONCE = 8


def judge_suspects(
    path: str | Path, gold: GoldCorpus, found: Suspects, lm: str | Sequence[str] | ChatModel
) -> Suspects:
    """Ask a model of every suspect whether its label applies, and order the suspects by the answers.

    The wording is that of the run's program. A document that the model rejects leaves its suspects unjudged, at the
    end of their list, and is told in a note.

    Args:
        path: The DuckDB file of the run.
        gold: Where the texts are.
        found: The suspects.
        lm: ``embedded``, ``MODEL@URL``, a URL, several of one model, or any `ChatModel`.

    Raises:
        ModelError: The model cannot be asked at all.
    """
    with Store(path) as store:
        # Of a tuned program's examples only the number is stored, and a judge needs none.
        spec = ProgramSpec.model_validate(read_program(store, found.run) | {"examples": ()})
    by_document: dict[str, list[Suspect]] = {}
    for one in [*found.wrong, *found.missing]:
        by_document.setdefault(one.document, []).append(one)
    texts = {document.id: document.text for document in gold.documents if document.id in by_document}
    with ExitStack() as resources:
        connection = run_to_end(lambda: Connection.find(lm, resources))
        answers = run_to_end(lambda: _ask(connection, spec, by_document, texts))
    return found.judged(answers)


async def _ask(
    connection: Connection, spec: ProgramSpec, suspects: Mapping[str, Sequence[Suspect]], texts: Mapping[str, str]
) -> dict[tuple[str, str], float]:
    """Ask about all documents, some at once; those that the model rejects are left out."""
    rank = PointwiseRank(spec.task)
    if spec.rank == "pointwise" and "rank" in spec.prompts:
        spec.prompts["rank"].apply(rank.predict)
    turns = asyncio.Semaphore(_DOCUMENTS_AT_ONCE)
    answers: dict[tuple[str, str], float] = {}
    async with connection.open() as model:
        assert model is not None

        async def about(document: str) -> None:
            names = [one.name for one in suspects[document]]
            pieces = chunk(texts[document], spec.chunk_characters, spec.chunk_overlap)
            async with turns:
                try:
                    verdicts = [
                        await judge(model, rank.requests(piece, names, connection.model), group=document)
                        for piece in pieces
                    ]
                except ModelRejected:
                    return
            probabilities = merge_probabilities([verdict.probabilities for verdict in verdicts])
            answers.update(zip(((document, one.label) for one in suspects[document]), probabilities, strict=True))

        await asyncio.gather(*map(about, suspects))
    return answers
