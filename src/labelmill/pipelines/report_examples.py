"""Which documents a report shows, and what it says of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from labelmill.eval.fates import Fate, LedgerEntry
from labelmill.pipelines.report_figures import Judged
from labelmill.records import Document
from labelmill.report.values import Evidence, Example, Given, Verdict, Why
from labelmill.store import Store
from labelmill.store.evidence import GivenLabel, read_given

_QUERIES = 3
"""Queries of a label that are shown: those of the lanes where it stands best."""


def choose_examples(judged: Judged, count: int, seed: int) -> list[tuple[int, Why]]:
    """Choose so many of the best documents, of the worst, and at random, none of them twice.

    Of equally good ones those with more gold labels come first: there is more to see. Documents without gold do not
    count.

    Args:
        judged: The labels.
        count: How many of each.
        seed: Of what is random.

    Returns:
        Rows of documents, each with why it was chosen.
    """
    counted = np.flatnonzero(judged.gold)
    f1, gold = judged.f1[counted], judged.gold[counted]
    best = counted[np.lexsort((-gold, -f1))][:count].tolist()
    left = [row for row in counted[np.lexsort((-gold, f1))][: 2 * count].tolist() if row not in best]
    worst = left[:count]
    rest = np.setdiff1d(counted, [*best, *worst])
    drawn = np.random.default_rng(seed).permutation(rest)[:count].tolist()
    kinds: tuple[tuple[Why, list[int]], ...] = (("best", best), ("worst", worst), ("random", drawn))
    return [(row, why) for why, rows in kinds for row in rows]


def describe_examples(
    store: Store,
    run: str,
    documents: Sequence[tuple[Document, Why, float]],
    entries: Iterable[LedgerEntry],
) -> tuple[Example, ...]:
    """Say of some documents what they were given and what they lack.

    Args:
        store: Where the run is.
        run: Its name.
        documents: The documents, why each is shown, and its F1.
        entries: The ledger.
    """
    fates: dict[str, dict[str, LedgerEntry]] = {document.id: {} for document, _, _ in documents}
    for entry in entries:
        if entry.document in fates:
            fates[entry.document][entry.label] = entry
    given = read_given(store, run, list(fates))
    return tuple(
        _describe(document, why, f1, given.get(document.id, []), fates[document.id]) for document, why, f1 in documents
    )


def _describe(
    document: Document, why: Why, f1: float, given: Sequence[GivenLabel], fates: Mapping[str, LedgerEntry]
) -> Example:
    labels = tuple(Given(each.name, each.score, each.label in fates, each.queries[:_QUERIES]) for each in given)
    missed = [entry for entry in fates.values() if entry.fate is not Fate.found]
    return Example(
        document=document.id,
        why=why,
        text=document.text,
        f1=f1,
        given=labels,
        missed=tuple((entry.name, entry.explain()) for entry in missed),
        evidence=(*_of_given(labels), *_of_missed(missed)),
    )


def _of_given(labels: Iterable[Given]) -> list[Evidence]:
    found = []
    for label in labels:
        verdict: Verdict = "right" if label.right else "wrong"
        found += [Evidence(query, label.name, verdict) for query in label.queries]
    return found


def _of_missed(entries: Iterable[LedgerEntry]) -> list[Evidence]:
    # The nearest phrase to what was never proposed is too far from it to speak for it.
    telling = (entry for entry in entries if entry.query and entry.fate is not Fate.not_proposed)
    return [Evidence(entry.query, entry.name, "missed") for entry in telling]
