"""What a run costs beside the model: CPU per model call against DSPy's own executor, growth with the corpus, memory.

Run it with ``python benchmarks/overhead.py [calls] [linear] [memory] [--quick] [--json]``; without a part, all of them.
The server answers at once and is another process, so that the CPU time of a run is the runner's own; every run is a
fresh process, and its imports are not counted. The aims are 1 ms of CPU per call, a third of DSPy's; ten times the
documents for ten times the CPU, 15% more at most; and memory that does not grow with the corpus.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stub import running_stub

ROUNDS = 3
RUNNERS = {
    "store": "label_corpus, into a DuckDB file",
    "memory": "label, in memory",
    "parallel": "dspy.Parallel, in memory",
    "evaluate": "dspy.Evaluate, in memory",
}
AIM_MS = 1.0
AIM_TIMES = 3.0
AIM_DEVIATION = 0.15

Figures = dict[str, Any]


def one_run(runner: str, url: str, documents: int, *options: str) -> Figures:
    """Run in a fresh process."""
    script = Path(__file__).with_name("one_run.py")
    command = [sys.executable, str(script), runner, "--url", url, "--documents", str(documents), *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def cheapest(runs: Sequence[Figures]) -> Figures:
    """Choose the run that the rest of the machine disturbed least."""
    return min(runs, key=lambda run: run["cpu"])


def measure_calls(url: str, *, quick: bool) -> Figures:
    """Compare the runners, in turn, and print CPU per call."""
    documents = {"store": 2000, "memory": 2000, "parallel": 300, "evaluate": 300}
    rounds = [
        {runner: one_run(runner, url, documents[runner] // (4 if quick else 1)) for runner in RUNNERS}
        for _ in range(1 if quick else ROUNDS)
    ]
    found = {}
    print(f"{'CPU of the runner, Infer and listwise Rank':<44}{'calls':>8}{'ms/call':>9}{'calls/s':>9}")
    for runner, title in RUNNERS.items():
        best = cheapest([each[runner] for each in rounds])
        found[runner] = 1000 * best["cpu"] / best["calls"]
        print(f"{title:<44}{best['calls']:>8,}{found[runner]:>9.2f}{best['calls'] / best['wall']:>9,.0f}")
    theirs = min(found["parallel"], found["evaluate"])
    for runner in ("store", "memory"):
        ours = found[runner]
        kept = "yes" if ours <= AIM_MS and theirs / ours >= AIM_TIMES else "no"
        print(f"{RUNNERS[runner]}: {ours:.2f} ms, DSPy {theirs / ours:.1f} times that; aims kept: {kept}")
    return found


def measure_growth(url: str, *, quick: bool) -> Figures:
    """Label a corpus and one of ten times its size, in turn, and print the ratio of their CPU."""
    small, large = (500, 5000) if quick else (2000, 20_000)
    rounds = [{n: one_run("store", url, n) for n in (small, large)} for _ in range(1 if quick else ROUNDS)]
    best = {n: cheapest([each[n] for each in rounds])["cpu"] for n in (small, large)}
    ratio = best[large] / best[small]
    kept = "yes" if ratio <= (large / small) * (1 + AIM_DEVIATION) else "no"  # less is what starting costs
    print(f"{'Growth with the corpus':<44}{'documents':>11}{'CPU s':>9}{'ms/document':>13}")
    for documents, cpu in best.items():
        print(f"{'label_corpus, into a DuckDB file':<44}{documents:>11,}{cpu:>9.2f}{1000 * cpu / documents:>13.2f}")
    print(f"{large // small} times the documents, {ratio:.2f} times the CPU; aim kept: {kept}")
    return {"ratio": ratio, "cpu": {str(n): cpu for n, cpu in best.items()}}


def measure_memory(url: str, *, quick: bool) -> Figures:
    """Label corpora of growing size with Infer alone, and print the peak memory of each process."""
    sizes = (2000, 20_000) if quick else (10_000, 50_000, 200_000)
    print(f"{'Peak memory':<44}{'documents':>11}{'MB':>9}{'seconds':>9}")
    peaks = {}
    for documents in sizes:
        run = one_run("store", url, documents, "--rank", "fusion")
        peaks[documents] = run["peak_mb"]
        print(f"{'label_corpus, Infer alone':<44}{documents:>11,}{run['peak_mb']:>9.0f}{run['wall']:>9.0f}", flush=True)
    more = peaks[sizes[-1]] - peaks[sizes[0]]
    print(f"{sizes[-1]:,} documents take {more:+.0f} MB compared with {sizes[0]:,}")
    return {"difference_mb": more, "peak_mb": {str(n): peak for n, peak in peaks.items()}}


PARTS: dict[str, Callable[..., Figures]] = {
    "calls": measure_calls,
    "linear": measure_growth,
    "memory": measure_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--quick", action="store_true", help="smaller runs, once each: rougher figures")
    parser.add_argument("--json", action="store_true", help="print the figures once more, as JSON, at the end")
    arguments = parser.parse_args()
    if unknown := set(arguments.part) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    with running_stub() as url:
        results = {part: PARTS[part](url, quick=arguments.quick) for part in arguments.part or PARTS}
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
