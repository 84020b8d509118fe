"""What `labelmill next` is worth: simulated annotation, mistakes found again, and a run of a million documents.

Run it with ``python benchmarks/active.py [learn] [relabel] [scale] [--corpus debtags|nlupp]... [--seeds 10]
[--ways all] [--tune] [--dev] [--json]``. ``learn`` and ``relabel`` need the development data (LABELMILL_DATA, or
../shared/data). A pool of documents without gold is drawn from the training part with each seed; who is asked for
labels is its gold. After 50, 100 and 200 documents a learner is measured on test documents: a regression on the untuned
program's ranking, a classifier and the nearest labelled documents (seconds in place of the minutes of `tune`, which
learns of the same and more; ``--tune`` has `tune` itself learn of 100). The learner labels the pool anew after each
round, as a person would have it. ``--dev`` measures on development documents instead, to choose weights by.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from data import data_folder, show_building
from numpy.typing import NDArray
from scipy import stats

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import chunk, read_documents
from labelmill.eval import Gold, Rankings, evaluate
from labelmill.learning.acquisition import Weights
from labelmill.models.embedders import load_embedder
from labelmill.pipelines.acquiring import next_documents
from labelmill.pipelines.acquiring.acquire import Wanted
from labelmill.pipelines.gold import GoldCorpus
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.classifier import Classifier
from labelmill.retrievers.neighbours import Neighbours
from labelmill.store import RunWriter, Store
from labelmill.store.combined import CombinedLabels, write_combined

SIZES = (50, 100, 200)
TUNED = 100
DEPTH = 20
FOLDS = 5
POOL, TEST, READ = 700, 300, 1000
WAYS = {
    "next": Weights(),
    "uncertainty alone": Weights(1, 0, 0, 0),
    "disagreement alone": Weights(0, 1, 0, 0),
    "tail alone": Weights(0, 0, 1, 0),
    "diversity alone": Weights(0, 0, 0, 1),
    "without uncertainty": Weights(0, 0.5, 1, 1),
    "without disagreement": Weights(1, 0, 1, 1),
    "without tail": Weights(1, 0.5, 0, 1),
    "without diversity": Weights(1, 0.5, 1, 0),
}
Ranking = list[tuple[int, float]]


class Known:
    """An embedder that has embedded all pieces of all documents before."""

    def __init__(self, embedder: Embedder, documents: Sequence[Document]) -> None:
        self.name, self.fingerprint = embedder.name, embedder.fingerprint
        self._embedder = embedder
        texts = list(dict.fromkeys(piece for each in documents for piece in chunk(each.text, 1200, 100)))
        self._known = dict(zip(texts, embedder.embed(texts), strict=True))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Look vectors up."""
        return np.stack([self._known[text] for text in texts])


@dataclass
class Corpus:
    """Documents with gold and the untuned program's ranking of each."""

    name: str
    taxonomy: Taxonomy
    train: list[Document]
    test: list[Document]
    embedder: Known
    plain: dict[str, Ranking]
    gold: dict[str, list[int]]

    @classmethod
    def read(cls, name: str, *, dev: bool) -> Corpus:
        """Read documents, and label all of them without gold."""
        folder = data_folder(name)
        taxonomy = Taxonomy.read(folder / "labels.jsonl.gz")
        if name == "nlupp":
            documents = _labelled(folder / "docs-banking.jsonl.gz")
            order = np.random.default_rng(0).permutation(len(documents))
            documents = [documents[place] for place in order]
            train, test = documents[TEST:][:READ], documents[:TEST]
        else:
            every = _labelled(folder / "docs-train.jsonl.gz")
            order = np.random.default_rng(0).permutation(len(every))
            every = [every[place] for place in order]
            train = [replace(each, id=f"train-{each.id}") for each in every[:READ]]
            test = _labelled(folder / ("docs-dev.jsonl.gz" if dev else "docs-test.jsonl.gz"))[:TEST]
        if dev and name == "nlupp":
            train, test = train[:-TEST], train[-TEST:]
        labeler = Labeler(taxonomy, progress=show_building)
        place = {label.id: position for position, label in enumerate(taxonomy)}
        everything = [*train, *test]
        rows = labeler.label([each.text for each in everything], ranked=True)
        plain = {
            each.id: [(place[one.label], one.score) for one in row[:DEPTH]]
            for each, row in zip(everything, rows, strict=True)
        }
        gold = {each.id: [taxonomy.resolve(text) for text in each.labels or ()] for each in everything}
        return cls(name, taxonomy, train, test, Known(load_embedder("minilm"), everything), plain, gold)

    def learn(self, taught: Sequence[Document], gold: dict[str, list[int]]) -> Learner:
        """Learn of documents with gold."""
        return Learner(self, taught, gold)

    def measure(self, rankings: Sequence[Ranking], documents: Sequence[Document]) -> float:
        """Compute RP@5."""
        found = Rankings.from_lists(
            [[one for one, _ in row] for row in rankings], [[False] * len(row) for row in rankings]
        )
        gold = Gold.from_lists([self.gold[each.id] for each in documents])
        return float(evaluate(found, gold, n_labels=len(self.taxonomy), ks=(5,), resamples=1).metrics["rp@5"].value)


