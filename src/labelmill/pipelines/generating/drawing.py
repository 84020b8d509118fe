"""The documents that a taxonomy is made of: drawn from the corpus, embedded, and put into an order that covers it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.keys import content_key
from labelmill.learning.clusters import cluster
from labelmill.pipelines.generating.drafts import Pool, Rows, Vectors
from labelmill.pipelines.generating.progress import OnStep, StepProgress
from labelmill.pipelines.pilot import Sample
from labelmill.records import Document
from labelmill.retrievers.base import Embedder
from labelmill.store.steps import Step, StepStore

DRAW_VERSION = 1
"""Raised whenever the same corpus would be drawn from, or ordered, otherwise."""

_CHARACTERS = 1200
"""Of a document that are embedded: what it is about, it says at its beginning."""

_AT_ONCE = 128


def draw(corpus: Corpus, size: int, embedder: Embedder, seed: int, on_step: OnStep) -> Pool:
    """Draw documents and embed them.

    Args:
        corpus: The documents.
        size: How many to draw at most, each with the same chance.
        embedder: Makes the vectors.
        seed: Of the draw.
        on_step: Told how far the embedding is.

    Raises:
        InputError: Fewer than two documents can be read.
    """
    sample = Sample.draw(corpus.documents(), size, seed)
    if len(sample.documents) < 2:
        unread = f", and {sample.unreadable:,} rows that cannot be read" if sample.unreadable else ""
        raise InputError(
            f"the corpus has {len(sample.documents)} documents{unread}; a taxonomy needs two at least",
            path=", ".join(map(str, corpus.paths)),
            remedy="Name the fields with --text-field and --id-field, or give more documents.",
        )
    return Pool(sample.documents, embed(embedder, sample.documents, on_step), sample.unreadable, sample.count)


def embed(embedder: Embedder, documents: Sequence[Document], on_step: OnStep) -> Vectors:
    """Embed the beginnings of documents: shape (n, d)."""
    texts = [document.text[:_CHARACTERS] for document in documents]
    shown, parts = StepProgress("documents embedded", len(texts)), []
    for start in range(0, len(texts), _AT_ONCE):
        parts.append(embedder.embed(texts[start : start + _AT_ONCE]))
        shown.done = min(len(texts), start + _AT_ONCE)
        on_step(shown)
    return np.concatenate(parts)


def pool_key(pool: Pool, embedder: Embedder) -> str:
    """Identify the documents, in their order, and their vectors."""
    documents = [[document.id, document.text] for document in pool.documents]
    return content_key(DRAW_VERSION, embedder.fingerprint, documents)


def covering(pool: Pool, key: str, count: int, batch: int, seed: int, store: StepStore) -> Rows:
    """Choose documents to read, in an order of which every `batch` come from as many regions of the corpus.

    The regions are clusters. In each turn the next document of every region is taken; those of small regions are read
    first, then, and large ones fill up the end.

    Args:
        pool: The documents.
        key: Identifies them.
        count: How many to choose at most.
        batch: How many are read at once.
        seed: Of the order within a region.
        store: Where the order is kept, so that a second time has the same.
    """
    step = store.get(content_key("cover", DRAW_VERSION, key, count, batch, seed))
    if step is None:
        regions = cluster(pool.vectors, min(batch, len(pool)), exactly=True, smallest=1, seed=seed).of
        chance = np.random.default_rng(seed).permutation(len(pool))
        waiting = [chance[regions[chance] == region].tolist() for region in range(int(regions.max()) + 1)]
        order: list[int] = []
        while len(order) < count and any(waiting):
            order += [rows.pop() for rows in sorted(waiting, key=len) if rows]
        about = {"documents": [pool.documents[row].id for row in order[:count]], "regions": len(waiting)}
        asked = content_key("cover", DRAW_VERSION, key, count, batch, seed)
        step = store.put(Step(asked, "draw", order[:count], about))
    return np.array(step.output, np.int64)
