"""The stage ledger: what became of each gold label, so that every loss is on the account of one stage.

Values in, values out: `labelmill.pipelines.ledger` takes them from a run, an optimiser from what a program just did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from labelmill.eval.fates import STAGES, Fate, LedgerEntry, Proposer
from labelmill.eval.nearest import NEAR, Nearest, nearest_queries


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a label stands that was retrieved for a document, or named by a model.

    Attributes:
        rank: Its final rank, from 1.
        retrieval_rank: Its rank before the Rank stage, from 1; None where a model named it that is shown all labels.
        selected: Whether it is in the final set.
        query: The query that hit it in the lane where it stands best; empty for the text itself.
    """

    rank: int
    retrieval_rank: int | None
    selected: bool
    query: str = ""


@dataclass(frozen=True, slots=True)
class GoldLabel:
    """A gold label of a document.

    Attributes:
        id: The label's id; what the corpus says, where the taxonomy does not have it.
        texts: Its name and aliases, the name first.
        known: Whether the taxonomy has it.
    """

    id: str
    texts: tuple[str, ...]
    known: bool = True


@dataclass(frozen=True, slots=True)
class Trace:
    """What a run did with one document, as far as its gold labels are concerned.

    Attributes:
        document: Its id.
        gold: Its gold labels, each once.
        queries: What was asked for it beside its text: Infer's phrases, windows.
        standings: By the ids of gold labels, of those that were retrieved or named.
        failed: Whether it failed.
        proposer: What proposed labels; with votes and a student alone there are no queries.
    """

    document: str
    gold: tuple[GoldLabel, ...]
    queries: Sequence[str] = ()
    standings: Mapping[str, Standing] = field(default_factory=dict)
    failed: bool = False
    proposer: Proposer = "queries"


@dataclass(frozen=True, slots=True)
class Losses:
    """What a label or a document lost.

    Attributes:
        key: The label's id or the document's.
        name: The label's name; the document's id again.
        gold: How many gold labels, found ones included.
        entries: Those that were lost, in the order of the ledger.
    """

    key: str
    name: str
    gold: int
    entries: tuple[LedgerEntry, ...]

    @property
    def fates(self) -> dict[Fate, int]:
        """How many were lost at each stage that lost any, in the order of the stages."""
        counts = Counter(entry.fate for entry in self.entries)
        return {fate: counts[fate] for fate in Fate if counts[fate]}

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        fates = {fate.name: count for fate, count in self.fates.items()}
        losses = [entry.as_dict() for entry in self.entries]
        return {"id": self.key, "name": self.name, "gold": self.gold, "lost": fates, "losses": losses}


@dataclass(frozen=True, slots=True)
class Ledger:
    """The fates of all gold labels of a run; a few hundred thousand at most.

    Attributes:
        entries: One per document and gold label.
        top_k: Size of a final set at most: what is ranked below it and not chosen was ranked too low.
        near: The similarity from which a query counts as having proposed a label.
        proposer: What proposed labels.
    """

    entries: tuple[LedgerEntry, ...]
    top_k: int
    near: float = NEAR
    proposer: Proposer = "queries"

    @property
    def counts(self) -> dict[Fate, int]:
        """How many gold labels had each fate, in the order of the stages; they add up to all gold labels."""
        counts = Counter(entry.fate for entry in self.entries)
        return {fate: counts[fate] for fate in Fate}

    @property
    def lost(self) -> int:
        """How many gold labels were not found: the sum of all losses."""
        return len(self.entries) - self.counts[Fate.found]

    @property
    def ceilings(self) -> dict[str, float]:
        """The recall that the final sets could still have after each stage, were the later ones perfect.

        That after the last stage is the recall itself: micro recall of the evaluation.
        """
        counts, total = self.counts, max(1, len(self.entries))
        lost = accumulate(counts[fate] for fate in STAGES.values())
        return {stage: (len(self.entries) - gone) / total for stage, gone in zip(STAGES, lost, strict=True)}

    def worst_labels(self, most: int = 10) -> list[Losses]:
        """List the labels that were lost most often, then by the share that was lost, then by id."""
        names = {entry.label: entry.name for entry in self.entries}
        return _worst(((entry.label, entry) for entry in self.entries), names, most)

    def worst_documents(self, most: int = 10) -> list[Losses]:
        """List the documents that lost most labels, then by the share that was lost, then by id."""
        return _worst(((entry.document, entry) for entry in self.entries), {}, most)

    def as_dict(self, worst: int = 10) -> dict[str, Any]:
        """Give plain values for JSON, with the worst labels and documents, as many as asked for of each."""
        return {
            "gold": len(self.entries),
            "found": len(self.entries) - self.lost,
            "lost": self.lost,
            "top_k": self.top_k,
            "near": self.near,
            "fates": {fate.name: count for fate, count in self.counts.items()},
            "ceilings": self.ceilings,
            "worst_labels": [losses.as_dict() for losses in self.worst_labels(worst)],
            "worst_documents": [losses.as_dict() for losses in self.worst_documents(worst)],
        }


