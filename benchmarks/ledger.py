"""How long the ledger of a large run takes: where each gold label was lost, out of a file that is made on the fly.

Run it with ``python benchmarks/ledger.py [--documents 100000] [--keep FOLDER] [--json]``. No model takes part and
nothing is labelled: texts, gold and rankings are drawn, so that half of the gold labels were not retrieved. For those
the ledger makes the windows of the text anew and looks for the nearest, which is its work. The digest is of all
entries: the same before and after a change that is to change nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from labelmill import Taxonomy
from labelmill.keys import content_key
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.ledger import ledger_of_run
from labelmill.pipelines.spec import make_spec
from labelmill.records import Document, LaneHit, Prediction
from labelmill.store import DocumentResult, RunWriter, Store

LABELS, WORDS, RANKED, GOLD, SENTENCES = 5000, 20_000, 10, 4, 5
_BATCH = 2000
_SYLLABLES = [a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u", "en", "ing", "er")]
_FUNCTION_WORDS = ["the", "of", "and", "to", "in", "for", "with", "our", "you"]


def vocabulary(generator: np.random.Generator) -> list[str]:
    """Draw words of two to four syllables."""
    return ["".join(generator.choice(_SYLLABLES, size=generator.integers(2, 5)).tolist()) for _ in range(WORDS)]


def documents(
    number: int, labels: list[str], words: list[str], generator: np.random.Generator
) -> Iterator[tuple[Document, list[int]]]:
    """Draw texts of some 60 words, frequent ones far more often, their gold labels, and the labels ranked for them."""
    frequent = 1 / np.arange(1, len(words) + 1) ** 0.8
    cumulated = np.cumsum(frequent / frequent.sum())
    for place in range(number):
        drawn = [words[each] for each in np.searchsorted(cumulated, generator.random(SENTENCES * 8)).tolist()]
        gold = generator.integers(0, len(labels), size=GOLD).tolist()
        drawn[8:10] = labels[gold[0]].split()  # one that is said in so many words
        filler = generator.choice(_FUNCTION_WORDS, size=SENTENCES * 4).tolist()
        both = [word for at, each in enumerate(drawn) for word in ([each] if at % 2 else [filler[at // 2], each])]
        text = " ".join(" ".join(both[start : start + 12]).capitalize() + "." for start in range(0, len(both), 12))
        ranked = dict.fromkeys([*gold[: GOLD // 2], *generator.integers(0, len(labels), size=2 * RANKED).tolist()])
        order = generator.permutation(list(ranked)[:RANKED]).tolist()
        yield Document(f"d{place:06}", text, tuple(dict.fromkeys(labels[each] for each in gold))), order


def write(folder: Path, number: int) -> None:
    """Write a corpus with gold labels, and the file of a run over it."""
    generator = np.random.default_rng(0)
    words = vocabulary(generator)
    labels = sorted({" ".join(generator.choice(words, size=2).tolist()) for _ in range(LABELS)})
    taxonomy = Taxonomy.from_names(labels)
    with (
        (folder / "corpus.jsonl").open("w", encoding="utf-8") as corpus,
        Store(folder / "runs.duckdb", write=True) as store,
    ):
        spec = make_spec(candidates=RANKED).described()
        writer = RunWriter(
            store, run="r", key="k", program=spec, taxonomy=taxonomy, taxonomy_source="", corpus=["corpus.jsonl"],
            version="0",
        )  # fmt: skip
        batch: list[DocumentResult] = []
        for document, ranked in documents(number, labels, words, generator):
            row = {"id": document.id, "text": document.text, "labels": list(document.labels or ())}
            corpus.write(json.dumps(row) + "\n")
            batch.append(_result(document, ranked, taxonomy))
            if len(batch) == _BATCH:
                writer.write(batch, [], [])
                batch = []
        writer.write(batch, [], [])
        writer.close("finished", 1.0)


def _result(document: Document, ranked: list[int], taxonomy: Taxonomy) -> DocumentResult:
    window = " ".join(document.text.split()[:2])
    predictions = [
        Prediction(
            taxonomy[label].id, taxonomy[label].name, rank, 1 / rank, rank <= 5, rank,
            (LaneHit("names/text", rank, 0.5), LaneHit("names/windows", rank, 0.5, window)),
        )
        for rank, label in enumerate(ranked, start=1)
    ]  # fmt: skip
    return DocumentResult(document.id, content_key(document.id), document.source, 1, predictions)


def measure(folder: Path) -> dict[str, Any]:
    """Time the ledger; the gold is read before."""
    gold = GoldCorpus.read([folder / "corpus.jsonl"])
    wall, cpu = perf_counter(), process_time()
    ledger = ledger_of_run(folder / "runs.duckdb", gold)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    digest = hashlib.sha256()
    for entry in ledger.entries:
        digest.update(repr(astuple(entry)).encode())
    return {
        "documents": len(gold.documents),
        "gold_labels": len(ledger.entries),
        "fates": {fate.name: count for fate, count in ledger.counts.items() if count},
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "digest": digest.hexdigest()[:16],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="a folder for corpus and run, which are used again if they are there")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "runs.duckdb").exists():
            write(folder, arguments.documents)
        found = measure(folder)
    if arguments.json:
        json.dump(found, sys.stdout)
        print()
    else:
        for name, value in found.items():
            print(f"{name:<16} {value}")


if __name__ == "__main__":
    main()
