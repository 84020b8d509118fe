"""How well generated taxonomies agree with gold intents on documents held out, with and without a language model.

Run it with ``python benchmarks/generated_taxonomy.py [banking77] [multidogo] [--lm none] [--lm embedded] [--json]``. It
needs the development data (LABELMILL_DATA, or ../shared/data). Labels are made of training documents; the test
documents are put under the label whose supporting documents are nearest. The line to compare with is k-means on the
vectors of the same training documents (scikit-learn, ten restarts), with as many clusters, the test documents put under
the nearest mean. Of multidogo, conversations with exactly one intent count.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from data import data_folder

from labelmill.corpus import Corpus
from labelmill.eval.agreement import Agreement, agreement
from labelmill.learning.clusters import unit
from labelmill.models.embedders import load_embedder
from labelmill.pipelines.generating import Generated, StepProgress, generate
from labelmill.pipelines.generating.drawing import embed
from labelmill.pipelines.generating.tree import walk
from labelmill.records import Document
from labelmill.taxonomy import check

USE_CASES = {
    "banking77": "route the questions of a bank's customers to the team that answers them",
    "multidogo": "route customers of airlines, banks, insurers, shops and others to what they ask for",
}
TITLES = ("labels", "NMI", "ARI", "purity", "accuracy", "seconds", "requests")


def show(step: StepProgress) -> None:
    if step.done in {1, step.total} or step.done % 50 == 0:
        print(f"{step.what}: {step.done} of {step.total}, {step.rate:.1f}/s", file=sys.stderr)


def held_out(folder: Path, limit: int | None) -> list[Document]:
    """Read test documents with exactly one gold intent."""
    items = Corpus([folder / "docs-test.jsonl.gz"], limit).documents()
    return [item for item in items if isinstance(item, Document) and len(set(item.labels or ())) == 1]


def gold_of(documents: list[Document]) -> np.ndarray:
    names = sorted({(document.labels or ("",))[0] for document in documents})
    return np.array([names.index((document.labels or ("",))[0]) for document in documents])


def by_support(made: Generated, vectors: np.ndarray) -> np.ndarray:
    """Put vectors under the narrowest label whose supporting documents are nearest."""
    leaves = [group for group, _ in walk(made.groups) if not group.children]
    return np.argmax(vectors @ np.stack([group.centroid for group in leaves]).T, axis=1)


def by_k_means(train: np.ndarray, vectors: np.ndarray, count: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    of = KMeans(count, n_init=10, random_state=0).fit_predict(train)
    means = unit(np.stack([train[of == number].mean(axis=0) for number in range(count)]))
    return np.argmax(vectors @ means.T, axis=1)


def figures(found: Agreement, labels: int, seconds: float, requests: int) -> dict[str, Any]:
    shares = {
        title: round(100 * value, 1)
        for title, value in zip(TITLES[1:5], (found.nmi, found.ari, found.purity, found.accuracy), strict=True)
    }
    return {"labels": labels, **shares, "seconds": round(seconds), "requests": requests}


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Generate in every way, and measure on the test documents."""
    folder = data_folder(name)
    corpus = Corpus([folder / "docs-train.jsonl.gz"])
    embedder = load_embedder("minilm")
    documents = held_out(folder, arguments.limit)
    vectors = embed(embedder, documents, show)
    gold = gold_of(documents)
    found: dict[str, Any] = {}
    wanted: list[tuple[str, dict[str, Any]]] = []
    most = arguments.max_labels
    for lm in arguments.lm or ["none", "embedded"]:
        if lm == "none":
            given = {"sample": arguments.documents}
            wanted += [(f"no model, at most {most}", given), (f"no model, {most} exactly", given | {"exactly": True})]
        else:
            wanted.append(
                (f"{lm}, {arguments.sample} documents read", {"sample": arguments.sample, "lm": lm, "timeout": 1800.0})
            )
    with tempfile.TemporaryDirectory() as scratch:
        for number, (way, given) in enumerate(wanted):
            out = Path(scratch) / f"{number}.jsonl"
            started = time.monotonic()
            made = generate(corpus, out, use_case=USE_CASES[name], most=most, embedder=embedder, on_step=show, **given)
            seconds = time.monotonic() - started
            if problems := check(out).errors:
                raise SystemExit(f"{name}, {way}: the taxonomy has {problems} errors")
            own = agreement(by_support(made, vectors), gold)
            found[way] = figures(own, made.narrowest, seconds, made.cost.requests)
            if "lm" not in given:
                started = time.monotonic()
                plain = agreement(by_k_means(made.pool.vectors, vectors, made.narrowest), gold)
                line = figures(plain, made.narrowest, time.monotonic() - started, 0)
                found[f"k-means on MiniLM, k = {made.narrowest}"] = line
    return {"documents": len(documents), "intents": len(np.unique(gold)), "ways": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", nargs="*", help=f"of {', '.join(USE_CASES)}; by default both")
    parser.add_argument("--lm", action="append", help="none, embedded, MODEL@URL or URL; by default none and embedded")
    parser.add_argument("--documents", type=int, default=2000, help="training documents without a model")
    parser.add_argument("--sample", type=int, default=40, help="training documents that a model reads")
    parser.add_argument("--max-labels", type=int, default=77)
    parser.add_argument("--limit", type=int, help="test documents at most")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.corpus) - set(USE_CASES):
        parser.error(f"unknown corpus {', '.join(sorted(unknown))}; there are {', '.join(USE_CASES)}")
    results = {}
    for name in arguments.corpus or list(USE_CASES):
        result = results[name] = measure(name, arguments)
        if not arguments.json:
            print(f"{name}: {result['documents']:,} test documents, {result['intents']} intents")
            print(f"  {'':<34}" + "".join(f"{title:>10}" for title in TITLES))
            for way, row in result["ways"].items():
                print(f"  {way:<34}" + "".join(f"{row[title]:>10,}" for title in TITLES), flush=True)
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
