"""A run and a corpus, document by document: what the run says, with the text and the gold that the corpus has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from labelmill.corpus import Corpus
from labelmill.formats import Item, Scored
from labelmill.pipelines.exchange.reading import add_reasons
from labelmill.pipelines.exchange.resolving import Resolver
from labelmill.records import Document, Failure
from labelmill.store import Store
from labelmill.store.handing_out import done_documents, predictions_by_document

_BATCH = 5_000


@dataclass(slots=True)
class Gathered:
    """What was handed out so far.

    Attributes:
        documents: How many.
        texts: How many of them with their text.
        predictions: Labels that are ranked, over all of them.
        selected: How many documents have each label in their final set, by position.
        sizes: How many documents have a final set of each size.
        gold: Gold labels of those that have some, as the corpus names them; kept where asked for.
        not_in_run: Documents of the corpus that the run has not done.
        not_in_corpus: Documents of the run that the corpus lacks.
        unreadable: Rows of the corpus that are no documents.
        reasons: Where the first of them are, and what is wrong with them.
    """

    documents: int = 0
    texts: int = 0
    predictions: int = 0
    selected: Counter[int] = field(default_factory=Counter)
    sizes: Counter[int] = field(default_factory=Counter)
    gold: list[Document] = field(default_factory=list)
    not_in_run: int = 0
    not_in_corpus: int = 0
    unreadable: int = 0
    reasons: list[str] = field(default_factory=list)


def gather(
    store: Store,
    run: str,
    corpus: Corpus | None,
    resolver: Resolver,
    *,
    selected_only: bool = False,
    keep_gold: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> tuple[Gathered, Iterator[Item]]:
    """Give a run's documents one after the other: in the corpus's order with it, else by id and without their text.

    Args:
        store: Where the run is.
        run: Its name.
        corpus: What the run labelled, or a part of it.
        resolver: Looks gold labels up.
        selected_only: Leave out what is not in a final set.
        keep_gold: Whether gold labels are wanted afterwards.
        on_progress: Told how many documents were given.

    Returns:
        The counts, which grow while documents are taken, and the documents.
    """
    counts = Gathered()
    batches = _of_run(store, run) if corpus is None else _of_corpus(corpus, counts)
    return counts, _items(
        store, run, batches, counts, resolver, selected_only=selected_only, keep_gold=keep_gold, on_progress=on_progress
    )


def _items(
    store: Store,
    run: str,
    batches: Iterator[list[Document]],
    counts: Gathered,
    resolver: Resolver,
    *,
    selected_only: bool,
    keep_gold: bool,
    on_progress: Callable[[int], None],
) -> Iterator[Item]:
    for batch in batches:
        ids = [document.id for document in batch]
        found = predictions_by_document(store, run, ids, selected_only=selected_only)
        for document, rows in zip(batch, found, strict=True):
            if rows is None:
                counts.not_in_run += 1
                continue
            gold = None if document.labels is None else resolver.positions(document.labels, document.source)
            if document.labels and not gold:
                gold = None  # all of it is outside the taxonomy; an empty list would say that no label is right
            if keep_gold and document.labels:
                counts.gold.append(Document(document.id, "", document.labels, document.source))
            item = Item(document.id, document.text or None, gold, tuple(Scored(*row) for row in rows))
            _count(counts, item)
            yield item
        on_progress(counts.documents)
    counts.not_in_corpus = _count_done(store, run) - counts.documents


def _count(counts: Gathered, item: Item) -> None:
    chosen = [each.label for each in item.predictions if each.selected]
    counts.documents += 1
    counts.texts += item.text is not None
    counts.predictions += len(item.predictions)
    counts.selected.update(chosen)
    counts.sizes[len(chosen)] += 1


def _of_run(store: Store, run: str) -> Iterator[list[Document]]:
    return ([Document(name, "") for name in page] for page in done_documents(store, run))


def _of_corpus(corpus: Corpus, counts: Gathered) -> Iterator[list[Document]]:
    rows = corpus.documents()
    while batch := list(islice(rows, _BATCH)):
        documents = [row for row in batch if isinstance(row, Document)]
        failures = [row for row in batch if isinstance(row, Failure)]
        counts.unreadable += len(failures)
        add_reasons(counts.reasons, failures)
        yield documents


def _count_done(store: Store, run: str) -> int:
    with store.errors():
        (count,) = store.first("SELECT count(*) FROM documents WHERE run = ?", [run]) or (0,)
    return int(count)
