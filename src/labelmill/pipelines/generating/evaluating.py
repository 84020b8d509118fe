"""How good a taxonomy is for a corpus: coverage, redundancy, agreement with gold groups, judgement by a model.

Documents are put under labels in two ways: under that whose supporting documents are nearest, where the report of
`generate` lies beside the taxonomy; and by labelling them, as `labelmill label` does, with the first label. The line to
compare with is k-means on the vectors of the very documents, which no taxonomy has seen.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.eval.agreement import Agreement, agreement, near_duplicates
from labelmill.eval.preference import Preference
from labelmill.models.client import ChatModel
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.generating.drafts import Vectors
from labelmill.pipelines.generating.drawing import embed
from labelmill.pipelines.generating.generate import load
from labelmill.pipelines.generating.judging import Pair, judge_pairs
from labelmill.pipelines.generating.progress import OnStep, StepProgress
from labelmill.pipelines.generating.writing import Files, centroid_of, read_report
from labelmill.pipelines.labeler import Labeler
from labelmill.pipelines.loop import run_to_end
from labelmill.pipelines.progress import RunProgress
from labelmill.pipelines.whole import MOST_LABELS as MOST_SHOWN_WHOLE
from labelmill.prompts.card import TaskCard
from labelmill.records import Document
from labelmill.retrievers.base import Embedder
from labelmill.store import Store
from labelmill.taxonomy import Taxonomy

ALIKE = 0.9
"""Cosine of two names' vectors from which the labels are near-duplicates."""

SAME_DOCUMENTS = 0.95
"""Cosine of two labels' centroids from which they are."""

BY_SUPPORT = "nearest supporting documents"
BY_LABELLING = "labelling, first label"


@dataclass(frozen=True, slots=True)
class Way:
    """What one way of putting documents under labels gives.

    Attributes:
        name: The way.
        labels: Labels, or clusters, that got a document.
        coverage: Share of the documents that a label fits: none are left out by k-means.
        agreement: With the gold groups, of the documents that have exactly one; None where none has.
    """

    name: str
    labels: int
    coverage: float | None
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class TaxonomyEvaluation:
    """What was found.

    Attributes:
        labels: Without narrower ones, which are those that documents get.
        documents: That were read.
        unreadable: Rows that are no documents.
        several: Documents with more than one gold label, left out of the agreement.
        ways: The ways of putting documents under labels, and the lines to compare with.
        redundant: Pairs of labels that say or hold the same, and how alike they are.
        judged: What a model prefers: the label that a document got, or another.
        unjudged: Pairs without an answer.
        against: What the other label was.
        failed: Documents that could not be labelled.
        notes: What a person should know.
    """

    labels: int
    documents: int
    unreadable: int
    several: int
    ways: tuple[Way, ...]
    redundant: tuple[tuple[str, str, float, str], ...]
    judged: Preference | None = None
    unjudged: int = 0
    against: str = ""
    failed: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def redundancy(self) -> float:
        """Share of the labels that are near-duplicates of another."""
        return len({name for pair in self.redundant for name in pair[:2]}) / max(1, self.labels)

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self) | {
            "redundancy": self.redundancy,
            "redundant": [
                {"labels": [first, second], "cosine": round(cosine, 4), "of": what}
                for first, second, cosine, what in self.redundant
            ],
        }


@dataclass(frozen=True, slots=True)
class _Assigned:
    """A label's position for each document, -1 for none, and which of them count as covered."""

    labels: NDArray[np.int64]
    covered: NDArray[np.bool_]
    failed: int = 0


@dataclass(frozen=True, slots=True)
class _Support:
    """The labels' centroids, out of a report, and how far their own documents reach."""

    vectors: Vectors
    reach: NDArray[np.float64]
    use_case: str

    @classmethod
    def read(cls, path: Path, taxonomy: Taxonomy, leaves: Sequence[int], embedder: Embedder) -> _Support | str:
        """Read them; or say why they cannot be used."""
        report = read_report(Files.beside(path).report)
        if report is None:
            return "there is no report of `generate` beside the taxonomy"
        if report.get("taxonomy") != taxonomy.key:
            return "the taxonomy was changed since it was generated"
        settings = report.get("settings", {})
        if settings.get("fingerprint") != embedder.fingerprint:
            return f"it was generated with the embedder {settings.get('embedder')!r}"
        labels = [report["labels"][taxonomy[place].id] for place in leaves]
        vectors = [centroid_of(label["centroid"]) for label in labels]
        if any(vector is None for vector in vectors):
            return "its report is damaged"
        reach = np.array([float(label["reach"]) for label in labels])
        return cls(np.stack([v for v in vectors if v is not None]), reach, str(settings.get("use_case", "")))

    def assign(self, vectors: Vectors) -> _Assigned:
        """Put each document under the nearest label; it is covered where the label's own documents are as far away."""
        near = vectors @ self.vectors.T
        labels = np.argmax(near, axis=1)
        return _Assigned(labels, near[np.arange(len(labels)), labels] >= self.reach[labels])


