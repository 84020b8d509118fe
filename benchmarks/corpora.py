"""How well and how fast corpora of other kinds are labelled, through the same calls as a user makes: label, evaluate.

Run it with ``python benchmarks/corpora.py [CORPUS]... [--limit N] [--embedder minilm]... [--lm none] [--json]``. It
needs the development data (LABELMILL_DATA, or ../shared/data). Indexes are built before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data import data_folder, show_building

from labelmill import Labeler, Taxonomy
from labelmill.pipelines.evaluate import evaluate_run

CORPORA = {
    "nlupp": "docs-banking.jsonl.gz",
    "debtags": "docs-dev.jsonl.gz",
    "gnd_tibcore": "docs-public.jsonl.gz",
}
"""From the smallest taxonomy (62 labels) to the largest (78,741), whose index takes minutes to build."""

QUICK = ("nlupp", "debtags")
METRICS = ("rp@5", "rp@10", "r@50", "ndcg@10", "micro_f1")


def measure(name: str, embedders: Sequence[str], lm: str, limit: int) -> dict[str, Any]:
    """Label the first documents of a corpus into a fresh file, and evaluate."""
    folder = data_folder(name)
    documents = folder / CORPORA[name]
    taxonomy = Taxonomy.read(folder / "labels.jsonl.gz")
    with (
        tempfile.TemporaryDirectory() as scratch,
        Labeler(taxonomy, lm=lm, embedders=embedders, progress=show_building) as labeler,
    ):
        labeler.label(["warm up"])
        out = Path(scratch) / "runs.duckdb"
        done = labeler.label_corpus([documents], out, limit=limit)
        result = evaluate_run(out, [documents], ks=(5, 10, 50))
    return {
        "labels": len(taxonomy),
        "documents": done.done,
        "failed": done.failed,
        "seconds": round(done.seconds, 2),
        "documents_per_second": round(done.rate, 1),
        "metrics": {metric: round(100 * result.evaluation.metrics[metric].value, 2) for metric in METRICS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", nargs="*", help=f"of {', '.join(CORPORA)}; by default {' and '.join(QUICK)}")
    parser.add_argument("--limit", type=int, default=500, help="documents of each corpus")
    parser.add_argument("--embedder", action="append", help="repeatable; minilm by default")
    parser.add_argument("--lm", default="none", help="none, embedded, MODEL@URL or URL")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.corpus) - set(CORPORA):
        parser.error(f"unknown corpus {', '.join(sorted(unknown))}; there are {', '.join(CORPORA)}")
    if not arguments.json:
        titles = "".join(f"{title:>10}" for title in ("labels", "documents", "seconds", "docs/s", *METRICS))
        print(f"{'corpus':<14}{titles}")
    results = {}
    for name in arguments.corpus or QUICK:
        found = measure(name, arguments.embedder or ["minilm"], arguments.lm, arguments.limit)
        results[name] = found
        if not arguments.json:
            figures = (*(found[key] for key in ("labels", "documents", "seconds", "documents_per_second")),)
            cells = "".join(f"{figure:>10,}" for figure in (*figures, *found["metrics"].values()))
            print(f"{name:<14}{cells}", flush=True)
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
