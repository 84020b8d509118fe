"""What a student keeps of its teacher, and how much faster it is: distilled from a tuned program's own labels.

Run it with ``python benchmarks/distill.py [debtags|gnd_tibcore]... [--train N] [--test N] [--features tfidf]...
[--keep FOLDER] [--json]``. It needs the development data (LABELMILL_DATA, or ../shared/data). The teacher is tuned on
gold as ``benchmarks/tuned.py`` has it, without a language model; it then labels training documents, whose gold nobody
sees, and the student learns from these labels alone. What took long (the program, the teacher's labels) is kept in a
folder: the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from data import data_folder, show_building

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import read_documents
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.progress import RunProgress
from labelmill.pipelines.tuning import TuneProgress, tune


@dataclass(frozen=True)
class Parts:
    """What the teacher is tuned on, what it labels for the student, and what both are reported on."""

    taxonomy: Taxonomy
    gold: list[Document]
    train: list[Document]
    test: list[Document]


def read(path: Path) -> list[Document]:
    """Read the documents that have gold labels."""
    return [item for item in read_documents([path]) if isinstance(item, Document) and item.labels]


def debtags() -> Parts:
    folder = data_folder("debtags")
    gold, train, test = (read(folder / f"docs-{name}.jsonl.gz") for name in ("dev", "train", "test"))
    return Parts(Taxonomy.read(folder / "labels.jsonl.gz"), gold, train, test)


def gnd_tibcore() -> Parts:
    folder = data_folder("gnd_tibcore")
    documents = read(folder / "docs-public.jsonl.gz")
    random.Random(0).shuffle(documents)
    taxonomy = Taxonomy.read(folder / "labels.jsonl.gz")
    return Parts(taxonomy, documents[:300], documents[550:], documents[300:550])


CORPORA: dict[str, Callable[[], Parts]] = {"debtags": debtags, "gnd_tibcore": gnd_tibcore}


def write(path: Path, documents: Iterable[Document], *, gold: bool) -> Path:
    """Write documents for `labelmill label`; those that a student learns from without their gold."""
    with path.open("w", encoding="utf-8") as file:
        for each in documents:
            row = {"id": each.id, "text": each.text} | ({"labels": list(each.labels or ())} if gold else {})
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def tuned(parts: Parts, path: Path) -> ProgramFile:
    """Tune the teacher, once."""
    if not path.exists():
        shown = [""]

        def told(state: TuneProgress) -> None:
            if state.step != shown[0]:
                shown[0] = state.step
                print(f"  {state.step}", file=sys.stderr, flush=True)

        tune(parts.taxonomy, parts.gold, building=show_building, on_progress=told).write(path)
    return ProgramFile.read(path)


def teach(parts: Parts, program: ProgramFile, folder: Path, train: int) -> Path:
    """Have the teacher label what the student learns from; goes on where it stopped."""
    docs = write(folder / "train.jsonl", parts.train[:train], gold=False)
    with Labeler(parts.taxonomy, program=program, embedders=program.spec.embedders) as labeler:
        labeler.label_corpus([docs], folder / "runs.duckdb", run="teacher", on_progress=told_rate)
    return docs


def told_rate(progress: RunProgress) -> None:
    if progress.done % 320 == 0:
        print(f"  {progress.done + progress.skipped} labelled, {progress.rate:.1f}/s", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", nargs="*", help=f"of {', '.join(CORPORA)}; debtags by default")
    parser.add_argument("--train", type=int, default=5000, help="documents that the teacher labels for the student")
    parser.add_argument("--keep", type=Path, default=Path("~/.cache/labelmill/distill").expanduser())
    arguments = parser.parse_args()
    for name in arguments.corpus or ["debtags"]:
        folder = arguments.keep / name
        folder.mkdir(parents=True, exist_ok=True)
        parts = CORPORA[name]()
        program = tuned(parts, folder / "program.json")
        teach(parts, program, folder, arguments.train)


if __name__ == "__main__":
    main()
