"""How much of pointwise Rank's prompts a vLLM server finds in its prefix cache, by the server's own counters.

Run it with ``python benchmarks/prefix_cache.py --lm http://127.0.0.1:8000/v1`` against a server that has nothing else
to do. Each document is asked about with each of its candidates, so that its prompts share all but the last line. The
cache holds whole blocks, of 16 tokens or, on a CPU, 32: the end of what is shared is read again. It needs the
development data (LABELMILL_DATA, or ../shared/data): ESCO's validation documents. The aim is 80%.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import urllib.request
from pathlib import Path

from data import data_folder, show_building

from labelmill import Labeler, Taxonomy

AIM = 0.8
CARD = Path(__file__).parents[1] / "examples" / "job_ads.toml"
COUNTERS = ("vllm:prompt_tokens_total", "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total")


def read_counters(url: str) -> dict[str, float]:
    """Read the server's own counters, summed over its engines."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        name: sum(float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", text, re.MULTILINE))
        for name in COUNTERS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lm", required=True, help="MODEL@URL, or the URL of a server with one model")
    parser.add_argument("--documents", type=int, default=75)
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--task", default=str(CARD), help="a task card; by default that of the examples, for job ads")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = data_folder("esco")
    skills = Taxonomy.read(folder / "labels.jsonl.gz", where="kind = 'skill'")
    url = (arguments.lm.partition("@")[2] or arguments.lm).rstrip("/")
    settings = {"candidates": arguments.candidates, "listed": arguments.candidates, "task": arguments.task}
    with (
        tempfile.TemporaryDirectory() as scratch,
        Labeler(
            skills,
            lm=arguments.lm,
            infer="windows",
            rank="pointwise",
            embedders=["wordllama"],
            progress=show_building,
            **settings,
        ) as labeler,
    ):
        before = read_counters(url)
        out = Path(scratch) / "runs.duckdb"
        done = labeler.label_corpus([folder / "docs-tech-val.jsonl.gz"], out, limit=arguments.documents)
        after = read_counters(url)
    counted = {name: after[name] - before[name] for name in COUNTERS}
    asked, hit = (counted[name] for name in COUNTERS[1:])
    if not asked:
        sys.exit(f"{url} counts no queries of its prefix cache: is it vLLM, and is the cache on?")
    results = {
        "documents": done.done,
        "candidates": arguments.candidates,
        "requests": done.requests,
        "seconds": round(done.seconds, 1),
        "server": counted,
        "share_cached": hit / asked,
        "share_cached_by_answers": done.cached_tokens / max(done.prompt_tokens, 1),
    }
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()
        return
    print(f"{done.done} documents, {arguments.candidates} candidates each, {done.requests:,} requests")
    print(f"{asked / done.done:,.0f} tokens of prompts a document, {done.seconds:.1f} s")
    said = f"{results['share_cached_by_answers']:.1%} by what the answers say"
    print(f"{hit / asked:.1%} of them cached by the server's counters, {said}; aim kept: {hit / asked >= AIM}")


if __name__ == "__main__":
    main()