def _worst(keyed: Iterable[tuple[str, LedgerEntry]], names: Mapping[str, str], most: int) -> list[Losses]:
    totals: Counter[str] = Counter()
    lost: dict[str, list[LedgerEntry]] = {}
    for key, entry in keyed:
        totals[key] += 1
        if entry.fate is not Fate.found:
            lost.setdefault(key, []).append(entry)
    worst = sorted(lost, key=lambda key: (-len(lost[key]), totals[key], key))[:most]
    return [Losses(key, names.get(key, key), totals[key], tuple(lost[key])) for key in worst]


def enter(traces: Sequence[Trace], *, top_k: int, near: float = NEAR) -> list[LedgerEntry]:
    """Give each gold label of some documents its fate; similarity is computed for those alone that were not retrieved.

    Args:
        traces: What was done with each document.
        top_k: Size of a final set at most.
        near: The similarity from which a query counts as having proposed a label.

    Returns:
        One entry per document and gold label, in order.
    """
    asked = [(trace, label) for trace in traces for label in trace.gold]
    placed = [_place(trace, label, top_k) for trace, label in asked]
    unplaced = [(label.texts, trace.queries) for (trace, label), entry in zip(asked, placed, strict=True) if not entry]
    nearest = iter(nearest_queries(unplaced))
    return [
        entry or _judge(trace, label, next(nearest), near) for (trace, label), entry in zip(asked, placed, strict=True)
    ]


def _place(trace: Trace, label: GoldLabel, top_k: int) -> LedgerEntry | None:
    """Give a gold label its fate where its document, the taxonomy or its rank decides it; None where it has none."""
    standing = trace.standings.get(label.id)
    if not label.known or trace.failed:
        fate = Fate.failed if label.known else Fate.outside
        return LedgerEntry(trace.document, label.id, label.texts[0], fate, proposer=trace.proposer)
    if standing is None:
        return None
    fate = Fate.found if standing.selected else Fate.cut if standing.rank <= top_k else Fate.ranked_low
    places = standing.retrieval_rank, standing.rank
    return LedgerEntry(
        trace.document, label.id, label.texts[0], fate, standing.query, None, *places, proposer=trace.proposer
    )


def _judge(trace: Trace, label: GoldLabel, nearest: Nearest, near: float) -> LedgerEntry:
    """Say of a label that was not retrieved whether it was proposed."""
    fate = Fate.not_retrieved if nearest.similarity >= near else Fate.not_proposed
    return LedgerEntry(
        trace.document, label.id, label.texts[0], fate, nearest.query, nearest.similarity, proposer=trace.proposer
    )


def trace_document(
    gold: Mapping[str, Sequence[str]],
    queries: Sequence[str],
    candidates: Sequence[str],
    selected: Collection[str],
    *,
    retrieved: Sequence[str] = (),
    document: str = "",
) -> Trace:
    """Trace one document from plain values, where no run was stored: labels by their names, or by ids throughout.

    >>> trace = trace_document({"bake bread": ["make loaves"]}, ["bread making"], ["repair ovens"], ["repair ovens"])
    >>> print(enter([trace], top_k=5)[0].explain())
    gold label 'bake bread' was never retrieved; the nearest phrase was 'bread making'

    Args:
        gold: The gold labels, each with its further names.
        queries: Infer's phrases, and windows where the program asks for these.
        candidates: All that were retrieved, in their final order.
        selected: The final set.
        retrieved: The same candidates in the order of retrieval, but for those that a model named alone; `candidates`
            where Rank changes nothing.
        document: Its id.
    """
    before = {label: rank for rank, label in enumerate(retrieved or candidates, start=1)}
    standings = {
        label: Standing(rank, before.get(label), label in selected)
        for rank, label in enumerate(candidates, start=1)
        if label in gold
    }
    labels = tuple(GoldLabel(label, (label, *names)) for label, names in gold.items())
    return Trace(document, labels, tuple(queries), standings)
