"""Next: out of a run, and of what gold there is, the documents that a person should label, and why each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from labelmill.corpus import Corpus, chunk
from labelmill.errors import InputError
from labelmill.learning.acquisition import PARTS, Batch, Pool, Weights, choose_batch, unit_rows
from labelmill.pipelines.acquiring.beliefs import find_belief
from labelmill.pipelines.acquiring.gold_so_far import GoldSoFar, spread
from labelmill.pipelines.acquiring.looking_again import LookAgain, look_again
from labelmill.pipelines.acquiring.texts import Reading, find_texts
from labelmill.pipelines.gold import GoldCorpus
from labelmill.records import Document
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.documents import embed_documents
from labelmill.store import Store
from labelmill.store.reader import choose_run, read_taxonomy
from labelmill.store.shortlist import (
    Belief,
    BelievedPairs,
    Committee,
    Question,
    Shortlist,
    count_lanes,
    has_votes,
    read_pairs,
    read_shortlist,
)
from labelmill.taxonomy import Taxonomy

Among = Literal["new", "gold", "both"]

DEPTH = 20
"""Labels of a document that are looked at."""

_SHORTLIST = 2000
_TIMES = 10
"""Documents of the shortlist for each that is asked for, where that is more."""

_MOST_KNOWN = 5000
"""Documents with gold that new ones are compared with."""

_SUGGESTED = 10
_DOUBTFUL = 3
_CHUNK_CHARACTERS, _CHUNK_OVERLAP = 1200, 100


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A label that a document may have.

    Attributes:
        label: Its id.
        name: Its name.
        probability: What is thought of it, gold included where there is some. Where the run's scores are no
            probabilities and nothing taught what they are worth, above 0.5 what final sets keep, and no more.
        selected: Whether in the run's final set.
        gold: Whether the document's gold has it.
    """

    label: str
    name: str
    probability: float
    selected: bool
    gold: bool = False


@dataclass(frozen=True, slots=True)
class NextDocument:
    """A document for a person.

    Attributes:
        document: Its id.
        labelled: Whether it has gold already.
        reason: The part that weighed most: one of `PARTS`.
        parts: What each part was worth when it was chosen, weighted.
        doubt: Expected wrong decisions on its labels.
        doubtful: The labels that are most in doubt, the worst first.
        suggestions: What the run and the gold say, the most probable first.
        tail: Of `suggestions` the names of those that have the least gold, where that weighed.
        text: The document's, where it was asked for; else None.
    """

    document: str
    labelled: bool
    reason: str
    parts: Mapping[str, float]
    doubt: float
    doubtful: tuple[Suggestion, ...]
    suggestions: tuple[Suggestion, ...]
    tail: tuple[str, ...]
    text: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON, without the text."""
        return {
            "document": self.document,
            "labelled": self.labelled,
            "reason": self.reason,
            "parts": {name: round(value, 4) for name, value in self.parts.items()},
            "doubt": round(self.doubt, 4),
            "doubtful": [_plain(each) for each in self.doubtful],
            "suggestions": [_plain(each) for each in self.suggestions],
            "tail": list(self.tail),
        }

    def to_label(self) -> dict[str, Any]:
        """Give a document of a corpus whose labels are to be filled in: none yet, for `tune` leaves such ones out."""
        row: dict[str, Any] = {"id": self.document, "text": self.text or "", "labels": None}
        if self.labelled:
            row["gold"] = [each.label for each in self.suggestions if each.gold]
        return row | {"suggestions": [_plain(each) for each in self.suggestions], "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Acquired:
    """What to label next.

    Attributes:
        run: The run that says so.
        documents: In the order in which they are worth most.
        pool: Documents of the run without gold.
        labelled: Documents of the run with gold.
        looked_at: How many were compared with each other.
        notes: What a reader should know, one line each.
    """

    run: str
    documents: tuple[NextDocument, ...]
    pool: int
    labelled: int
    looked_at: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return {
            "run": self.run,
            "pool": self.pool,
            "labelled": self.labelled,
            "looked_at": self.looked_at,
            "documents": [each.as_dict() for each in self.documents],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted, and where it is.

    Attributes:
        count: Documents at most.
        runs: The run, and others whose final sets are compared with its own; the newest alone by default.
        among: New documents, documents with gold to be labelled once more, or whichever is worth more.
        annotators: Voters that labelled documents, who count in place of the gold where they did.
        weights: What the parts weigh.
        seed: Of what is drawn of a large run.
        docs: Where the texts are; by default where the run found them.
        read: Makes the corpus of such paths.
        texts: Whether texts are wanted.
        embedder: Tells which documents are near to each other; without one, their labels do.
    """

    count: int = 50
    runs: Sequence[str] = ()
    among: Among = "new"
    annotators: Sequence[str] = ()
    weights: Weights = field(default_factory=Weights)
    seed: int = 0
    docs: Sequence[str | Path] | None = None
    read: Reading = Corpus
    texts: bool = False
    embedder: Embedder | None = None


