"""Whether the gaps of a taxonomy are found: labels that documents state are taken out of ESCO, and looked for.

Run it with ``python benchmarks/taxonomy_gaps.py [--split val|test] [--removed 200] [--seed 0] [--lm URL] [--limit N]``.
Without a model, phrases are windows of the documents. It needs the development data (LABELMILL_DATA, or
../shared/data). Choose on ``val`` or with another seed, report on ``test``.

A removed label is *stated* by a document that has it in its gold, if a window of the text has at least ``--likeness``
with the label's name or an alias, by the embedder; or literally, if the name or an alias stands in the text. It is
*covered* by a proposal whose name (or one of its phrases) has the same likeness with its name or an alias. The
precision is an estimate from below: the share of proposals that cover a removed label, of whose documents one has one
of their phrases; what else they name may be missing from ESCO as well.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from data import data_folder, show_building
from numpy.typing import NDArray

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import Corpus
from labelmill.eval import resolve_gold
from labelmill.models.embedders import Embedder, MemoEmbedder, load_embedder
from labelmill.pipelines.gaps import Gaps, Limits, Proposal, find_gaps, gaps_of_run
from labelmill.pipelines.gaps.phrases import Windows
from labelmill.pipelines.windows import windows
from labelmill.records import Label
from labelmill.retrievers.index import Indexes
from labelmill.retrievers.views import names_and_aliases

SETS = ("tech", "house")
LIKENESS = (0.6, 0.7, 0.8)
TITLES = {"number": 8, "covered": 10, "%": 7, "by name": 10, "as new": 9, "precision": 11}


@dataclass(frozen=True)
class Removed:
    """A label that was taken out.

    Attributes:
        label: It.
        names: Vectors of its names.
        said: Windows of the documents that have it in their gold, folded.
        likeness: Of its names to the best window of these documents.
        literal: Whether one of its names stands in one of them.
    """

    label: Label
    names: NDArray[np.float32]
    said: frozenset[str]
    likeness: float
    literal: bool

    def best(self, vectors: NDArray[np.float32]) -> float:
        """Give the largest cosine of any of its names with any of these."""
        return float((vectors @ self.names.T).max()) if len(vectors) else -1.0


def gold_of(skills: Taxonomy, documents: Sequence[Document]) -> dict[str, set[int]]:
    """Resolve gold labels; those that ESCO does not have are left out."""
    resolved = resolve_gold([(document.id, document.labels) for document in documents], skills)
    spans = zip(resolved.documents, pairwise(resolved.gold.indptr.tolist()), strict=True)
    return {
        document: {label for label in resolved.gold.labels[start:end].tolist() if label >= 0}
        for document, (start, end) in spans
    }


def take_out(skills: Taxonomy, documents: Sequence[Document], count: int, seed: int) -> list[int]:
    """Draw labels of the gold."""
    gold = sorted(set().union(*gold_of(skills, documents).values()))
    return sorted(random.Random(seed).sample(gold, min(count, len(gold))))


def describe(
    skills: Taxonomy, documents: Sequence[Document], places: Sequence[int], embedder: Embedder
) -> list[Removed]:
    """Find which of the labels that were taken out are stated, and how plainly."""
    gold = gold_of(skills, documents)
    found = []
    for place in places:
        label = skills[place]
        names = list(dict.fromkeys([label.name, *label.aliases]))
        having = [document for document in documents if place in gold[document.id]]
        said = list(dict.fromkeys(window for document in having for window in windows(document.text)))
        pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names), re.IGNORECASE)
        folded = frozenset(window.casefold() for window in said)
        removed = Removed(label, embedder.embed(names), folded, -1.0, False)
        literal = any(pattern.search(document.text) for document in having)
        found.append(replace(removed, likeness=removed.best(embedder.embed(said)), literal=literal))
    return found


def cover(
    removed: Sequence[Removed], proposals: Sequence[Proposal], embedder: Embedder, likeness: float
) -> dict[str, Any]:
    """Count what is covered."""
    by_name = embedder.embed([each.name for each in proposals])
    phrases = [
        (place, phrase) for place, each in enumerate(proposals) for phrase in dict.fromkeys([each.name, *each.phrases])
    ]
    owner = np.array([place for place, _ in phrases], dtype=np.int64)
    said = embedder.embed([phrase for _, phrase in phrases])
    new = np.array([each.kind == "new" for each in proposals], dtype=bool)
    kinds: dict[str, Callable[[Removed], bool]] = {
        "stated": lambda each: each.likeness >= likeness,
        "literally": lambda each: each.literal,
    }
    result: dict[str, Any] = {}
    for kind, stated in kinds.items():
        these = [each for each in removed if stated(each)]
        result[kind] = {
            "labels": len(these),
            "by a phrase": sum(each.best(said) >= likeness for each in these),
            "by a name": sum(each.best(by_name) >= likeness for each in these),
            "by a new label": sum(each.best(said[new[owner]]) >= likeness for each in these),
        }
    right = set[int]()
    for each in removed:
        for place in set(owner[(said @ each.names.T).max(axis=1) >= likeness].tolist()):
            if {phrase.casefold() for phrase in proposals[place].phrases} & each.said:
                right.add(place)
    result["precision"] = len(right) / max(len(proposals), 1)
    return result


class Remembering:
    """An embedder that has the vectors of all labels' names already, out of the index of the whole taxonomy."""

    def __init__(self, embedder: Embedder, skills: Taxonomy) -> None:
        indexes = Indexes(skills, progress=show_building)
        dense = indexes.dense("aliases", embedder)
        self.name, self.fingerprint = embedder.name, embedder.fingerprint
        self._embedder = MemoEmbedder(embedder, 100_000)
        texts = names_and_aliases(skills.labels).texts
        self._rows = {text: place for place, text in enumerate(texts)}
        # Equal texts share a row of the index.
        self._vectors = dense._vectors[dense._rows]  # noqa: SLF001 - what every text of it was embedded to

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed what is no label's name."""
        fresh = list(dict.fromkeys(text for text in texts if text not in self._rows))
        made = dict(zip(fresh, self._embedder.embed(fresh), strict=True))
        if not texts:
            return self._embedder.embed([])
        return np.stack([made[text] if text in made else self._vectors[self._rows[text]] for text in texts])


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    return name, type(getattr(Limits(), name))(float(value))