class Learner:
    """A regression on what the untuned program, a classifier and the nearest labelled documents say of a label."""

    def __init__(self, corpus: Corpus, taught: Sequence[Document], gold: dict[str, list[int]]) -> None:
        from sklearn.linear_model import LogisticRegression

        texts = [chunk(each.text, 1200, 100) for each in taught]
        labels = [gold[each.id] for each in taught]
        self._plain = corpus.plain
        self._lanes = [Classifier(corpus.embedder, texts, labels), Neighbours(corpus.embedder, texts, labels)]
        folds = [list(range(fold, len(taught), FOLDS)) for fold in range(FOLDS)]
        self._own = {each.id: folds[place % FOLDS] for place, each in enumerate(taught)}
        found = [self._evidence(each) for each in taught]
        right = [label in set(own) for (names, _), own in zip(found, labels, strict=True) for label in names]
        rows = np.concatenate([columns for _, columns in found])
        self._mean, self._scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
        self._model = LogisticRegression(max_iter=1000).fit((rows - self._mean) / self._scale, right)

    def rank(self, documents: Sequence[Document]) -> list[Ranking]:
        """Rank labels of documents, with probabilities; what documents of its fold taught does not count for one."""
        rankings = []
        for each in documents:
            names, columns = self._evidence(each)
            sure = self._model.predict_proba((columns - self._mean) / self._scale)[:, 1]
            order = np.lexsort((names, -sure))[:DEPTH]
            rankings.append([(int(names[place]), float(sure[place])) for place in order])
        return rankings

    def _evidence(self, document: Document) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """List the labels that any of the three names, each with its score and its reciprocal rank by each."""
        query, own = [chunk(document.text, 1200, 100)], [self._own.get(document.id, [])]
        lists = [self._plain[document.id]]
        for lane in self._lanes:
            hits = lane.retrieve(query, DEPTH, own)[0]
            lists.append(list(zip(hits.labels.tolist(), hits.scores.tolist(), strict=True)))
        names = np.array(sorted({label for ranking in lists for label, _ in ranking}), np.int64)
        columns = np.zeros((len(names), 2 * len(lists)))
        for place, ranking in enumerate(lists):
            for rank, (label, score) in enumerate(ranking):
                columns[np.searchsorted(names, label), 2 * place : 2 * place + 2] = score, 1 / (1 + rank)
        return names, columns


def _labelled(path: Path) -> list[Document]:
    return [item for item in read_documents([path]) if isinstance(item, Document) and item.labels]


def write_run(
    path: Path, name: str, corpus: Corpus, documents: Sequence[Document], rankings: Sequence[Ranking]
) -> None:
    """Write rankings as a run; the first five are its final sets. Those of a learner are probabilities."""
    ids = [label.id for label in corpus.taxonomy]
    order = sorted(range(len(documents)), key=lambda place: documents[place].id)
    rows = [(row, rank, *each) for row, place in enumerate(order) for rank, each in enumerate(rankings[place], 1)]
    row, rank, label, score = (np.array(column) for column in zip(*rows, strict=True))
    columns = CombinedLabels(
        [documents[place].id for place in order],
        row.astype(np.int64),
        np.array([ids[each] for each in label], dtype=np.object_),
        rank.astype(np.int32),
        score.astype(np.float64),
        rank <= 5,
    )
    program: dict[str, Any] = {"infer": "windows", "rank": "fusion", "model": "", "top_k": 5}
    if name == "learned":
        program["calibration"] = {"kind": "none"}
    with Store(path, write=True) as store:
        writer = RunWriter(
            store,
            run=name,
            key=name,
            program=program,
            taxonomy=corpus.taxonomy,
            taxonomy_source="",
            corpus=[],
            version="0",
        )
        write_combined(store, writer, name, columns, [], lambda _done, _total: None)
        writer.close("finished", 0.0)


