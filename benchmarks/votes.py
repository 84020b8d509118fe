"""How well votes are combined: three corpora with votes as given, beside Snorkel's label model, and ten million votes.

Run it with ``python benchmarks/votes.py [ws] [debtags] [scale] [--seeds 5] [--json]``. ``ws`` and ``debtags`` need the
development data (LABELMILL_DATA, or ../shared/data); Snorkel's figures are printed where it can be imported. Settings
are chosen on the validation documents, figures are of the test documents. ``scale`` draws votes of voters whose
accuracy is known, has them in a DuckDB file, and runs ``labelmill votes combine``.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from data import data_folder
from numpy.typing import NDArray
from votes_debtags import measure_debtags

from labelmill.learning.combining import combine
from labelmill.learning.dawid_skene import dawid_skene
from labelmill.learning.votes import KnownLabels, SoftLabels, Voter, Votes

CORPORA = {"ws_youtube": "accuracy", "ws_trec": "accuracy", "ws_sms": "F1"}
SPLITS = ("train", "valid", "test")
STRENGTHS = (20.0, 50.0, 200.0, 500.0, 2000.0)
Table = NDArray[np.float64]


class Corpus:
    """Votes, labels and texts of a corpus, all splits one after the other."""

    def __init__(self, name: str) -> None:
        self.name, self.metric = name, CORPORA[name]
        folder = data_folder(name)
        self.labels = [row["id"] for row in _rows(folder / "labels.jsonl.gz")]
        rows = [(split, row) for split in SPLITS for row in _rows(folder / f"docs-{split}.jsonl.gz")]
        self.split = np.array([split for split, _ in rows])
        self.texts = [row["text"] for _, row in rows]
        self.gold = np.array([self.labels.index(row["labels"][0]) for _, row in rows])
        self.matrix = np.array([[self._number(vote) for vote in row["weak_labels"]] for _, row in rows])
        self.covered = (self.matrix >= 0).any(axis=1)
        self.prior = np.bincount(self.gold[self.at("valid")], minlength=len(self.labels)) / self.at("valid").sum()
        self.positive = int(np.argmin(self.prior))  # of two labels, F1 is of the rarer one

    def _number(self, vote: Any) -> int:
        if vote is None or vote == -1:
            return -1
        return self.labels.index(vote) if isinstance(vote, str) else int(vote)

    def at(self, split: str) -> NDArray[np.bool_]:
        """Tell which documents are of a split."""
        return np.asarray(self.split == split)

    def votes(self) -> Votes:
        """Give the votes of all documents."""
        document, voter = np.nonzero(self.matrix >= 0)
        n = len(voter)
        return Votes(
            [Voter(f"rule {number}") for number in range(self.matrix.shape[1])],
            len(self.matrix),
            len(self.labels),
            voter.astype(np.int32),
            document.astype(np.int32),
            self.matrix[document, voter].astype(np.int32),
            np.ones(n, np.int8),
            np.ones(n, np.float32),
            np.zeros(n, np.int32),
        )

    def known(self) -> KnownLabels:
        """Give the gold of the validation documents."""
        rows = np.flatnonzero(self.at("valid"))
        return KnownLabels(rows, rows, self.gold[rows])

    def table(self, soft: SoftLabels) -> Table:
        """Lay soft labels out; what is not named shares what is left, as labels are shared on the valid documents."""
        found = np.zeros((len(self.gold), len(self.labels)))
        found[soft.document, soft.label] = soft.score
        left = np.maximum(1 - found.sum(axis=1, keepdims=True), 0)
        share = np.where(found > 0, 0, self.prior + 1e-9)
        return np.asarray(found + left * share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def score(corpus: Corpus, table: Table, seed: int, split: str = "test", *, covered: bool = False) -> float:
    """Compute accuracy or F1; ties are broken by chance, for they would else depend on the order of the labels."""
    noise = np.random.default_rng(seed).random(table.shape) * 1e-6
    guess = (table + noise).argmax(axis=1)
    here = corpus.at(split) & (corpus.covered | (not covered))
    return measure(corpus, guess, here)


def measure(corpus: Corpus, guess: NDArray[np.int64], here: NDArray[np.bool_]) -> float:
    guess, gold = guess[here], corpus.gold[here]
    if corpus.metric == "accuracy":
        return float((guess == gold).mean())
    return _f1(guess == corpus.positive, gold == corpus.positive)


def combiners(corpus: Corpus) -> dict[str, Callable[[int], Table]]:
    """List the ways, each from a seed to probabilities of all documents."""
    votes, known = corpus.votes(), corpus.known()

    def asked(method: str, gold: KnownLabels | None = None) -> Callable[[int], Table]:
        return lambda seed: corpus.table(combine(votes, gold, method=method, exclusive=True, seed=seed).soft)

    def tuned(_seed: int) -> Table:
        """Choose how strongly voters are drawn together on valid documents, whose gold teaches nothing else."""
        tables = [
            corpus.table(dawid_skene(votes, strength=strength, silence=silence)[0])
            for silence in (False, True)
            for strength in STRENGTHS
        ]
        return max(tables, key=lambda table: score(corpus, table, 0, "valid", covered=True))

    ways = {
        "majority": asked("majority"),
        "weighted": asked("weighted"),
        "dawid-skene": asked("dawid-skene"),
        "pool": asked("pool"),
        "dawid-skene, strength chosen on valid": tuned,
        "dawid-skene, taught by valid": asked("dawid-skene", known),
        "pool, taught by valid": asked("pool", known),
        "auto, taught by valid": asked("auto", known),
    }
    if importlib.util.find_spec("snorkel"):
        ways["Snorkel, as it comes"] = lambda seed: snorkel(corpus, seed, tune=False)
        ways["Snorkel, chosen on valid"] = lambda seed: snorkel(corpus, seed, tune=True)
    return ways


_CHOSEN: dict[tuple[str, str], Any] = {}
"""What was chosen on the validation documents with the first seed, by corpus and way."""


def snorkel(corpus: Corpus, seed: int, *, tune: bool) -> Table:
    """Fit Snorkel's label model on the training documents; its rate, its penalty and its balance chosen on valid."""
    from snorkel.labeling.model import LabelModel

    train = corpus.matrix[corpus.at("train")]
    active = (train >= 0).any(axis=0)

    def fit(choice: dict[str, Any]) -> Table:
        model = LabelModel(cardinality=len(corpus.labels), verbose=False)
        model.fit(train[:, active], seed=seed, progress_bar=False, **choice)
        table = np.asarray(model.predict_proba(corpus.matrix[:, active]))
        table[~corpus.covered] = corpus.prior
        return table

    if not tune:
        return fit({})
    place = corpus.name, "snorkel"
    if place not in _CHOSEN:
        choices = [
            {"lr": rate, "l2": penalty, "n_epochs": 500, "class_balance": balance}
            for rate in (0.01, 0.001)
            for penalty in (0.0, 0.1)
            for balance in (None, corpus.prior)
        ]
        _CHOSEN[place] = max(choices, key=lambda choice: score(corpus, fit(choice), seed, "valid", covered=True))
    return fit(_CHOSEN[place])