def evaluate_taxonomy(
    path: str | Path,
    corpus: Corpus,
    *,
    lm: str | Sequence[str] | ChatModel = "none",
    embedder: str | Embedder = "minilm",
    task: TaskCard | str | Path | None = None,
    against: str | Path | None = None,
    judged: int = 100,
    seed: int = 0,
    on_step: OnStep = lambda _: None,
) -> TaxonomyEvaluation:
    """Evaluate a taxonomy on documents, which should not be those that it was made of.

    Args:
        path: The taxonomy.
        corpus: The documents; their gold groups, if they have them, need not be labels of the taxonomy.
        lm: A model that labels and judges; see `Labeler`.
        embedder: Makes the vectors.
        task: The task card.
        against: Another taxonomy, whose label for a document the model compares; a label at random, where there is
            none.
        judged: Documents that the model is asked about at most.
        seed: Of what is drawn.
        on_step: Told how far it is.

    Raises:
        InputError: A file cannot be used, or the corpus has no document.
        ModelError: The model cannot be asked.
    """
    path = Path(path)
    taxonomy = Taxonomy.read(path)
    leaves = leaves_of(taxonomy)
    if corpus.is_stream:
        raise InputError("standard input can be read but once", remedy="Give a file.")
    items = list(corpus.documents())
    documents = [item for item in items if isinstance(item, Document)]
    if not documents:
        raise InputError("the corpus has no document that can be read", remedy="See: labelmill label … --dry-run.")
    card = task if isinstance(task, TaskCard) else TaskCard.read(task) if task else TaskCard()
    loaded = load(embedder)
    vectors = embed(loaded, documents, on_step)
    gold, several = _gold(documents)
    support = _Support.read(path, taxonomy, leaves, loaded)
    notes = [f"{BY_SUPPORT}: {support}"] if isinstance(support, str) else []
    if not any(document.labels for document in documents):
        notes.append(f"no document has a label in the field {corpus.labels_field!r}: no agreement is measured")
    narrow = Taxonomy.from_labels([taxonomy[place] for place in leaves])
    found: dict[str, _Assigned] = {}
    if isinstance(support, _Support):
        found[BY_SUPPORT] = support.assign(vectors)
    found[BY_LABELLING] = _labelled(narrow, path, corpus, documents, lm, loaded, card, on_step)
    measured_coverage = {BY_SUPPORT, *([BY_LABELLING] if _asks(lm) else [])}
    ways = [_way(name, each, gold, covers=name in measured_coverage) for name, each in found.items()]
    ways += _references(vectors, gold, sorted({way.labels for way in ways}), seed)
    redundant = _redundant(narrow, loaded, support if isinstance(support, _Support) else None)
    judgement: dict[str, Any] = {}
    if _asks(lm) and judged and len(narrow) > 1:
        use_case = support.use_case if isinstance(support, _Support) else ""
        first = next(iter(found.values())).labels
        pairs, other = _pairs(narrow, documents, first, against, vectors, loaded, judged, seed)
        with ExitStack() as resources:
            connection = run_to_end(lambda: Connection.find(lm, resources))
            verdict, unjudged = judge_pairs(pairs, connection, Files.beside(path).judged, card, use_case, on_step)
        judgement = {"judged": verdict, "unjudged": unjudged, "against": other}
    failed = sum(each.failed for each in found.values())
    return TaxonomyEvaluation(
        labels=len(narrow),
        documents=len(documents),
        unreadable=len(items) - len(documents),
        several=several,
        ways=tuple(ways),
        redundant=redundant,
        failed=failed,
        notes=notes,
        **judgement,
    )


def leaves_of(taxonomy: Taxonomy) -> list[int]:
    """List the labels that have no narrower ones."""
    return [place for place in range(len(taxonomy)) if not taxonomy.children(place)]


def _asks(lm: str | Sequence[str] | ChatModel) -> bool:
    return lm not in ("none", ["none"])


def _gold(documents: Sequence[Document]) -> tuple[NDArray[np.int64], int]:
    """Number the gold group of each document that has exactly one, -1 for the others; and count those with several."""
    own = [set(document.labels or ()) for document in documents]
    known = {name: number for number, name in enumerate(sorted(set().union(*own)))}
    groups = [known[next(iter(labels))] if len(labels) == 1 else -1 for labels in own]
    return np.array(groups, np.int64), sum(len(labels) > 1 for labels in own)