def next_documents(
    path: str | Path,
    gold: GoldCorpus | None = None,
    wanted: Wanted = Wanted(),
    on_progress: Callable[[str], None] = lambda _: None,
) -> Acquired:
    """Choose the documents that a person should label next.

    Args:
        path: The DuckDB file.
        gold: Documents that have gold already, of the run or not.
        wanted: What is wanted.
        on_progress: Told what is being done.

    Raises:
        StoreError: The file or a run is not there.
        GoldError: No gold label can be resolved.
        InputError: There is nothing to choose from, or texts are wanted and not there.
    """
    with Store(path) as store:
        names = [choose_run(store, name) for name in dict.fromkeys(wanted.runs)] or [choose_run(store, None)]
        taxonomy = read_taxonomy(store, names[0])
        so_far = GoldSoFar.read(store, names[0], taxonomy, gold, wanted.annotators)
        if wanted.among != "new" and not so_far.here:
            raise InputError(
                f"no document of run {names[0]!r} has gold, so that none can be labelled again",
                path=gold.source or None if gold else None,
                remedy="Give --gold documents of the run, or ask for new ones.",
            )
        on_progress("reading what the scores mean")
        belief = find_belief(store, names[0], DEPTH, so_far.taught(store, names[0], DEPTH), len(so_far.here))
        on_progress("looking at every document")
        asked = _question(store, names, belief, wanted)
        most = max(_SHORTLIST, _TIMES * wanted.count)
        if wanted.among == "gold":
            nothing = np.empty(0)
            short = Shortlist([], nothing, nothing, nothing.astype(np.bool_), 0)
        else:
            short = read_shortlist(store, asked, so_far.counts(taxonomy), so_far.here, most)
        again = LookAgain.none()
        if wanted.among != "new":
            again = look_again(store, names[0], so_far, belief, DEPTH, len(taxonomy), most)
        documents = [*short.documents, *again.documents]
        if not documents:
            raise InputError(f"run {names[0]!r} has no document that could be chosen", remedy="Label some first.")
        on_progress(f"comparing {len(documents):,} documents")
        pairs = _joined(read_pairs(store, names[0], belief, short.documents, DEPTH), again, len(short.documents))
        texts = _texts(store, names[0], wanted, documents, so_far)
        pool = _pool(short, again, pairs, so_far, texts, wanted, taxonomy)
        batch = choose_batch(pool, wanted.count, wanted.weights)
        if wanted.texts and not texts:
            texts = find_texts(store, names[0], [documents[each] for each in batch.chosen], wanted.docs, wanted.read)
    found = _described(batch, documents, pool, pairs, taxonomy, so_far)
    if wanted.texts:
        found = [replace(each, text=texts[each.document].text) for each in found if each.document in texts]
    notes = _notes(belief, asked.committee, wanted, len(batch.chosen) - len(found))
    return Acquired(names[0], tuple(found), short.pool, len(so_far.here), len(documents), tuple(notes))


def _question(store: Store, names: Sequence[str], belief: Belief, wanted: Wanted) -> Question:
    committee: Committee = "none"
    lanes = 0
    if len(names) > 1:
        committee = "runs"
    elif has_votes(store, names[0]):
        committee = "votes"
    elif (lanes := count_lanes(store, names[0])) > 1:
        committee = "lanes"
    weights = {name: getattr(wanted.weights, name) for name in ("uncertainty", "disagreement", "tail")}
    return Question(names[0], belief, DEPTH, committee, tuple(names), lanes, weights=weights, seed=wanted.seed)


def _texts(store: Store, run: str, wanted: Wanted, documents: Sequence[str], so_far: GoldSoFar) -> dict[str, Document]:
    """Find the texts of all documents that are compared, where an embedder needs them."""
    if wanted.embedder is None:
        return {}
    known = {each.id: each for each in so_far.documents}
    missing = [name for name in documents if name not in known]
    return known | (find_texts(store, run, missing, wanted.docs, wanted.read) if missing else {})


def _joined(new: BelievedPairs, again: LookAgain, start: int) -> BelievedPairs:
    """Put the pairs of documents with gold behind those of new ones."""
    pairs = again.pairs
    return BelievedPairs(
        np.concatenate([new.row, pairs.row + start]),
        np.concatenate([new.label, pairs.label]),
        np.concatenate([new.probability, pairs.probability]),
        np.concatenate([new.selected, pairs.selected]),
        np.concatenate([new.rank, pairs.rank]),
    )


