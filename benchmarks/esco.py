"""How well and how fast skills of ESCO are found in job ads, lane by lane and fused, beside the published figures.

Run it with ``python benchmarks/esco.py [--split val|test] [--embedder minilm]... [--json]``. It needs the development
data (LABELMILL_DATA, or ../shared/data). Choose on ``val``, report on ``test``. No language model takes part.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from data import data_folder, show_building

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import chunk, read_documents
from labelmill.eval import Gold, Rankings, evaluate, resolve_gold
from labelmill.pipelines.retrieve import LANE_DEPTH, Queries
from labelmill.retrievers.base import Hits

SETS = ("tech", "house")
KS = (5, 10, 50)
PUBLISHED = {
    "IReRa, Llama-2-13B and GPT-4 (arXiv 2401.12178)": {"tech": (63.13, 71.98), "house": (55.57, 61.71)},
    "ConTeXT-match (arXiv 2505.24640)": {"tech": (64.0, 74.0)},
}
"""RP@5 and RP@10 on the test splits."""

Scores = dict[str, float]


def score(ranked: Sequence[Sequence[int]], gold: Gold, labels: int) -> Scores:
    """Give RP@k in percent."""
    rankings = Rankings.from_lists(ranked, [[False] * len(row) for row in ranked])
    metrics = evaluate(rankings, gold, n_labels=labels, ks=KS, resamples=1).metrics
    return {f"RP@{k}": round(100 * metrics[f"rp@{k}"].value, 2) for k in KS}


def score_lanes(labeler: Labeler, queries: Sequence[Queries], gold: Gold) -> dict[str, Scores]:
    """Score each lane alone."""
    scores = {}
    for lane in labeler.program.retrieve.lanes:
        hits: list[Hits] = lane.retriever.retrieve([getattr(asked, lane.kind) for asked in queries], LANE_DEPTH)
        scores[lane.name] = score([found.labels.tolist() for found in hits], gold, len(labeler.taxonomy))
    return scores


def measure(labeler: Labeler, documents: Sequence[Document]) -> dict[str, Any]:
    """Score the fused ranking and every lane of it; the seconds are those of the fused ranking, vectors not cached."""
    gold = resolve_gold([(document.id, document.labels) for document in documents], labeler.taxonomy).gold
    spec = labeler.program.spec
    start = perf_counter()
    queries = [
        labeler.program.queries(chunk(document.text, spec.chunk_characters, spec.chunk_overlap), ())
        for document in documents
    ]
    candidates = labeler.program.retrieve.retrieve(queries, max(KS))
    seconds = perf_counter() - start
    fused = score([[candidate.label for candidate in row] for row in candidates], gold, len(labeler.taxonomy))
    return {
        "documents": len(documents),
        "seconds": round(seconds, 2),
        "documents_per_second": round(len(documents) / seconds, 1),
        "lanes": score_lanes(labeler, queries, gold) | {"fused": fused},
    }


def print_tables(results: Mapping[str, Mapping[str, Any]], split: str) -> None:
    """Print a row per lane, then the published ones."""
    first = next(iter(results.values()))
    titles = "".join(f"{name.upper():>7} {metric:<6}" for name in results for metric in (f"RP@{k}" for k in KS))
    print(f"{split + ' split':<48}{titles}")
    for lane in first["lanes"]:
        cells = "".join(f"{value:>13.2f} " for result in results.values() for value in result["lanes"][lane].values())
        print(f"{lane:<48}{cells}")
    if split == "test":
        for name, figures in PUBLISHED.items():
            cells = "".join(
                f"{value:>14}"
                for result in results
                for value in (*(f"{figure:.2f} " for figure in figures.get(result, ())), *("- ",) * 3)[:3]
            )
            print(f"{name:<48}{cells}")
    for name, result in results.items():
        rate = result["documents_per_second"]
        print(f"{name.upper()}: {result['documents']} documents in {result['seconds']} s, {rate} documents/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--embedder", action="append", help="repeatable; minilm by default")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = data_folder("esco")
    skills = Taxonomy.read(folder / "labels.jsonl.gz", where="kind = 'skill'")
    results = {}
    with Labeler(skills, embedders=arguments.embedder or ["minilm"], progress=show_building) as labeler:
        labeler.label(["warm up"])  # what is loaded with the first text is not the documents' time
        for name in SETS:
            read = read_documents([Path(folder / f"docs-{name}-{arguments.split}.jsonl.gz")])
            results[name] = measure(labeler, [item for item in read if isinstance(item, Document)])
    if arguments.json:
        json.dump({"split": arguments.split, "published": PUBLISHED, "results": results}, sys.stdout, indent=2)
        print()
    else:
        print_tables(results, arguments.split)


if __name__ == "__main__":
    main()
