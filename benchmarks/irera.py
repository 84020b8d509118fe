"""labelmill beside IReRa's program logic: how well, how fast and for how many tokens, in one run on the same documents.

Run it with ``python benchmarks/irera.py [--split val|test] [--set tech|house|both] [--limit N] [--lm LM]
[--embedder minilm] [--rank fusion|listwise] [--program PROGRAM.json] [--json]``. It needs the development data
(LABELMILL_DATA, or ../shared/data). Both programs have the same labels, embedder and model. ``--lm none`` compares
what needs no model; ``scripted`` answers from the document's own words, so that calls and tokens can be compared on
any machine; ``MODEL@URL`` and URLs are real models. ``embedded`` shows that both run: SmolLM2 does not follow IReRa's
prompt without demonstrations, so that its quality says nothing. A program tuned on ``val`` is measured on ``test``.

Blocks of documents go through both in turn, so that a busy machine is equally busy for both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from data import data_folder, show_building
from irera_program import InferRetrieveRank, NameRetriever
from word_model import Counted, WordModel

from labelmill import Document, Taxonomy
from labelmill.corpus import read_documents
from labelmill.errors import LabelmillError, ModelRejected
from labelmill.eval import Gold, Rankings, evaluate, resolve_gold
from labelmill.eval.comparison import compare
from labelmill.models.client import ChatModel
from labelmill.models.embedders import load_embedder
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.execution import Execution
from labelmill.pipelines.program import Program
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.spec import ProgramSpec, make_spec, remake
from labelmill.prompts.card import TaskCard
from labelmill.retrievers.base import Embedder

BLOCK = 16
KS = (5, 10, 50)
SHOWN = ("rp@5", "rp@10", "r@50")
REFERENCE, OURS = "IReRa's logic", "labelmill"
TASK = TaskCard(document="a snippet from a job vacancy", label="an ESCO job skill")
"""What IReRa's own prompts say of ESCO."""

Rows = list[list[int]]


@dataclass
class Contender:
    """A program, and what came of it.

    Attributes:
        label: Ranks positions in the taxonomy for documents.
        model: Counts what it asks; None without a model.
        rankings: By document.
        seconds: That it took.
    """

    label: Callable[[Sequence[Document]], Awaitable[Rows]]
    model: Counted | None
    rankings: Rows = field(default_factory=list)
    seconds: float = 0.0

    def forget(self) -> None:
        """Begin anew: what was done to warm up does not count."""
        self.rankings, self.seconds = [], 0.0
        if self.model:
            self.model.forget()

    async def go(self, documents: Sequence[Document]) -> None:
        """Label a block."""
        start = perf_counter()
        found = await self.label(documents)
        self.seconds += perf_counter() - start
        self.rankings += found


def reference(retriever: NameRetriever, taxonomy: Taxonomy, model: Counted | None) -> Contender:
    """Set IReRa's logic up; what it asks of the model for a block goes out together, as ours does."""
    program = InferRetrieveRank(retriever, model)
    place = {label.name: position for position, label in reversed(list(enumerate(taxonomy.labels)))}

    async def label_one(text: str) -> list[int]:
        try:
            return [place[name] for name in await program.label(text)]
        except ModelRejected as error:
            print(f"{REFERENCE}: {error}", file=sys.stderr)
            return []

    async def label(documents: Sequence[Document]) -> Rows:
        return list(await asyncio.gather(*(label_one(document.text) for document in documents)))

    return Contender(label, model)


def ours(program: Program, model: Counted | None, concurrency: int) -> Contender:
    """Set our program up; a document that failed has no labels, and counts as zero."""
    place = {label.id: position for position, label in enumerate(program.taxonomy.labels)}
    execution = Execution(program, model, concurrency=concurrency)

    async def label(documents: Sequence[Document]) -> Rows:
        result = await execution.label(documents)
        for failure in result.failures:
            print(f"{OURS}: {failure.document}: {failure.stage}: {failure.message}", file=sys.stderr)
        ranked = {done.document: [place[each.label] for each in done.predictions] for done in result.documents}
        return [ranked.get(document.id, []) for document in documents]

    return Contender(label, model)


def specify(arguments: argparse.Namespace, model: str) -> ProgramSpec:
    """Say what our program is: as it comes, or as it was tuned.

    Raises:
        InputError: The file holds no program, or its program needs a model and there is none.
    """
    if arguments.program:
        tuned = ProgramFile.read(arguments.program).spec
        return remake(tuned, model=model) if tuned.uses_model else tuned
    return make_spec(
        infer="both" if model else "windows",
        rank=arguments.rank if model else "fusion",
        model=model,
        embedders=(arguments.embedder,),
        task=TASK,
    )


async def race(contenders: dict[str, Contender], documents: Sequence[Document]) -> None:
    """Put blocks of documents through all in turn, every second block in the other order."""
    for contender in contenders.values():
        await contender.go([Document("warm up", "You cook for guests and speak French.")])
        contender.forget()
    for number, start in enumerate(range(0, len(documents), BLOCK)):
        for contender in list(contenders.values())[:: -1 if number % 2 else 1]:
            await contender.go(documents[start : start + BLOCK])


