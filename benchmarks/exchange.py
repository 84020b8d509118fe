"""What exports to other tools and imports from them take, at two sizes: documents a second and peak memory.

Run it with ``python benchmarks/exchange.py [--documents 5000 40000] [--json]``. The run is made up: twenty of a
thousand labels a document, three of them in its final set, and a text of 600 characters. Each command runs in a process
of its own, with imports of Python and all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from labelmill.store import RunWriter, Store
from labelmill.taxonomy import Taxonomy

LABELS, BATCH = 1000, 25_000
FORMATS = {"label-studio": "tasks.json", "argilla": "records.json", "huggingface": "set"}
CHILD = """
import resource, sys
from labelmill.cli import main
try:
    main()
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""
DOCUMENTS = "INSERT INTO documents SELECT 'r', 'doc ' || i, '', '', 1, [], '', $batch FROM range($first, $last) AS t(i)"
PREDICTIONS = (
    "INSERT INTO predictions SELECT 'r', 'doc ' || i, 'label ' || (i * 7 + r * 13) % 1000, r + 1, 1 / (r + 1), r < 3, "
    "r + 1, 1 / (r + 1), [], $batch FROM range($first, $last) AS t(i), range(20) AS u(r) ORDER BY i, r"
)


def write_run(folder: Path, documents: int) -> None:
    """Make a run, its documents, and its labels."""
    names = [f"label {number}" for number in range(LABELS)]
    (folder / "labels.txt").write_text("\n".join(names), encoding="utf-8")
    with (folder / "docs.jsonl").open("w", encoding="utf-8") as file:
        for number in range(documents):
            file.write(json.dumps({"id": f"doc {number}", "text": f"text number {number} " * 30}) + "\n")
    with Store(folder / "runs.duckdb", write=True) as store:
        writer = RunWriter(
            store,
            run="r",
            key="k",
            program={"rank": "pointwise"},
            taxonomy=Taxonomy.from_names(names),
            taxonomy_source="labels.txt",
            corpus=["docs.jsonl"],
            version="0",
        )
        for batch, first in enumerate(range(0, documents, BATCH)):
            given = {"batch": batch, "first": first, "last": min(documents, first + BATCH)}
            store.connection.execute(DOCUMENTS, given)
            store.connection.execute(PREDICTIONS, given)
        writer.close("finished", 1.0)


def timed(folder: Path, documents: int, *command: str) -> dict[str, Any]:
    """Run a command, and say what it took."""
    began = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *command], cwd=folder, capture_output=True, text=True, check=False
    )
    seconds = perf_counter() - began
    if done.returncode:
        sys.exit(done.stderr)
    peak = int(done.stderr.split("peak ")[-1])
    return {"documents": documents, "seconds": round(seconds, 1), "per_second": round(documents / seconds), "mb": peak}


def measure(documents: int) -> dict[str, dict[str, Any]]:
    """Export to each format, and import what comes back."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_run(folder, documents)
        for name, target in FORMATS.items():
            found[f"export {name}"] = timed(
                folder, documents, "export", "runs.duckdb", "--format", name, "--to", target, "--docs", "docs.jsonl"
            )
            found[f"import {name}"] = timed(
                folder,
                documents,
                "votes",
                "import",
                target,
                "--format",
                name,
                "-t",
                "labels.txt",
                "-o",
                f"{name}.duckdb",
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[5_000, 40_000])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {size: measure(size) for size in options.documents}
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for rows in results.values():
        for what, row in rows.items():
            print(
                f"{what:<22} {row['documents']:>9,} documents {row['seconds']:>7.1f} s {row['per_second']:>7,}/s "
                f"{row['mb']:>5,} MB"
            )


if __name__ == "__main__":
    main()
