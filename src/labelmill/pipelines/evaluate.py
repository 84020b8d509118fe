"""Evaluation of a run: predictions out of the store, gold out of a corpus, both as arrays, into every metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.confidence import DEPTH
from labelmill.eval.evaluation import Evaluation, evaluate
from labelmill.eval.gold import ResolvedGold, resolve_gold
from labelmill.eval.hierarchy import Hierarchy
from labelmill.eval.propensity import Frequencies
from labelmill.eval.rankings import PADDING, Gold, Rankings
from labelmill.pipelines.confidence import are_probabilities, claims_probabilities
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.learned_from import count_taught, warn_taught
from labelmill.pipelines.rollup import Rollup, Upwards
from labelmill.store import RankedLabels, Store
from labelmill.store.reader import choose_run, read_ranked, read_taxonomy
from labelmill.store.standings import read_program
from labelmill.taxonomy import Taxonomy

_ALL = 2**31 - 1
"""Ranks: labels that are seen from higher up come together, so that the first may be few."""


@dataclass(frozen=True, slots=True)
class RunEvaluation:
    """An evaluation and what it was made of.

    Attributes:
        run: The run's name.
        evaluation: The metrics.
        gold: The gold labels, and which of them the taxonomy does not have.
        documents_not_in_run: Documents with gold that the run has neither done nor failed; left out and counted.
        documents_not_in_gold: Documents of the run that the gold corpus does not have; left out and counted.
        gold_unreadable: Rows of the gold corpus that could not be read.
        documents_learned_from: Documents with gold, in the run, that it learned from.
    """

    run: str
    evaluation: Evaluation
    gold: ResolvedGold
    documents_not_in_run: int
    documents_not_in_gold: int
    gold_unreadable: int
    documents_learned_from: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        counts = {
            "documents_not_in_run": self.documents_not_in_run,
            "documents_not_in_gold": self.documents_not_in_gold,
            "gold_unreadable": self.gold_unreadable,
            "documents_learned_from": self.documents_learned_from,
        }
        result = self.evaluation.as_dict(self.run)
        metrics = result.pop("metrics")
        return {**result, **counts, "metrics": metrics}

    @property
    def warnings(self) -> list[str]:
        """Say in lines what a reader of the figures should know."""
        lines = warn_taught(self.run, self.documents_learned_from, self.evaluation.documents)
        lines += [self.gold.summary] if self.gold.unresolved else []
        if self.documents_not_in_run:
            lines.append(f"left out: {self.documents_not_in_run:,} of the documents with gold, not in the run")
        if self.documents_not_in_gold:
            lines.append(f"without gold in these files: {self.documents_not_in_gold:,} of the run's documents")
        if self.gold_unreadable:
            lines.append(f"could not be read: {self.gold_unreadable:,} of the rows of the gold corpus")
        return lines


def evaluate_run(
    path: str | Path,
    gold: Sequence[str | Path] | GoldCorpus,
    *,
    run: str | None = None,
    ks: Sequence[int] = (1, 5, 10, 50),
    resamples: int = 1000,
    frequencies: Sequence[str | Path] = (),
    rollup: Rollup = Rollup(),  # noqa: B008 - frozen
    id_field: str = "id",
    text_field: str = "text",
    labels_field: str = "labels",
) -> RunEvaluation:
    """Evaluate a run against a corpus with gold labels.

    A document that the run failed on counts as one without predictions: it scores zero. A document that the run never
    met (a run with ``--limit``, or one still going on) is left out and counted.

    Args:
        path: The DuckDB file.
        gold: Files of documents with gold labels, ids or unique names; or these read already, to which the names of
            fields mean nothing any more.
        run: The run; the newest by default.
        ks: Depths of the ranking metrics.
        resamples: Resamples of the bootstrap.
        frequencies: Documents with gold labels, such as training data, that say how frequent labels are; by default the
            gold itself does.
        rollup: How labels are seen, those of the run and those of the gold; a label that stands for others has no
            probability of its own, so that calibration is left out.
        id_field: What the gold corpus calls a document's id.
        text_field: What it calls the text.
        labels_field: What it calls the gold labels.

    Raises:
        GoldError: No gold label can be resolved, or no document of the gold is in the run.
        StoreError: The file or the run is not there.
        InputError: Labels are to be seen from higher up, and nothing stands above them.
    """
    with Store(path) as store:
        name = choose_run(store, run)
        taxonomy = read_taxonomy(store, name)
        ranked = read_ranked(store, name, depth=_ALL if rollup else max(*ks, DEPTH))
        program = read_program(store, name)
    fields = {"id_field": id_field, "text_field": text_field, "labels_field": labels_field}
    corpus = gold if isinstance(gold, GoldCorpus) else GoldCorpus.read(gold, **fields)
    met = {*ranked.documents, *ranked.failed}
    known = corpus.met(met, name)
    upwards = rollup.over(taxonomy) if rollup else None
    taxonomy = upwards.taxonomy if upwards else taxonomy
    resolved = resolve_gold(((document.id, document.labels) for document in known), taxonomy)
    if upwards:
        ranked, resolved = upwards.ranked(ranked), upwards.gold(resolved)
    probable = claims_probabilities(program) and not upwards
    evaluation = evaluate(
        lay_out(ranked, resolved.documents),
        resolved.gold,
        n_labels=len(taxonomy),
        ks=ks,
        resamples=resamples,
        hierarchy=Hierarchy.of(taxonomy),
        frequencies=_count(GoldCorpus.read(frequencies, **fields), taxonomy, upwards) if frequencies else None,
        probabilities=_probabilities(ranked, resolved.documents) if probable else None,
    )
    return RunEvaluation(
        run=name,
        evaluation=evaluation,
        gold=resolved,
        documents_not_in_run=corpus.without(met),
        documents_not_in_gold=len(met) - len(known),
        gold_unreadable=corpus.unreadable,
        documents_learned_from=count_taught(program, known),
    )


def lay_out(ranked: RankedLabels, documents: Sequence[str]) -> Rankings:
    """Lay predictions out as one padded row per document, in the order of `documents`; a failed one gets no labels."""
    depth = int(ranked.ranks.max(initial=1))
    labels = np.full((len(ranked.documents) + 1, depth), PADDING, dtype=np.int32)
    selected = np.zeros(labels.shape, dtype=np.bool_)
    labels[ranked.rows, ranked.ranks - 1] = ranked.labels
    selected[ranked.rows, ranked.ranks - 1] = ranked.selected
    rows = _rows(ranked, documents)
    return Rankings(labels[rows], selected[rows])


def _probabilities(ranked: RankedLabels, documents: Sequence[str]) -> NDArray[np.float64] | None:
    """Lay scores out like `lay_out` does labels; None where one of the first is no probability."""
    if not are_probabilities(ranked.scores[ranked.ranks <= DEPTH]):
        return None
    scores = np.zeros((len(ranked.documents) + 1, int(ranked.ranks.max(initial=1))))
    scores[ranked.rows, ranked.ranks - 1] = ranked.scores
    return scores[_rows(ranked, documents)]


def _rows(ranked: RankedLabels, documents: Sequence[str]) -> list[int]:
    """Find each document's row; the one after the last stays empty and stands for every document that failed."""
    places = {document: row for row, document in enumerate(ranked.documents)}
    return [places.get(document, len(ranked.documents)) for document in documents]


def _count(corpus: GoldCorpus, taxonomy: Taxonomy, upwards: Upwards | None) -> Frequencies:
    """Count the labels of another corpus; what the taxonomy lacks has no number that both corpora share."""
    resolved = resolve_gold(((document.id, document.labels) for document in corpus.documents), taxonomy)
    gold = (upwards.gold(resolved) if upwards else resolved).gold
    known = [gold.labels[a:b] for a, b in pairwise(gold.indptr)]
    return Frequencies.of(Gold.from_lists(labels[labels > PADDING].tolist() for labels in known))
