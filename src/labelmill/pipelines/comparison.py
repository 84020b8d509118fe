"""Comparison of two runs, of one file or of two: over the documents that both met, whatever their taxonomies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError
from labelmill.eval.changes import Changes, LabelChange
from labelmill.eval.comparison import Comparison, compare
from labelmill.eval.gold import ResolvedGold, resolve_gold
from labelmill.eval.rankings import PADDING, Gold, Rankings
from labelmill.pipelines.evaluate import lay_out
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.learned_from import count_taught, warn_taught
from labelmill.store import RankedLabels, Store
from labelmill.store.reader import choose_run, read_ranked, read_taxonomy
from labelmill.store.standings import read_program
from labelmill.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs.

    Attributes:
        path: Its file.
        run: Its name.
        taxonomy: Its labels.
        ranked: Its predictions.
        program: What it was made by.
    """

    path: str
    run: str
    taxonomy: Taxonomy
    ranked: RankedLabels
    program: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path, run: str | None, depth: int) -> Side:
        """Read a run out of its file; the newest where none is named."""
        with Store(path) as store:
            name = choose_run(store, run)
            ranked = read_ranked(store, name, depth=depth)
            return cls(str(path), name, read_taxonomy(store, name), ranked, read_program(store, name))

    @property
    def address(self) -> tuple[Path, str]:
        """Where it is, however the file was named."""
        return Path(self.path).resolve(), self.run

    @property
    def met(self) -> frozenset[str]:
        """The ids of the documents that it has done or failed."""
        return frozenset(self.ranked.documents) | frozenset(self.ranked.failed)


@dataclass(frozen=True, slots=True, eq=False)
class RunComparison:
    """A comparison and what it was made of.

    Attributes:
        sides: Both runs.
        comparison: The metrics.
        changes: What differs between the final sets, by the numbers of `documents` and of `labels`.
        documents: Ids of the documents that both runs met and that have gold labels.
        labels: Ids and names by number: those of the first taxonomy, then what only the second has.
        documents_of_one_run: Documents with gold that only one of the runs met, of the first and of the second.
        documents_of_neither: Documents with gold that neither met.
        unresolved: What each taxonomy lacks of the gold labels, as a line; empty for nothing.
        documents_learned_from: Of `documents`, how many the first run learned from, and the second.
    """

    sides: tuple[Side, Side]
    comparison: Comparison
    changes: Changes
    documents: tuple[str, ...]
    labels: Sequence[tuple[str, str]]
    documents_of_one_run: tuple[int, int]
    documents_of_neither: int
    unresolved: Sequence[str]
    documents_learned_from: tuple[int, int]

    @property
    def warnings(self) -> list[str]:
        """Say in lines what a reader of the figures should know."""
        lines = []
        if self.sides[0].taxonomy.key != self.sides[1].taxonomy.key:
            lines.append("the runs have different taxonomies: labels are compared by id")
        for side, taught in zip(self.sides, self.documents_learned_from, strict=True):
            lines += warn_taught(side.run, taught, len(self.documents))
        for side, alone, lacking in zip(self.sides, self.documents_of_one_run, self.unresolved, strict=True):
            if alone:
                lines.append(f"left out: {alone:,} of the documents with gold, in run {side.run!r} alone")
            if lacking:
                lines.append(f"run {side.run!r}: {lacking}")
        if self.documents_of_neither:
            lines.append(f"left out: {self.documents_of_neither:,} of the documents with gold, in neither run")
        return lines

    def label_changes(self, most: int) -> dict[str, list[dict[str, Any]]]:
        """List the labels that came and went most often, each with how often that was right."""
        found = {"gained": self.changes.labels_gained(most), "lost": self.changes.labels_lost(most)}
        return {what: [self._label(change) for change in changes] for what, changes in found.items()}

    def document_changes(self, most: int) -> list[dict[str, Any]]:
        """List the documents that changed most, by RP@k at the first depth, with the names that came and went."""
        listed = []
        for number in self.changes.largest(self.comparison.scores, most):
            a, b = self.comparison.scores[number].tolist()
            gained, lost = ([self.labels[label][1] for label in labels] for labels in self.changes.of_document(number))
            listed.append({"document": self.documents[number], "a": a, "b": b, "gained": gained, "lost": lost})
        return listed

    def as_dict(self, most: int = 10) -> dict[str, Any]:
        """Give plain values for JSON, with as many labels and documents that changed as asked for."""
        a, b = ({"file": side.path, "run": side.run} for side in self.sides)
        return {
            "a": a,
            "b": b,
            "documents": len(self.documents),
            "documents_without_gold": self.comparison.documents_without_gold,
            "documents_of_a_alone": self.documents_of_one_run[0],
            "documents_of_b_alone": self.documents_of_one_run[1],
            "documents_of_neither": self.documents_of_neither,
            "documents_a_learned_from": self.documents_learned_from[0],
            "documents_b_learned_from": self.documents_learned_from[1],
            "metrics": {name: value.as_dict() for name, value in self.comparison.metrics.items()},
            "wins": {name: asdict(wins) for name, wins in self.comparison.wins.items()},
            "documents_changed": len(self.changes.documents),
            "labels_changed": self.label_changes(most),
            "most_changed": self.document_changes(most),
        }

    def _label(self, change: LabelChange) -> dict[str, Any]:
        label, name = self.labels[change.label]
        return {"id": label, "name": name, "documents": change.documents, "right": change.right}


