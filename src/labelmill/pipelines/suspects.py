"""Gold labels of a corpus that are probably wrong or missing, by what a run says of them, for a person to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labelmill.eval.gold import ResolvedGold, resolve_gold
from labelmill.eval.rankings import PADDING
from labelmill.eval.suspects import Pairs, confidence_by_rank, suspect
from labelmill.pipelines.confidence import are_probabilities, claims_probabilities
from labelmill.pipelines.excerpts import excerpt
from labelmill.pipelines.gold import GoldCorpus
from labelmill.records import Document
from labelmill.store import RankedLabels, Store
from labelmill.store.reader import choose_run, read_ranked, read_taxonomy
from labelmill.store.standings import read_program, read_standings
from labelmill.taxonomy import Taxonomy

Kind = Literal["wrong", "missing"]
_ALL = 2**31 - 1
_OUT_OF_SAMPLE = "A program is blind to errors in documents that it learned from: look for suspects in others"
_NO_PROBABILITIES = (
    "The scores of this run are no probabilities. They were turned into some by score and rank, alike for all labels"
)


@dataclass(frozen=True, slots=True)
class Suspect:
    """One gold label to look at, or one that may belong to the gold.

    Attributes:
        document: The document's id.
        label: The label's id.
        name: Its name.
        kind: ``wrong`` for a gold label that the run finds improbable, ``missing`` for another that it finds probable.
        score: The probability that the label is right, by the run; 0 where it does not rank it.
        threshold: The mean probability of the label's other gold; for a rare label, nearer to that of all labels.
        rank: In the run, from 1; None where it does not rank it.
        excerpt: The text around what speaks for the label, or its beginning; at most 120 characters.
        judged: The probability that a language model gives it, where one was asked.
    """

    document: str
    label: str
    name: str
    kind: Kind
    score: float
    threshold: float
    rank: int | None
    excerpt: str
    judged: float | None = None


@dataclass(frozen=True, slots=True)
class Suspects:
    """What there is to look at in the gold of a corpus.

    Attributes:
        run: The run that says so.
        documents: Documents of the run with gold labels.
        gold_labels: Their gold labels that the taxonomy has.
        wrong: The most suspicious gold labels, first the worst.
        missing: The most suspicious labels that are not gold, first the most probable.
        notes: What a reader should know, one line each.
    """

    run: str
    documents: int
    gold_labels: int
    wrong: tuple[Suspect, ...]
    missing: tuple[Suspect, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return asdict(self)

    def judged(self, answers: Mapping[tuple[str, str], float]) -> Suspects:
        """Order both lists by what a judge says: first gold that it denies, and first what it affirms.

        Args:
            answers: A probability by the ids of document and label; suspects without one go to the end.
        """
        wrong, missing = (
            [replace(one, judged=answers.get((one.document, one.label))) for one in suspects]
            for suspects in (self.wrong, self.missing)
        )
        silent = sum(one.judged is None for one in [*wrong, *missing])
        note = (f"The model did not judge {silent} of the suspects; they come last",) if silent else ()
        return replace(
            self,
            wrong=tuple(sorted(wrong, key=lambda one: 2.0 if one.judged is None else one.judged)),
            missing=tuple(sorted(missing, key=lambda one: 1.0 if one.judged is None else -one.judged)),
            notes=self.notes + note,
        )


def suspects_of_run(path: str | Path, gold: GoldCorpus, *, run: str | None = None, count: int = 20) -> Suspects:
    """Find gold labels that are probably wrong, and labels that are probably missing from the gold.

    Documents without gold labels are left out: nothing is known of them. What the taxonomy does not have is not
    suspected, but reported by an evaluation.

    Args:
        path: The DuckDB file.
        gold: Documents with gold labels.
        run: The run; the newest by default.
        count: Suspects of each kind at most.

    Raises:
        GoldError: No gold label can be resolved, or no document of the gold is in the run.
        StoreError: The file or the run is not there.
    """
    with Store(path) as store:
        name = choose_run(store, run)
        taxonomy, program = read_taxonomy(store, name), read_program(store, name)
        ranked = read_ranked(store, name, depth=_ALL)
        known = gold.met(frozenset(ranked.documents), name)
        resolved = resolve_gold(((document.id, document.labels) for document in known), taxonomy)
        calibrated = claims_probabilities(program) and are_probabilities(ranked.scores)
        pairs = _pair(ranked, resolved, len(taxonomy), calibrated=calibrated)
        found = suspect(pairs)
        wrong, missing = (
            tuple(_describe(store, name, taxonomy, known, pairs, found.thresholds, chosen[:count]))
            for chosen in (found.wrong, found.missing)
        )
    documents = int(np.count_nonzero(resolved.gold.sizes))
    notes = (_OUT_OF_SAMPLE,) if calibrated else (_NO_PROBABILITIES, _OUT_OF_SAMPLE)
    return Suspects(name, documents, int(pairs.gold.sum()), wrong, missing, notes)


def _pair(ranked: RankedLabels, resolved: ResolvedGold, span: int, *, calibrated: bool) -> Pairs:
    """Join what is ranked and what is gold, over the documents that have gold."""
    places = {document: row for row, document in enumerate(resolved.documents)}
    rows = np.array([places.get(document, PADDING) for document in ranked.documents], dtype=np.int64)[ranked.rows]
    has_gold = np.append(resolved.gold.sizes > 0, False)
    kept = has_gold[rows]
    keys = rows[kept] * span + ranked.labels[kept]
    inside = resolved.gold.labels > PADDING
    wanted = resolved.gold.rows[inside] * span + resolved.gold.labels[inside]
    unranked = np.setdiff1d(wanted, keys)
    gold = np.isin(keys, wanted)
    scores = ranked.scores[kept]
    probabilities = scores if calibrated else confidence_by_rank(scores, ranked.ranks[kept], gold)
    documents, labels = np.divmod(np.concatenate([keys, unranked]), span)
    return Pairs(
        documents,
        labels.astype(np.int32),
        np.concatenate([probabilities, np.zeros(len(unranked))]),
        np.concatenate([gold, np.ones(len(unranked), dtype=np.bool_)]),
    )


def _describe(
    store: Store,
    run: str,
    taxonomy: Taxonomy,
    known: Sequence[Document],
    pairs: Pairs,
    thresholds: NDArray[np.float64],
    chosen: NDArray[np.intp],
) -> Iterator[Suspect]:
    """Give suspects their names and texts."""
    at = [(known[pairs.documents[i]], taxonomy[int(pairs.labels[i])]) for i in chosen]
    standings = read_standings(store, run, [(document.id, label.id) for document, label in at])
    for i, (document, label), standing in zip(chosen, at, standings, strict=True):
        yield Suspect(
            document=document.id,
            label=label.id,
            name=label.name,
            kind="wrong" if pairs.gold[i] else "missing",
            score=float(pairs.probabilities[i]),
            threshold=float(thresholds[i]),
            rank=standing[0] if standing else None,
            excerpt=excerpt(document.text, standing[3] if standing else ""),
        )