def _of_windows(
    documents: Sequence[Document], rest: Taxonomy, embedder: Embedder, limits: Limits, arguments: argparse.Namespace
) -> Gaps:
    """Find gaps as a run without a model does."""
    del arguments
    with tempfile.TemporaryDirectory() as scratch:
        indexes = Indexes(rest, Path(scratch) / "indexes", show_building)
        source = Windows(Corpus([_write(documents, Path(scratch))]))
        return find_gaps(source, rest, indexes, embedder, limits=limits, told=lambda *_: None)


def _of_a_model(
    documents: Sequence[Document], rest: Taxonomy, embedder: Embedder, limits: Limits, arguments: argparse.Namespace
) -> Gaps:
    """Have a model propose phrases, and find gaps in the run."""
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(scratch) / "runs.duckdb"
        with Labeler(
            rest, embedders=[embedder], progress=show_building, lm=arguments.lm, infer="lm", task=arguments.task
        ) as labeler:
            labeler.label_corpus([_write(documents, Path(scratch))], runs)
        return gaps_of_run(runs, taxonomy=rest, embedder=embedder, limits=limits).found


def _write(documents: Sequence[Document], folder: Path) -> Path:
    corpus = folder / "docs.jsonl"
    with corpus.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": each.id, "text": each.text}) + "\n" for each in documents)
    return corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--removed", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="of documents of each set")
    parser.add_argument("--lm", help="a model that proposes phrases in place of windows: embedded, MODEL@URL, URL")
    parser.add_argument("--task", help="its task card")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="of the limits, to choose them"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = data_folder("esco")
    files = [folder / f"docs-{name}-{arguments.split}.jsonl.gz" for name in SETS]
    skills = Taxonomy.read(folder / "labels.jsonl.gz", where="kind = 'skill'")
    documents = [
        item for file in files for item in Corpus([file], arguments.limit).documents() if isinstance(item, Document)
    ]
    limits = replace(Limits(), **dict(_limit(text) for text in arguments.set))
    embedder = Remembering(load_embedder("minilm"), skills)
    places = take_out(skills, documents, arguments.removed, arguments.seed)
    removed = describe(skills, documents, places, embedder)
    gone = set(places)
    rest = Taxonomy.from_labels(label for place, label in enumerate(skills) if place not in gone)
    start = perf_counter()
    found = (_of_a_model if arguments.lm else _of_windows)(documents, rest, embedder, limits, arguments)
    seconds = perf_counter() - start
    proposals = found.proposals
    results = {str(likeness): cover(removed, proposals, embedder, likeness) for likeness in LIKENESS}
    if arguments.json:
        json.dump({"proposals": len(proposals), "removed": len(removed), "results": results}, sys.stdout, indent=2)
        print()
        return
    kinds = {kind: sum(each.kind == kind for each in proposals) for kind in ("new", "alias")}
    print(
        f"{arguments.split}: {len(documents)} documents, {len(removed)} labels removed (seed {arguments.seed}), "
        f"{found.phrases:,} phrases, {found.far:,} far, {found.clusters:,} clusters, "
        f"{found.spoken_for:,} in documents enough; {seconds:.0f} s"
    )
    print(f"proposals: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")
    titles = "".join(f"{title:>{width}}" for title, width in TITLES.items())
    print(f"{'likeness':<10}{'removed labels':<16}{titles}")
    for likeness, result in results.items():
        for kind in ("stated", "literally"):
            row = result[kind]
            share = 100 * row["by a phrase"] / max(row["labels"], 1)
            precision = f"{100 * result['precision']:>10.1f}%" if kind == "stated" else ""
            print(
                f"{likeness:<10}{kind:<16}{row['labels']:>8}{row['by a phrase']:>10}{share:>7.1f}{row['by a name']:>10}"
                f"{row['by a new label']:>9}{precision}"
            )


if __name__ == "__main__":
    main()
