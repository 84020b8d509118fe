"""What usage phrases bring as a further retriever: taken out of other documents, kept by gold or not, seen on a test.

Run it with ``python benchmarks/usages.py [--documents N] [--phrases N] [--limit N] [--as-gold] [--json]``. It needs the
development data (LABELMILL_DATA, or ../shared/data). Debian packages: phrases out of training documents, without a
model; tuned on the development documents with and without them; reported on test documents, which nothing is chosen by.
``--as-gold`` also gives the training documents to tuning as gold, in place of making phrases of them. ``--model N``
does something else: has the embedded model write of N labels, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from data import data_folder, show_building
from tuned import KS, describe, label, read

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import Corpus
from labelmill.eval import Rankings, resolve_gold
from labelmill.eval.comparison import compare
from labelmill.models.embedders import load_embedder
from labelmill.pipelines.describing import DescribeProgress, LabelledDocuments, phrase
from labelmill.pipelines.describing import describe as describe_labels
from labelmill.pipelines.tuning import TuneProgress, tune
from labelmill.taxonomy.usages import Usages, document_key, write_usages

METRICS = ("rp@5", "rp@10")


def phrases(folder: Path, taxonomy: Taxonomy, documents: int, count: int, out: Path) -> tuple[Usages, float]:
    """Take phrases out of the first training documents."""
    start = perf_counter()
    known = LabelledDocuments.of_gold(Corpus([folder / "docs-train.jsonl.gz"], limit=documents), taxonomy)
    write_usages(phrase(taxonomy, known, count, embedder=load_embedder("minilm")).usages, out)
    return Usages.read(out, taxonomy), perf_counter() - start


def learn(taxonomy: Taxonomy, gold: list[Document], name: str, usages: Usages | None = None, **settings: Any) -> Any:
    """Tune, and say on standard error how far that is."""
    shown = [""]

    def told(state: TuneProgress) -> None:
        if state.step != shown[0]:
            shown[0] = state.step
            print(f"  {name}: {state.step}", file=sys.stderr, flush=True)

    return tune(taxonomy, gold, usages=usages, building=show_building, on_progress=told, **settings)


def measure(documents: int, count: int, limit: int, *, as_gold: bool) -> dict[str, Any]:
    """Tune and label in each way, and compare each with the way without phrases."""
    folder = data_folder("debtags")
    taxonomy = Taxonomy.read(folder / "labels.jsonl.gz")
    with tempfile.TemporaryDirectory() as scratch:
        usages, seconds = phrases(folder, taxonomy, documents, count, Path(scratch) / "usages.jsonl")
    dev, test = read(folder / "docs-dev.jsonl.gz"), read(folder / "docs-test.jsonl.gz")
    # Packages of one source begin alike: what phrases were made of is neither tuned with nor reported on.
    gold = [each for each in dev if document_key(each.text) not in usages.documents]
    tests = [each for each in test if document_key(each.text) not in usages.documents][:limit]
    ways: dict[str, dict[str, Any]] = {"without": {}, "with, as gold decides": {"usages": usages}}
    runs: dict[str, Any] = {}
    result: dict[str, Any] = {
        "labels": len(taxonomy), "with_phrases": len(usages.phrases), "seconds": round(seconds, 1),
        "documents": documents, "tuned_on": len(gold), "tested_on": len(tests),
    }  # fmt: skip
    untuned = {"untuned, without": None, "untuned, with": usages}
    for name, own in untuned.items():
        with Labeler(taxonomy, usages=own) as labeler:
            runs[name] = label(labeler, tests)
    for name, settings in ways.items():
        program = learn(taxonomy, gold, name, **settings)
        kept = usages if program.spec.usages else None
        result[name] = {"left_out": program.figures["left_out"], "kept": bool(kept)}
        if settings:
            result["trials"] = [
                trial for trial in program.figures["trials"] if trial["without"][-1:] in ((), ("usages",))
            ]
        with Labeler(taxonomy, program=program, usages=kept) as labeler:
            runs[name] = label(labeler, tests)
    if as_gold:
        train = read(folder / "docs-train.jsonl.gz", "train-")[:documents]
        program = learn(taxonomy, [*gold, *train], "the same documents as gold")
        with Labeler(taxonomy, program=program) as labeler:
            runs["the same documents as gold"] = label(labeler, tests)
    truth = resolve_gold([(document.id, document.labels) for document in tests], taxonomy).gold
    result["runs"] = {name: describe(run, truth, len(taxonomy)) for name, run in runs.items()}
    rankings = {name: Rankings.from_lists(run.ranked, run.selected) for name, run in runs.items()}
    pairs = {"untuned, with": "untuned, without"} | {n: "without" for n in runs if n not in {*untuned, "without"}}
    result["differences"] = {
        name: {
            metric: [round(100 * x, 2) for x in (d.difference.value, d.difference.low, d.difference.high)]
            for metric, d in compare(
                (rankings[base], rankings[name]), (truth, truth), ks=KS, resamples=1000, seed=0
            ).metrics.items()
            if metric in METRICS
        }
        for name, base in pairs.items()
    }
    return result


def run_model(labels: int, count: int) -> dict[str, Any]:
    """Have the embedded model describe some labels of banking77, and write phrases of them: that it runs, no more."""
    folder = data_folder("banking77")
    taxonomy = Taxonomy.read(folder / "labels.jsonl.gz")
    known = LabelledDocuments.of_gold(Corpus([folder / "docs-train.jsonl.gz"], limit=2000), taxonomy)
    chosen = list(range(0, len(taxonomy), max(1, len(taxonomy) // labels)))[:labels]

    def told(state: DescribeProgress) -> None:
        print(f"  {state.done + state.failed} of {state.total}, {state.tokens:,} tokens", file=sys.stderr, flush=True)

    described = describe_labels(taxonomy, known, lm="embedded", chosen=chosen, on_progress=told)
    phrased = phrase(taxonomy, known, count, lm="embedded", chosen=chosen, on_progress=told)
    return {
        name: {
            "labels": len(chosen),
            "failed": found.failed,
            "labels_per_second": round(found.progress.rate, 2) if found.progress else None,
            "tokens": found.progress.tokens if found.progress else None,
        }
        for name, found in (("describe", described), ("phrases", phrased))
    }


def show(result: dict[str, Any]) -> None:
    """Print all of it."""
    print(
        f"debtags: {result['with_phrases']} of {result['labels']} labels have phrases, out of {result['documents']:,} "
        f"documents, in {result['seconds']} s; tuned on {result['tuned_on']}, reported on {result['tested_on']}"
    )
    for trial in result["trials"]:
        print(f"  without {', '.join(trial['without']) or 'nothing'}: log loss {trial['log_loss']:.5f}")
    print(f"  phrases are {'kept' if result['with, as gold decides']['kept'] else 'left out'}")
    for name, found in result["runs"].items():
        cells = "  ".join(f"{k} {v[0]:.1f} [{v[1]:.1f}, {v[2]:.1f}]" for k, v in found.items() if k[:1] in "rm")
        print(f"  {name:<28} {cells}  {found['documents_per_second']} documents/s")
    for name, found in result["differences"].items():
        cells = "  ".join(f"{k} {v[0]:+.1f} [{v[1]:+.1f}, {v[2]:+.1f}]" for k, v in found.items())
        print(f"  gain, {name:<22} {cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=2000, help="training documents that phrases are taken from")
    parser.add_argument("--phrases", type=int, default=8, help="of a label at most")
    parser.add_argument("--limit", type=int, default=1000, help="test documents")
    parser.add_argument("--as-gold", action="store_true", help="see above")
    parser.add_argument("--model", type=int, default=0, help="labels for the embedded model; nothing else is done")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.model:
        print(json.dumps(run_model(arguments.model, arguments.phrases), indent=2))
        return
    result = measure(arguments.documents, arguments.phrases, arguments.limit, as_gold=arguments.as_gold)
    if arguments.json:
        json.dump(result, sys.stdout, indent=2)
        print()
    else:
        show(result)


if __name__ == "__main__":
    main()