def end_model(corpus: Corpus, way: str, table: Table, seed: int, features: Any) -> float:
    """Train a logistic regression on the soft labels of covered training documents, and measure it on test.

    Its penalty is chosen on the validation documents with the first seed; each seed draws the documents anew.
    """
    from sklearn.linear_model import LogisticRegression

    rows = np.flatnonzero(corpus.at("train") & corpus.covered)
    rows = np.random.default_rng(seed).choice(rows, len(rows))
    labels = np.tile(np.arange(len(corpus.labels)), len(rows))
    weight = table[rows].ravel()
    kept = np.flatnonzero(weight > 0.02)
    examples = features[np.repeat(rows, len(corpus.labels))[kept]]

    def guess(strength: float) -> NDArray[np.int64]:
        found = []
        for label in range(len(corpus.labels)):
            yes = labels[kept] == label
            if not yes.any() or (len(corpus.labels) == 2 and label != corpus.positive):
                found.append(np.full(len(corpus.texts), -np.inf))
                continue
            model = LogisticRegression(C=strength, solver="liblinear")
            found.append(model.fit(examples, yes, sample_weight=weight[kept]).decision_function(features))
        table = np.stack(found, axis=1)
        if len(corpus.labels) > 2:
            return table.argmax(axis=1)
        return _cut(corpus, table[:, corpus.positive])

    place = corpus.name, way
    if place not in _CHOSEN:
        _CHOSEN[place] = max((0.1, 0.3, 1.0, 3.0), key=lambda each: measure(corpus, guess(each), corpus.at("valid")))
    return measure(corpus, guess(_CHOSEN[place]), corpus.at("test"))


def _cut(corpus: Corpus, worth: Table) -> NDArray[np.int64]:
    """Choose between two labels; where F1 is measured, the cut is chosen on valid documents."""
    best = 0.0
    if corpus.metric == "F1":
        here = corpus.at("valid")
        cuts = sorted({0.0, *np.round(worth[here], 3).tolist()}, key=abs)
        best = max(cuts, key=lambda cut: _f1(worth[here] >= cut, corpus.gold[here] == corpus.positive))
    return np.where(worth >= best, corpus.positive, 1 - corpus.positive)