def measure(contenders: dict[str, Contender], gold: Gold, labels: int) -> dict[str, Any]:
    """Score what both did, and the difference."""
    rankings = {
        name: Rankings.from_lists(each.rankings, [[False] * len(row) for row in each.rankings])
        for name, each in contenders.items()
    }
    documents = len(gold)
    programs = {}
    for name, each in contenders.items():
        metrics = evaluate(rankings[name], gold, n_labels=labels, ks=KS).metrics
        counts = {kind: getattr(each.model, kind, 0) / documents for kind in ("calls", "read", "written")}
        programs[name] = {
            "metrics": {m: {"value": metrics[m].value, "low": metrics[m].low, "high": metrics[m].high} for m in SHOWN},
            "seconds_per_document": each.seconds / documents,
            "ratio": each.seconds / contenders[REFERENCE].seconds,
        } | {f"{kind}_per_document": count for kind, count in counts.items()}
    differences = compare([rankings[REFERENCE], rankings[OURS]], [gold, gold], ks=KS).metrics
    return {"documents": documents, "programs": programs, "difference": {m: differences[m].as_dict() for m in SHOWN}}


async def compare_on(
    sets: dict[str, list[Document]],
    taxonomy: Taxonomy,
    program: Program,
    retriever: NameRetriever,
    connection: Connection,
) -> dict[str, Any]:
    """Measure both programs on each set, over one connection to the model."""
    results: dict[str, Any] = {}
    async with connection.open() as model:
        for name, documents in sets.items():
            counted = [Counted(model) if model else None for _ in range(2)]
            contenders = {
                REFERENCE: reference(retriever, taxonomy, counted[0]),
                OURS: ours(program, counted[1], connection.concurrency),
            }
            await race(contenders, documents)
            gold = resolve_gold([(document.id, document.labels) for document in documents], taxonomy).gold
            results[name] = measure(contenders, gold, len(taxonomy))
    return results


def print_table(name: str, result: dict[str, Any], setting: str) -> None:
    """Print a row per program, and the difference below."""
    titles = "".join(f"{metric.upper():>22}" for metric in SHOWN)
    print(f"\n{name.upper()}, {setting}: {result['documents']} documents; in brackets 95% intervals")
    print(f"{'':<14}{titles}{'ms/doc':>9}{'ratio':>7}{'calls':>7}{'read':>8}{'written':>8}")
    for program, found in result["programs"].items():
        scores = "".join(f"{_interval(found['metrics'][metric]):>22}" for metric in SHOWN)
        calls, read, written = (found[f"{kind}_per_document"] for kind in ("calls", "read", "written"))
        speed = f"{1000 * found['seconds_per_document']:>9.1f}{found['ratio']:>7.2f}"
        print(f"{program:<14}{scores}{speed}{calls:>7.1f}{read:>8.0f}{written:>8.0f}")
    changes = result["difference"]
    cells = "".join(f"{_interval(change | {'value': change['difference']}, '+'):>22}" for change in changes.values())
    print(f"{'difference':<14}{cells}")
    print(f"{'p (paired)':<14}" + "".join(f"{change['p_value']:>22.3f}" for change in changes.values()))


def _interval(found: dict[str, float], sign: str = "") -> str:
    value, low, high = (f"{100 * found[end]:{sign}.1f}" for end in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def read_sets(folder: Path, arguments: argparse.Namespace) -> dict[str, list[Document]]:
    """Read the first documents of the sets that were asked for."""
    sets = {}
    for name in ("tech", "house") if arguments.set == "both" else (arguments.set,):
        read = read_documents([folder / f"docs-{name}-{arguments.split}.jsonl.gz"])
        sets[name] = [item for item in read if isinstance(item, Document)][: arguments.limit]
    return sets


def warn_of_seen(spec: ProgramSpec, sets: dict[str, list[Document]]) -> None:
    """Say which documents a tuned program has learned from: their figures are not what others would get."""
    learned = {example.text for example in spec.examples}
    for name, documents in sets.items():
        if seen := sum(document.text in learned for document in documents):
            print(f"{name}: the program was tuned on {seen} of {len(documents)} documents", file=sys.stderr)


async def find_model(lm: str, resources: contextlib.ExitStack) -> Connection:
    """Find the model that both ask."""
    given: str | ChatModel = WordModel() if lm == "scripted" else lm
    return await Connection.find(given, resources)


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Set both up, and compare them."""
    folder = data_folder("esco")
    taxonomy = Taxonomy.read(folder / "labels.jsonl.gz", where="kind = 'skill'")
    with contextlib.ExitStack() as resources:
        connection = await find_model(arguments.lm, resources)
        spec = specify(arguments, connection.model)
        embedders: list[Embedder] = [load_embedder(name) for name in spec.embedders]
        priors = json.loads((folder / "priors.json").read_text("utf-8"))
        names = [label.name for label in taxonomy.labels]
        retriever = NameRetriever(names, embedders[0], priors, arguments.prior)
        program = assemble(spec, taxonomy, embedders=embedders, progress=show_building)
        sets = read_sets(folder, arguments)
        warn_of_seen(spec, sets)
        return await compare_on(sets, taxonomy, program, retriever, connection)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--set", choices=("tech", "house", "both"), default="both")
    parser.add_argument("--limit", type=int, help="documents of each set")
    parser.add_argument("--lm", default="none", help="none, scripted, embedded, MODEL@URL or URL")
    parser.add_argument("--embedder", default="minilm", help="of both; with --program it is the program's first")
    parser.add_argument("--rank", choices=("fusion", "listwise"), default="fusion", help="ours, where there is a model")
    parser.add_argument("--program", type=Path, help="ours as it was tuned: a file of labelmill tune")
    parser.add_argument("--prior", type=float, default=0.0, help="IReRa's prior_A; 0 in its own runs on ESCO")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    try:
        results = asyncio.run(run(arguments))
    except LabelmillError as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        json.dump({"split": arguments.split, "lm": arguments.lm, "results": results}, sys.stdout, indent=2)
        print()
        return
    for name, result in results.items():
        print_table(name, result, f"{arguments.split} split, model {arguments.lm}, {arguments.program or 'untuned'}")


if __name__ == "__main__":
    main()
