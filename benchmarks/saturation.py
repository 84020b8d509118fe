"""Whether a run keeps a model server busy: its throughput beside that of a bare client with the same request bodies.

Run it with ``python benchmarks/saturation.py --lm http://127.0.0.1:8000/v1`` against a vLLM server that has nothing
else to do. It needs the development data (LABELMILL_DATA, or ../shared/data). The aim is 95%.

Both send Infer for the same documents, block by block, A B B A A B …, so that what else the machine does meets both.
A document begins with a number of its pass. So no pass finds the documents of another in the server's prefix cache,
while the instructions, which every request shares, are there for both; and all prompts of a pass are as long as those
of another. The bare client has its bodies ready and keeps a fixed number in flight; a run reads documents, opens a
DuckDB file, asks for the model's name, renders, parses, retrieves, and commits within its time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import orjson
from data import data_folder

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import read_documents

SPLITS = ("docs-tech-test.jsonl.gz", "docs-house-test.jsonl.gz")
AIM = 0.95


def read_texts(folder: Path, limit: int) -> list[str]:
    """Read the texts of real documents."""
    read = read_documents([folder / name for name in SPLITS], limit=limit)
    return [item.text for item in read if isinstance(item, Document)]


def number_texts(texts: Sequence[str], number: int) -> list[str]:
    """Make the texts of one pass; the number has as many digits in every pass."""
    return [f"[{1000 + number}] {text}" for text in texts]


async def send_all(url: str, bodies: Sequence[bytes], concurrency: int) -> int:
    """Send prepared bodies with aiohttp alone; give the tokens that were written."""
    free = asyncio.Semaphore(concurrency)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer EMPTY"}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:

        async def send(body: bytes) -> int:
            async with free, session.post(f"{url}/chat/completions", data=body) as answer:
                answer.raise_for_status()
                tokens: int = orjson.loads(await answer.read())["usage"]["completion_tokens"]
                return tokens

        return sum(await asyncio.gather(*(send(body) for body in bodies)))


class Contest:
    """The two, over the same server.

    Args:
        labeler: Whose runs are measured.
        url: The server's base URL.
        concurrency: Requests that the bare client keeps in flight.
        folder: For corpora and the DuckDB file.
    """

    def __init__(self, labeler: Labeler, url: str, concurrency: int, folder: Path) -> None:
        """Remember what to run."""
        self._labeler = labeler
        self._url = url
        self._concurrency = concurrency
        self._folder = folder
        self._passes = itertools.count()

    def bare(self, texts: Sequence[str]) -> tuple[float, int]:
        """Time the bare client; give seconds and tokens written."""
        infer, model = self._labeler.program.infer, self._labeler.program.spec.model
        assert infer is not None
        bodies = [infer.request(text, model) for text in number_texts(texts, next(self._passes))]
        start = perf_counter()
        tokens = asyncio.run(send_all(self._url, bodies, self._concurrency))
        return perf_counter() - start, tokens

    def labelmill(self, texts: Sequence[str]) -> tuple[float, int]:
        """Time a run; give seconds and tokens written."""
        number = next(self._passes)
        corpus = self._folder / f"{number}.jsonl"
        rows = [json.dumps({"id": str(n), "text": text}) for n, text in enumerate(number_texts(texts, number))]
        corpus.write_text("\n".join(rows), encoding="utf-8")
        start = perf_counter()
        done = self._labeler.label_corpus([corpus], self._folder / "runs.duckdb")
        seconds = perf_counter() - start
        if done.calls != len(texts):
            sys.exit(f"{done.calls} calls for {len(texts)} documents: not the same work as the bare client's")
        return seconds, done.completion_tokens


def compete(contest: Contest, texts: Sequence[str], blocks: int) -> dict[str, Any]:
    """Run both over every block, the one that begins changing from block to block."""
    size = -(-len(texts) // blocks)
    took: dict[str, list[float]] = {"labelmill": [], "bare client": []}
    written = dict.fromkeys(took, 0)
    print(f"{'block':<7}{'documents':>10}{'labelmill':>12}{'bare client':>14}{'ratio':>8}")
    for block in range(blocks):
        piece = texts[block * size : (block + 1) * size]
        order = [("labelmill", contest.labelmill), ("bare client", contest.bare)]
        for name, act in reversed(order) if block % 2 else order:
            seconds, tokens = act(piece)
            took[name].append(seconds)
            written[name] += tokens
        ours, theirs = took["labelmill"][-1], took["bare client"][-1]
        print(f"{block + 1:<7}{len(piece):>10}{ours:>10.2f} s{theirs:>12.2f} s{theirs / ours:>8.3f}", flush=True)
    ratios = [theirs / ours for ours, theirs in zip(took["labelmill"], took["bare client"], strict=True)]
    totals = {name: sum(seconds) for name, seconds in took.items()}
    return {
        "documents": len(texts),
        "documents_per_second": {name: len(texts) / seconds for name, seconds in totals.items()},
        "completion_tokens_per_second": {name: written[name] / seconds for name, seconds in totals.items()},
        "ratio": totals["bare client"] / totals["labelmill"],
        "ratio_by_tokens": written["labelmill"] / written["bare client"] * totals["bare client"] / totals["labelmill"],
        "ratio_of_blocks": {"least": min(ratios), "median": statistics.median(ratios), "most": max(ratios)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lm", required=True, help="MODEL@URL, or the URL of a server with one model")
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64, help="requests that the bare client keeps in flight")
    parser.add_argument("--task", help="a task card; without one the prompt is short")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    texts = read_texts(data_folder("esco"), arguments.documents)
    url = arguments.lm.partition("@")[2] or arguments.lm
    names = Taxonomy.from_names(["cook", "repair", "sell", "write software", "drive"])
    with (
        tempfile.TemporaryDirectory() as scratch,
        Labeler(names, lm=arguments.lm, infer="lm", embedders=["wordllama"], task=arguments.task) as labeler,
    ):
        contest = Contest(labeler, url.rstrip("/"), arguments.concurrency, Path(scratch))
        for act in (contest.labelmill, contest.bare):  # both once, so that nothing is loaded within a block
            act(texts[:8])
        results = compete(contest, texts, arguments.blocks)
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()
        return
    for name in ("labelmill", "bare client"):
        documents, tokens = results["documents_per_second"][name], results["completion_tokens_per_second"][name]
        print(f"{name:<12}{documents:>8.2f} documents/s{tokens:>9.1f} tokens written/s")
    kept = "yes" if results["ratio"] >= AIM else "no"
    print(f"ratio {results['ratio']:.3f} (by tokens written {results['ratio_by_tokens']:.3f}); aim kept: {kept}")
    least, median, most = results["ratio_of_blocks"].values()
    print(f"blocks from {least:.3f} to {most:.3f}, median {median:.3f}; far apart, the machine was not idle")


if __name__ == "__main__":
    main()