def features_of(corpus: Corpus) -> Any:
    """Stack TF-IDF of words and pairs of words with MiniLM's vectors."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    from labelmill.models.embedders import load_embedder

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit_transform(corpus.texts)
    return sparse.hstack([words, sparse.csr_matrix(load_embedder("minilm").embed(corpus.texts))]).tocsr()


def measure_corpus(name: str, seeds: int, *, models: bool, only: str) -> dict[str, Any]:
    corpus = Corpus(name)
    features = features_of(corpus) if models else None
    test = corpus.at("test")
    result: dict[str, Any] = {
        "metric": CORPORA[name],
        "coverage": round(float(corpus.covered[test].mean()), 3),
        "ways": {},
    }
    for way, make in combiners(corpus).items():
        if only not in way:
            continue
        figures = []
        for seed in range(seeds):
            table = make(seed)
            every = score(corpus, table, seed), score(corpus, table, seed, covered=True)
            figures.append((*every, end_model(corpus, way, table, seed, features) if models else np.nan))
        means = np.mean(figures, axis=0)
        result["ways"][way] = dict(zip(("all", "covered", "end_model"), np.round(means, 4).tolist(), strict=True))
        print(f"{name:<11} {way:<38} all {means[0]:.3f}  covered {means[1]:.3f}  end model {means[2]:.3f}", flush=True)
    return result


def measure_scale(wanted: int) -> dict[str, Any]:
    """Combine votes of ten voters on 5,000 labels, out of a DuckDB file and into it."""
    from labelmill.pipelines.voting.combine import combine_votes
    from labelmill.store import Store
    from labelmill.store.vote_writer import VoteWriter
    from labelmill.store.votes import VoterRow
    from labelmill.taxonomy import Taxonomy

    documents, labels, share = wanted // 100, 5_000, 0.6
    random = np.random.default_rng(0)
    popular = 1 / np.arange(10, labels + 10) ** 0.7
    drawn = random.choice(labels, documents * 17, p=popular / popular.sum())
    keys = np.unique(np.repeat(np.arange(documents), 17) * labels + drawn)
    truth = random.random(len(keys)) < random.beta(2, 4, labels)[keys % labels]
    rates = random.uniform(0.55, 0.92, 10), random.uniform(0.05, 0.4, 10)
    own = [np.clip(rate[:, None] + random.normal(0, 0.05, (10, labels)), 0.02, 0.98) for rate in rates]
    taxonomy = Taxonomy.from_names([f"label {number:04}" for number in range(labels)])
    net, touched = np.zeros(len(keys)), np.zeros(len(keys), np.bool_)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "votes.duckdb"
        with Store(path, write=True) as store:
            voters = [VoterRow(f"voter {number}", "imported", silence=False) for number in range(10)]
            writer = VoteWriter(store, voters, taxonomy, "0")
            shown = f"SELECT 'd' || lpad(range::VARCHAR, 7, '0') AS document FROM range({documents})"
            writer.copy(shown, "SELECT * FROM votes LIMIT 0", {})
            for voter in range(10):
                here = np.flatnonzero(random.random(len(keys)) < share)
                odds = np.where(truth[here], *(rate[voter, keys[here] % labels] for rate in own))
                sign = np.where(random.random(len(here)) < odds, 1, -1).astype(np.int8)
                net[here] += sign
                touched[here] = True
                columns = {"document": keys[here] // labels, "label": keys[here] % labels, "sign": sign}
                with store.view("drawn", columns):
                    writer.copy(
                        f"{shown} LIMIT 0",
                        "SELECT $voter, 'd' || lpad(document::VARCHAR, 7, '0'), "
                        "'label ' || lpad(label::VARCHAR, 4, '0'), sign, 1, 0 FROM drawn",
                        {"voter": f"voter {voter}"},
                    )
            writer.finish()
        began, cpu = time.monotonic(), time.process_time()
        done = combine_votes(path, method="dawid-skene", run="soft")
        seconds, work = time.monotonic() - began, time.process_time() - cpu
        soft = done.combination.soft
    found = np.zeros(len(keys))
    place = np.searchsorted(keys, soft.document * labels + soft.label)
    found[place] = soft.score
    yes, true = found[touched], truth[touched]
    bins = np.array_split(np.argsort(yes), 15)
    return {
        "votes": len(done.election.votes),
        "documents": documents,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(work, 1),
        "steps": {name: round(value, 1) for name, value in done.seconds.items()},
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "ece": round(float(sum(abs(yes[b].mean() - true[b].mean()) * len(b) for b in bins) / len(yes)), 4),
        "f1": round(_f1(yes > 0.5, true), 4),
        "f1_majority": round(_f1(net[touched] > 0, true), 4),
    }


def _f1(yes: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return float(2 * (yes & true).sum() / max(yes.sum() + true.sum(), 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="*", help="ws, debtags, scale; all by default")
    parser.add_argument("--corpus", action="append", help=f"of {', '.join(CORPORA)}; all by default")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--votes", type=int, default=10_000_000)
    parser.add_argument("--documents", type=int, default=400, help="of debtags")
    parser.add_argument(
        "--asked", type=int, default=50, help="documents of debtags that the embedded model is asked of"
    )
    parser.add_argument("--no-end-model", action="store_true")
    parser.add_argument("--way", default="", help="only the ways whose name has this in it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    parts = arguments.part or ["ws", "debtags", "scale"]
    found: dict[str, Any] = {}
    if "scale" in parts:
        found["scale"] = measure_scale(arguments.votes)
        print(found["scale"])
    if "debtags" in parts:
        found["debtags"] = measure_debtags(arguments.documents, arguments.asked)
    if "ws" in parts:
        for name in arguments.corpus or CORPORA:
            found[name] = measure_corpus(name, arguments.seeds, models=not arguments.no_end_model, only=arguments.way)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