def compare_runs(
    a: tuple[str | Path, str | None],
    b: tuple[str | Path, str | None],
    gold: GoldCorpus,
    *,
    ks: Sequence[int] = (5, 10),
    resamples: int = 1000,
    seed: int = 0,
) -> RunComparison:
    """Compare two runs against gold labels.

    A document that a run failed on scores zero there. Each run is measured against the gold labels as its own taxonomy
    resolves them, so that every metric is that of `evaluate_run` over the documents that both met.

    Args:
        a: The file of the first run, and the run; None for the newest.
        b: Those of the second.
        gold: Documents with gold labels.
        ks: Depths of the ranking metrics; documents are compared at the first.
        resamples: Draws of the bootstrap, and random swaps of the test.
        seed: Of both.

    Raises:
        GoldError: No gold label can be resolved, or no document of the gold is in both runs.
        InputError: Both are the same run.
        StoreError: A file or a run is not there.
    """
    sides = Side.read(*a, max(ks)), Side.read(*b, max(ks))
    if sides[0].address == sides[1].address:
        raise InputError(
            f"run {sides[0].run!r} of {sides[0].path} cannot be compared with itself",
            remedy="Name two runs as FILE:RUN; `labelmill runs` lists them.",
        )
    met = sides[0].met, sides[1].met
    known = gold.met(met[0] & met[1], sides[0].run, sides[1].run)
    resolved = [resolve_gold(((document.id, document.labels) for document in known), side.taxonomy) for side in sides]
    labels, numbers = _join([side.taxonomy for side in sides])
    ids = [document.id for document in known]
    rankings = tuple(_renumber(lay_out(side.ranked, ids), to) for side, to in zip(sides, numbers, strict=True))
    golds = tuple(_renumber_gold(one, to, resolved) for one, to in zip(resolved, numbers, strict=True))
    comparison = compare(rankings, golds, ks=ks, resamples=resamples, seed=seed)
    kept = np.isin(np.arange(len(known)), comparison.rows)
    measured = [known[row] for row in comparison.rows.tolist()]
    neither = gold.without(met[0] | met[1])
    return RunComparison(
        sides=sides,
        comparison=comparison,
        changes=Changes.of([each.take(kept) for each in rankings], [each.take(kept) for each in golds]),
        documents=tuple(ids[row] for row in comparison.rows.tolist()),
        labels=labels,
        documents_of_one_run=(gold.without(met[1]) - neither, gold.without(met[0]) - neither),
        documents_of_neither=neither,
        unresolved=[one.summary for one in resolved],
        documents_learned_from=(count_taught(sides[0].program, measured), count_taught(sides[1].program, measured)),
    )


def _join(taxonomies: Sequence[Taxonomy]) -> tuple[list[tuple[str, str]], list[NDArray[np.int32]]]:
    """Number the labels of two taxonomies together, by id; give (id, name) by number, and the number by position."""
    found: dict[str, int] = {}
    numbers = [
        np.array([found.setdefault(label.id, len(found)) for label in taxonomy], dtype=np.int32)
        for taxonomy in taxonomies
    ]
    names = {label.id: label.name for taxonomy in reversed(taxonomies) for label in taxonomy}
    return [(label, names[label]) for label in found], numbers


def _renumber(rankings: Rankings, numbers: NDArray[np.int32]) -> Rankings:
    labels = np.where(rankings.labels == PADDING, PADDING, numbers[rankings.labels])
    return Rankings(labels, rankings.selected)


def _renumber_gold(resolved: ResolvedGold, numbers: NDArray[np.int32], both: Sequence[ResolvedGold]) -> Gold:
    """Number gold labels as predictions are, and what neither taxonomy has by its text."""
    texts = {text: place for place, text in enumerate(dict.fromkeys(text for one in both for text in one.missing))}
    missing = np.array([PADDING - 1 - texts[text] for text in resolved.missing], dtype=np.int32)
    labels = resolved.gold.labels.copy()
    inside = labels >= 0
    labels[inside] = numbers[labels[inside]]
    labels[~inside] = missing[PADDING - 1 - labels[~inside]]
    return Gold(resolved.gold.indptr, labels)