def simulate(corpus: Corpus, weights: Weights | None, seed: int, *, tuned: bool) -> list[float]:
    """Ask for labels round by round, of documents that are chosen or drawn; measure after each."""
    random = np.random.default_rng(seed)
    pool = [
        corpus.train[place] for place in random.choice(len(corpus.train), min(POOL, len(corpus.train) * 2 // 3), False)
    ]
    by_id = {each.id: each for each in pool}
    order = [pool[place] for place in random.permutation(len(pool))]
    chosen: list[Document] = []
    figures = []
    for size in (TUNED,) if tuned else SIZES:
        if weights is None:
            chosen = order[:size]
        else:
            for step in (50, 100) if tuned else (size,):
                chosen += [by_id[name] for name in ask(corpus, pool, chosen, step - len(chosen), weights)]
        if tuned:
            figures.append(measure_tuned(corpus, chosen))
        else:
            learner = corpus.learn(chosen, corpus.gold)
            figures.append(corpus.measure(learner.rank(corpus.test), corpus.test))
    return figures


def ask(
    corpus: Corpus, pool: Sequence[Document], chosen: Sequence[Document], count: int, weights: Weights
) -> list[str]:
    """Have `next` choose, out of a run of what is known so far, beside the untuned program's run."""
    taken = {each.id for each in chosen}
    left = [each for each in pool if each.id not in taken]
    with tempfile.TemporaryDirectory() as scratch:
        path, names = Path(scratch) / "runs.duckdb", ["plain"]
        write_run(path, "plain", corpus, left, [corpus.plain[each.id] for each in left])
        if chosen:
            names = ["learned", "plain"]
            write_run(path, "learned", corpus, left, corpus.learn(chosen, corpus.gold).rank(left))
        gold = GoldCorpus(tuple(chosen)) if chosen else None
        found = next_documents(path, gold, Wanted(count, names, weights=weights))
    return [each.document for each in found.documents]


def measure_tuned(corpus: Corpus, chosen: Sequence[Document]) -> float:
    """Have `tune` learn, label the test documents with its program, and compute RP@5."""
    from labelmill.pipelines.tuning import tune

    program = tune(corpus.taxonomy, chosen)
    labeler = Labeler(corpus.taxonomy, program=program)
    place = {label.id: position for position, label in enumerate(corpus.taxonomy)}
    rows = labeler.label([each.text for each in corpus.test], ranked=True)
    return corpus.measure([[(place[one.label], one.score) for one in row] for row in rows], corpus.test)


def measure_learning(corpus: Corpus, seeds: int, ways: Sequence[str], *, tuned: bool) -> dict[str, Any]:
    sizes = (TUNED,) if tuned else SIZES
    base = corpus.measure([corpus.plain[each.id] for each in corpus.test], corpus.test)
    random = np.array([simulate(corpus, None, seed, tuned=tuned) for seed in range(seeds)])
    print(f"{corpus.name}: RP@5 on {len(corpus.test)} documents, {seeds} seeds; without gold {100 * base:.1f}")
    _print("random", random, None, sizes)
    result: dict[str, Any] = {"without_gold": base, "random": random.tolist()}
    for way in ways:
        found = np.array([simulate(corpus, WAYS[way], seed, tuned=tuned) for seed in range(seeds)])
        _print(way, found, random, sizes)
        result[way] = found.tolist()
    return result


def _print(name: str, found: NDArray[np.float64], random: NDArray[np.float64] | None, sizes: Sequence[int]) -> None:
    cells = []
    for column, size in enumerate(sizes):
        cell = f"{size}: {100 * found[:, column].mean():.1f}"
        if random is not None:
            gains = 100 * (found[:, column] - random[:, column])
            half = stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
            cell += f" ({gains.mean():+.1f} ± {half:.1f})"
        cells.append(cell)
    print(f"  {name:<22} {'   '.join(cells)}", flush=True)


def measure_relabelling(corpus: Corpus, seeds: int) -> dict[str, Any]:
    """Plant mistakes in a tenth of 500 gold documents, and count how many of these come among the first."""
    from labelmill.pipelines.suspects import suspects_of_run

    counts, total = (25, 50, 100), 500
    shares: dict[str, list[list[float]]] = {"next --among gold": [], "eval --suspects": []}
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        documents = [corpus.train[place] for place in random.choice(len(corpus.train), total, replace=False)]
        gold = {each.id: list(corpus.gold[each.id]) for each in documents}
        spoiled = {documents[place].id for place in random.choice(total, total // 10, replace=False)}
        for name in sorted(spoiled):
            gold[name] = _spoil(corpus, gold[name], [label for label, _ in corpus.plain[name]], random)
        ids = [label.id for label in corpus.taxonomy]
        told = [replace(each, labels=tuple(ids[label] for label in gold[each.id])) for each in documents]
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "runs.duckdb"
            write_run(path, "learned", corpus, told, corpus.learn(told, gold).rank(told))
            chosen = next_documents(path, GoldCorpus(tuple(told)), Wanted(max(counts), among="gold")).documents
            suspects = suspects_of_run(path, GoldCorpus(tuple(told)), count=100_000)
        by_suspects = list(dict.fromkeys(each.document for each in _mixed(suspects.wrong, suspects.missing)))
        for name, order in (
            ("next --among gold", [each.document for each in chosen]),
            ("eval --suspects", by_suspects),
        ):
            shares[name].append([len(spoiled & set(order[:count])) / len(spoiled) for count in counts])
    print(f"{corpus.name}: of 50 spoiled among 500 documents with gold, found in the first {counts}; {seeds} seeds")
    print(f"  {'random':<22} {'   '.join(f'{100 * count / total:.0f}' for count in counts)}")
    for name, rows in shares.items():
        table = 100 * np.array(rows)
        half = stats.t.ppf(0.975, seeds - 1) * table.std(axis=0, ddof=1) / np.sqrt(seeds)
        cells = [f"{mean:.0f} ± {each:.0f}" for mean, each in zip(table.mean(axis=0), half, strict=True)]
        print(f"  {name:<22} {'   '.join(cells)}", flush=True)
    return shares


def _mixed(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    found = [each for pair in zip(first, second, strict=False) for each in pair]
    return [*found, *first[len(second) :], *second[len(first) :]]


def _spoil(corpus: Corpus, labels: list[int], plausible: list[int], random: np.random.Generator) -> list[int]:
    """Make one mistake: another label in place of one, a plausible one or any; a label too many; a label too few."""
    kind = random.integers(3 if len(labels) > 1 else 2)
    others = [
        label for label in (plausible if random.random() < 0.5 else range(len(corpus.taxonomy))) if label not in labels
    ]
    kept = list(labels)
    if kind != 1:
        kept.pop(int(random.integers(len(kept))))
    return kept if kind == 2 else [*kept, int(random.choice(others))]


def measure_scale(documents: int) -> dict[str, Any]:
    """Choose 50 out of a run with ten labels of each of many documents."""
    labels = 5000
    taxonomy = Taxonomy.from_names([f"label {number:04}" for number in range(labels)])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "runs.duckdb"
        with Store(path, write=True) as store:
            program = {"infer": "windows", "rank": "fusion", "model": "", "calibration": {"kind": "none"}}
            writer = RunWriter(
                store,
                run="many",
                key="many",
                program=program,
                taxonomy=taxonomy,
                taxonomy_source="",
                corpus=[],
                version="0",
            )
            with store.transaction():
                store.connection.execute(
                    "INSERT INTO documents SELECT 'many', 'd' || range, md5(range::VARCHAR), '', 1, [], '', 1 "
                    "FROM range(?)",
                    [documents],
                )
            for start in range(0, documents, 100_000):
                with store.transaction():
                    store.connection.execute(
                        "INSERT INTO predictions SELECT 'many', 'd' || d, "
                        "'label ' || lpad((hash(d * 31 + r) % 5000)::VARCHAR, 4, '0'), r, "
                        "(hash(d * 17 + 3) % 1000) / 1000 / r, r <= 3, r, 0.5, "
                        "[{'lane': 'a', 'rank': r, 'score': 1::FLOAT, 'query': ''}, "
                        "{'lane': 'b', 'rank': (hash(d + r) % 9)::INTEGER + 1, 'score': 1::FLOAT, 'query': ''}], 1 "
                        "FROM range(?, ?) AS t(d), range(1, 11) AS s(r)",
                        [start, min(start + 100_000, documents)],
                    )
            writer.close("finished", 0.0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        began = time.monotonic()
        found = next_documents(path, None, Wanted(50))
        return {
            "documents": documents,
            "labels": documents * 10,
            "chosen": len(found.documents),
            "seconds": round(time.monotonic() - began, 1),
            "peak_gb_before": round(before, 2),
            "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="*", help="learn, relabel, scale; all by default")
    parser.add_argument("--corpus", action="append", help="debtags, nlupp; both by default")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--ways", default="next", help=f"all, or some of {', '.join(WAYS)}, separated by commas")
    parser.add_argument("--tune", action="store_true", help="learn with `tune`, of 100 documents")
    parser.add_argument("--dev", action="store_true", help="measure on development documents")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    parts = arguments.part or ["learn", "relabel", "scale"]
    ways = list(WAYS) if arguments.ways == "all" else arguments.ways.split(",")
    found: dict[str, Any] = {}
    if "scale" in parts:
        found["scale"] = measure_scale(arguments.documents)
        print(found["scale"], flush=True)
    for name in (arguments.corpus or ["debtags", "nlupp"]) if {"learn", "relabel"} & set(parts) else []:
        corpus = Corpus.read(name, dev=arguments.dev)
        if "learn" in parts:
            found[f"learn {name}"] = measure_learning(corpus, arguments.seeds, ways, tuned=arguments.tune)
        if "relabel" in parts:
            found[f"relabel {name}"] = measure_relabelling(corpus, arguments.seeds)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