def _way(name: str, assigned: _Assigned, gold: NDArray[np.int64], *, covers: bool) -> Way:
    """Measure one way; documents without a label are a group of their own."""
    return Way(
        name,
        len(np.unique(assigned.labels[assigned.labels >= 0])),
        float(assigned.covered.mean()) if covers else None,
        agreement(assigned.labels[gold >= 0], gold[gold >= 0]) if (gold >= 0).any() else None,
    )


def _references(vectors: Vectors, gold: NDArray[np.int64], counts: Sequence[int], seed: int) -> list[Way]:
    """Cluster the documents themselves by plain k-means, into as many groups as there are labels and gold groups."""
    from sklearn.cluster import KMeans

    known = gold >= 0
    if not known.any():
        return []
    ways = []
    for count in sorted({*counts, len(np.unique(gold[known]))}):
        if 1 < count <= len(vectors):
            of = KMeans(count, n_init=4, random_state=seed).fit_predict(vectors).astype(np.int64)
            ways.append(Way(f"k-means on these documents, k = {count}", count, None, agreement(of[known], gold[known])))
    return ways


def _labelled(
    taxonomy: Taxonomy,
    path: Path,
    corpus: Corpus,
    documents: Sequence[Document],
    lm: str | Sequence[str] | ChatModel,
    embedder: Embedder,
    card: TaskCard,
    on_step: OnStep,
) -> _Assigned:
    """Label the documents, and take the first label of each; with a model, only what it chose.

    A model's answers are kept beside the taxonomy, so that the same command goes on.
    """
    asks = _asks(lm)
    rank: Any = ("whole" if len(taxonomy) <= MOST_SHOWN_WHOLE else "listwise") if asks else "fusion"
    shown = StepProgress("documents labelled", len(documents))

    def progress(run: RunProgress) -> None:
        shown.done, shown.reused = run.done + run.failed + run.skipped, run.skipped
        on_step(shown)

    with tempfile.TemporaryDirectory() as scratch:
        out = Files.beside(path).labelled if asks else Path(scratch) / "labelled.duckdb"
        with Labeler(taxonomy, lm=lm, infer="windows", rank=rank, embedders=[embedder], task=card) as labeler:
            run = f"eval-{labeler.run_name(corpus)}"
            labeler.label_corpus(corpus, out, run=run, on_progress=progress)
        with Store(out) as store:
            query = "SELECT document, label FROM predictions WHERE run = ? AND rank = 1 AND (selected OR NOT ?)"
            first = dict(store.connection.execute(query, [run, asks]).fetchall())
            failed = store.first("SELECT count(*) FROM failures WHERE run = ? AND stage <> 'read'", [run])
    labels = np.array([taxonomy.position(first[each.id]) if each.id in first else -1 for each in documents], np.int64)
    return _Assigned(labels, labels >= 0, int(failed[0]) if failed else 0)


def _redundant(
    taxonomy: Taxonomy, embedder: Embedder, support: _Support | None
) -> tuple[tuple[str, str, float, str], ...]:
    """List labels that say the same, by their names, or hold the same, by their documents."""
    named = {pair[:2]: (pair[2], "names") for pair in near_duplicates(embedder.embed(taxonomy.names), ALIKE)}
    if support is not None:
        for first, second, cosine in near_duplicates(support.vectors, SAME_DOCUMENTS):
            named.setdefault((first, second), (cosine, "documents"))
    return tuple(
        (taxonomy[first].name, taxonomy[second].name, cosine, of)
        for (first, second), (cosine, of) in sorted(named.items(), key=lambda item: -item[1][0])
    )


def _pairs(
    taxonomy: Taxonomy,
    documents: Sequence[Document],
    labels: NDArray[np.int64],
    against: str | Path | None,
    vectors: Vectors,
    embedder: Embedder,
    most: int,
    seed: int,
) -> tuple[list[Pair], str]:
    """Draw documents, each with its label and another one."""
    chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
    places = [place for place in range(len(documents)) if labels[place] >= 0]
    chance.shuffle(places)
    if against is None:
        pairs = []
        for place in places[:most]:
            own = int(labels[place])
            other = chance.choice([at for at in range(len(taxonomy)) if at != own])
            pairs.append(Pair(documents[place], taxonomy[own], taxonomy[other]))
        return pairs, "another label, drawn"
    rival = Taxonomy.read(against)
    narrow = Taxonomy.from_labels([rival[at] for at in leaves_of(rival)])
    support = _Support.read(Path(against), rival, leaves_of(rival), embedder)
    if isinstance(support, _Support):
        theirs = support.assign(vectors).labels
    else:
        words = embedder.embed([f"{label.name}. {label.description}" for label in narrow])
        theirs = np.argmax(vectors @ words.T, axis=1)
    return [Pair(documents[p], taxonomy[int(labels[p])], narrow[int(theirs[p])]) for p in places[:most]], str(against)
