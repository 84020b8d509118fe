"""One labelling run against the stub server, in a process of its own: prints its calls, CPU and peak memory as JSON.

``overhead.py`` starts it; by hand: ``python benchmarks/one_run.py store --url URL``. The program is Infer and listwise
Rank over ten labels, with a retriever that finds the same labels for every document, so that what is measured is the
work of whoever runs the program. The corpus is made on the fly.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stub import MODEL

from labelmill import InferRetrieveRank, Labeler, Taxonomy
from labelmill.models.dspy_lm import dspy_lm
from labelmill.pipelines.retrieve import Lane, Retrieve
from labelmill.retrievers.base import Hits

NAMES = [f"{verb} {what}" for verb in ("bake", "repair") for what in ("bread", "clocks", "boats", "violins", "roofs")]
SENTENCE = (
    "You bake bread at night, repair what breaks, order flour before it runs out and serve our guests with a smile. "
)
DSPY_THREADS = 8
WARM_UP = 20


class SameHits:
    """Finds the whole of a small taxonomy for every document, in the same order."""

    name = "same"

    def __init__(self, labels: int) -> None:
        """Make the hits once."""
        scores = np.linspace(1.0, 0.5, labels, dtype=np.float32)
        self._hits = Hits(np.arange(labels, dtype=np.int32), scores, np.zeros(labels, np.int32))

    def retrieve(self, queries: Sequence[Sequence[str]], k: int) -> list[Hits]:  # noqa: ARG002 - there are few
        """Give them to each document."""
        return [self._hits] * len(queries)


class NoEmbedder:
    """Stands where a labeler wants an embedder; the program has none."""

    name = fingerprint = "none"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed everything alike."""
        return np.ones((len(texts), 1), np.float32)


def texts(documents: int) -> Iterator[str]:
    """Make texts of about 360 characters, each its own."""
    for number in range(documents):
        yield f"Advertisement {number}. {SENTENCE * 3}"


def make_labeler(url: str, rank: str) -> Labeler:
    """Make a labeler whose only lane costs next to nothing."""
    labeler = Labeler(
        Taxonomy.from_names(NAMES),
        lm=f"{MODEL}@{url}",
        infer="lm",
        rank=rank,  # type: ignore[arg-type]
        embedders=[NoEmbedder()],
        candidates=len(NAMES),
        listed=len(NAMES),
    )
    retrieve = Retrieve([Lane(SameHits(len(NAMES)), "text", 1.0)], "same")
    labeler.program = replace(labeler.program, retrieve=retrieve)
    return labeler


def label_into_file(labeler: Labeler, documents: int, folder: Path) -> None:
    """Label a file of documents into a new DuckDB file."""
    corpus = folder / f"{documents}.jsonl"
    with corpus.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts(documents)))
    done = labeler.label_corpus([corpus], folder / f"{documents}.duckdb")
    if done.done != documents:
        sys.exit(f"{done.failed} of {documents} documents failed")


def label_in_memory(labeler: Labeler, documents: int, _folder: Path) -> None:
    """Label texts without a file, reading and writing left out."""
    labeler.label(list(texts(documents)))


def label_with_dspy(labeler: Labeler, url: str, documents: int, *, evaluate: bool) -> None:
    """Run the same program as a `dspy.Module`, through DSPy's own executor."""
    import dspy

    dspy.disable_logging()
    module = InferRetrieveRank(labeler.program)
    examples = [dspy.Example(text=text).with_inputs("text") for text in texts(documents)]
    with dspy.context(lm=dspy_lm(MODEL, url)):
        if evaluate:
            run = dspy.Evaluate(devset=examples, metric=lambda *_: 1.0, num_threads=DSPY_THREADS)
            run(module)
        else:
            run = dspy.Parallel(num_threads=DSPY_THREADS, disable_progress_bar=True)
            run([(module, example) for example in examples])


def peak_megabytes() -> float:
    """Read the largest memory this process ever had; getrusage would give its parent's, where that was larger."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure(run: Callable[[int], None], documents: int, calls: int) -> dict[str, Any]:
    """Time a run; what is loaded with the first documents is not counted."""
    run(WARM_UP)
    cpu, wall = time.process_time(), time.perf_counter()
    run(documents)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"documents": documents, "calls": calls, "cpu": cpu, "wall": wall, "peak_mb": peak_megabytes()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runner", choices=("store", "memory", "parallel", "evaluate"))
    parser.add_argument("--url", required=True, help="of the stub server")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--rank", choices=("listwise", "fusion"), default="listwise")
    arguments = parser.parse_args()
    with make_labeler(arguments.url, arguments.rank) as labeler, tempfile.TemporaryDirectory() as scratch:

        def run(documents: int) -> None:
            if arguments.runner in {"parallel", "evaluate"}:
                label_with_dspy(labeler, arguments.url, documents, evaluate=arguments.runner == "evaluate")
            else:
                label = label_into_file if arguments.runner == "store" else label_in_memory
                label(labeler, documents, Path(scratch))

        calls = arguments.documents * (2 if arguments.rank == "listwise" else 1)
        json.dump(measure(run, arguments.documents, calls), sys.stdout)
        print()


if __name__ == "__main__":
    main()
