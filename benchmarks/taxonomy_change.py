"""What a month of changes to a taxonomy costs: ESCO with 100 labels added, 50 renamed, 20 merged.

Run it with ``python benchmarks/taxonomy_change.py [--documents 500] [--kind listwise]...``. It needs the development
data (LABELMILL_DATA, or ../shared/data). It prints whether the diff is exact, how many documents keep their candidates,
the calls that a dry run foretells and those that are made, and whether the rows are those of labelling from nothing.
The model is one that answers from words; of how good labels are it says nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
from data import data_folder, show_building
from edits import Edit, edited
from word_model import WordModel

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import Corpus, chunk, read_documents
from labelmill.models.client import Completion
from labelmill.store import Store
from labelmill.taxonomy import detect, diff

KINDS: dict[str, dict[str, Any]] = {
    "listwise": {"rank": "listwise", "infer": "both"},
    "pointwise": {"rank": "pointwise", "infer": "both"},
    "phrases": {"rank": "listwise", "infer": "lm"},
    "chunks": {"rank": "listwise", "infer": "both", "chunk_characters": 200, "chunk_overlap": 20},
}


class Counting(WordModel):
    """Keeps which texts were asked about; judges by a hash of the question."""

    def __init__(self) -> None:
        """Count from nothing."""
        self.bodies: list[bytes] = []

    async def complete(self, body: bytes, *, turn: int = 0, group: str = "") -> Completion:
        """Answer one request."""
        self.bodies.append(body)
        request = orjson.loads(body)
        if "top_logprobs" not in request:
            return await super().complete(body, turn=turn, group=group)
        chance = zlib.crc32(request["messages"][-1]["content"].encode()) % 97 / 100 + 0.01
        return Completion("yes", 300, 256, 1, next_token={"yes": -1 / chance, "no": -1 / (1 - chance)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--kind", action="append", choices=KINDS, help="repeatable; listwise by default")
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--folder", type=Path, help="keep the files there; what is labelled with the old version counts"
    )
    arguments = parser.parse_args()
    folder = data_folder("esco")
    old = Taxonomy.read(folder / "labels.jsonl.gz", where="kind = 'skill'")
    edit = edited(old, seed=arguments.seed)
    show_diff(old, edit)
    with tempfile.TemporaryDirectory() as temporary:
        scratch: Path = arguments.folder or Path(temporary)
        corpus = write_corpus(folder, scratch / "ads.jsonl", arguments.documents)
        for kind in arguments.kind or ["listwise"]:
            relabel(old, edit.taxonomy, corpus, scratch / f"{kind}.duckdb", kind, arguments.embedder)


def show_diff(old: Taxonomy, edit: Edit) -> None:
    begun = perf_counter()
    proposals = detect(old, edit.taxonomy)
    detected = {each.source.id: tuple(label.id for label in each.into) for each in proposals}
    found = diff(old, edit.taxonomy, detected)
    seconds = perf_counter() - begun
    exact = (
        {label.id for label in found.added} == edit.added
        and {pair.new.id: pair.new.name for pair in found.renamed} == edit.renamed
        and detected == {source: (into,) for source, into in edit.merged.items()}
        and not (found.removed or found.split or found.reidentified or found.redescribed)
    )
    counts = ", ".join(f"{kind} {count:,}" for kind, count in found.counts.items() if count)
    print(
        f"diff of {len(old):,} and {len(edit.taxonomy):,} labels in {seconds:.2f} s: {counts}; exact: {exact}",
        flush=True,
    )


def write_corpus(folder: Path, target: Path, documents: int) -> Path:
    """Take the first documents of the job ads, as one file."""
    names = [f"docs-{name}-{split}.jsonl.gz" for split in ("test", "val") for name in ("tech", "house")]
    rows = (item for name in names for item in read_documents([folder / name]) if isinstance(item, Document))
    taken = [{"id": f"{number:04}", "text": item.text} for number, item in zip(range(documents), rows, strict=False)]
    target.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in taken))
    return target


def relabel(old: Taxonomy, new: Taxonomy, corpus: Path, out: Path, kind: str, embedder: str) -> None:
    """Label with one version, then with the next, and with the next from nothing; print what that took."""

    def labeler(taxonomy: Taxonomy, model: Counting) -> Labeler:
        return Labeler(taxonomy, lm=model, embedders=[embedder], progress=show_building, **KINDS[kind])

    first, second, third = Counting(), Counting(), Counting()
    before = labeler(old, first)
    done = timed("first", lambda: before.label_corpus([corpus], out, run="old"))
    print(f"{kind}: {done.done:,} documents, {done.calls:,} questions in {len(first.bodies):,} requests")
    after = timed("index of the new version", lambda: labeler(new, second))
    preview = timed("dry run", lambda: after.preview_corpus(Corpus([corpus]), out, run="new"))
    done = timed("relabelling", lambda: after.label_corpus([corpus], out, run="new"))
    fresh = out.with_suffix(".fresh.duckdb")
    timed("from nothing", lambda: labeler(new, third).label_corpus([corpus], fresh, run="new"))
    kept = after.builds_on(out, "new")
    assert kept is not None
    asked_of_kept = count_asked(out, corpus, second.bodies, after)
    print(
        f"  documents that keep their candidates: {kept.kept:,} of {kept.documents:,}; "
        f"requests about them: {asked_of_kept:,}\n"
        f"  questions foretold: {preview.calls:,}; asked: {done.calls:,}, in {len(second.bodies):,} requests; "
        f"from nothing: {len(third.bodies):,} requests\n"
        f"  rows equal to those from nothing: {rows(out) == rows(fresh)} ({len(rows(out)):,} predictions)"
    )


def timed(what: str, do: Callable[[], Any]) -> Any:
    begun = perf_counter()
    result = do()
    print(f"  {what}: {perf_counter() - begun:.1f} s", flush=True)
    return result


def rows(path: Path) -> list[tuple[Any, ...]]:
    """Read the predictions of the new version, evidence and all."""
    query = "SELECT * EXCLUDE (run, batch) FROM predictions WHERE run = 'new' ORDER BY document, rank"
    with Store(path) as store:
        return store.connection.execute(query).fetchall()


def count_asked(path: Path, corpus: Path, bodies: list[bytes], after: Labeler) -> int:
    """Count requests about pieces of documents whose shown candidates have the same names in both versions."""
    query = (
        "WITH shown AS (SELECT run, document, list(name ORDER BY retrieval_rank) AS names FROM predictions "
        "JOIN runs USING (run) JOIN labels USING (taxonomy, label) WHERE retrieval_rank BETWEEN 1 AND ? GROUP BY ALL) "
        "SELECT a.document FROM shown a JOIN shown b USING (document) "
        "WHERE a.run = 'old' AND b.run = 'new' AND a.names = b.names"
    )
    spec = after.program.spec
    with Store(path) as store:
        same = {document for (document,) in store.connection.execute(query, [spec.listed]).fetchall()}
    pieces: dict[bool, set[str]] = {True: set(), False: set()}
    for row in map(orjson.loads, corpus.read_bytes().splitlines()):
        pieces[row["id"] in same].update(chunk(row["text"], spec.chunk_characters, spec.chunk_overlap))
    kept = pieces[True] - pieces[False]
    questions = (orjson.loads(body)["messages"][-1]["content"] for body in bodies)
    return sum(_text(question) in kept for question in questions)


def _text(question: str) -> str:
    """Take the document's piece out of a question of either kind."""
    listwise = question.removeprefix("[[ ## text ## ]]\n").partition("\n\n[[ ## candidates ## ]]\n")
    return listwise[0] if listwise[1] else question.removeprefix("Text:\n").rpartition("\n\nCandidate: ")[0]


if __name__ == "__main__":
    main()