def _pool(
    short: Shortlist,
    again: LookAgain,
    pairs: BelievedPairs,
    so_far: GoldSoFar,
    texts: Mapping[str, Document],
    wanted: Wanted,
    taxonomy: Taxonomy,
) -> Pool:
    documents = [*short.documents, *again.documents]
    shape = len(documents), len(taxonomy)
    profile = sparse.csr_matrix((pairs.probability, (pairs.row, pairs.label)), shape=shape)
    labelled = np.arange(len(documents)) >= len(short.documents)
    known: Any = so_far.profile(len(taxonomy), _MOST_KNOWN)
    places: Any = unit_rows(profile)
    if wanted.embedder is not None:
        places = _embedded([texts[name].text if name in texts else "" for name in documents], wanted.embedder)
        known = _embedded([each.text for each in spread(so_far.documents, _MOST_KNOWN)], wanted.embedder)
    ground = np.append(short.sampled, np.zeros(len(again.documents), np.bool_))
    return Pool(
        np.concatenate([short.doubt, again.doubt]),
        np.concatenate([short.disagreement, np.zeros(len(again.documents))]),
        profile,
        places,
        ground if ground.any() else np.ones(len(documents), np.bool_),
        so_far.times(len(taxonomy)),
        labelled,
        known,
    )


def _embedded(texts: Sequence[str], embedder: Embedder) -> NDArray[np.float32] | None:
    if not texts:
        return None
    vectors = embed_documents(embedder, [chunk(text, _CHUNK_CHARACTERS, _CHUNK_OVERLAP) for text in texts])
    return np.asarray(unit_rows(vectors), np.float32)


def _described(
    batch: Batch,
    documents: Sequence[str],
    pool: Pool,
    pairs: BelievedPairs,
    taxonomy: Taxonomy,
    so_far: GoldSoFar,
) -> list[NextDocument]:
    starts = np.searchsorted(pairs.row, np.arange(len(documents) + 1))
    found = []
    for place, parts in zip(batch.chosen.tolist(), batch.parts, strict=True):
        here = np.arange(starts[place], starts[place + 1])
        gold = so_far.labels.get(documents[place], frozenset())
        rows = [_suggestion(taxonomy, pairs, int(each), gold) for each in here]
        errors = [_error(each, labelled=bool(pool.labelled[place])) for each in rows]
        worst = sorted(range(len(rows)), key=lambda at: (-round(errors[at], 9), at))[:_DOUBTFUL]
        best = sorted(rows, key=lambda each: -each.probability)[:_SUGGESTED]
        best += [each for each in rows if (each.gold or each.selected) and each not in best]
        rare = sorted(best, key=lambda each: (pool.gold[taxonomy.position(each.label)], -each.probability))
        reason = PARTS[int(np.argmax(parts))]
        found.append(
            NextDocument(
                documents[place],
                bool(pool.labelled[place]),
                reason,
                dict(zip(PARTS, parts.tolist(), strict=True)),
                float(pool.doubt[place]),
                tuple(rows[at] for at in worst),
                tuple(best),
                tuple(each.name for each in rare[:_DOUBTFUL]) if reason == "tail" else (),
            )
        )
    return found


def _suggestion(taxonomy: Taxonomy, pairs: BelievedPairs, at: int, gold: frozenset[int]) -> Suggestion:
    position = int(pairs.label[at])
    label = taxonomy[position]
    return Suggestion(
        label.id, label.name, float(pairs.probability[at]), bool(pairs.selected[at]), gold=position in gold
    )


def _error(each: Suggestion, *, labelled: bool) -> float:
    """Say how probable it is that what is said of a label is wrong."""
    said = each.gold if labelled else each.selected
    return 1 - each.probability if said else each.probability


def _plain(each: Suggestion) -> dict[str, Any]:
    row: dict[str, Any] = {"label": each.label, "name": each.name, "score": round(each.probability, 4)}
    return row | {"selected": each.selected} | ({"gold": True} if each.gold else {})


def _notes(belief: Belief, committee: Committee, wanted: Wanted, without: int) -> list[str]:
    notes = []
    if belief.kind == "fitted":
        notes.append("the scores of this run are no probabilities; gold taught what score and rank are worth")
    if belief.kind == "margin":
        notes.append(
            "the scores of this run are no probabilities: doubt is how near they are to where final sets are cut. "
            "Give a run of a tuned program, or --gold of 30 documents of the run"
        )
    if committee == "none" and wanted.weights.disagreement:
        notes.append("nobody disagrees: name several runs with --run, or have voters vote")
    if without:
        notes.append(f"left out: {without:,} of the documents chosen, not in the corpus any more")
    return notes
