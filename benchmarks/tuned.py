"""What tuning brings: the same recipe on corpora of four kinds, tuned on one part and reported on another.

Run it with ``python benchmarks/tuned.py [esco|esco_without_priors|debtags|nlupp|gnd_tibcore]... [--limit N]
[--folds N] [--embedder minilm]... [--promises N] [--gold N] [--json]``. It needs the development data (LABELMILL_DATA,
or ../shared/data).
No language model takes part. Nothing is set by hand for a corpus; test documents are reported and never chosen by.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from data import data_folder, show_building

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import read_documents
from labelmill.errors import InputError
from labelmill.eval import Gold, Rankings, evaluate, resolve_gold
from labelmill.eval.calibration import expected_calibration_error
from labelmill.eval.comparison import compare
from labelmill.learning.calibrating import fit_calibration
from labelmill.learning.deciding import fit_decision
from labelmill.learning.fusing import fit_fusion
from labelmill.learning.fusion import probabilities
from labelmill.learning.promises import parse_promise
from labelmill.models.embedders import MemoEmbedder, load_embedder
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.spec import remake
from labelmill.pipelines.tuning import TuneProgress, tune
from labelmill.pipelines.tuning.gathering import GoldSet, gather
from labelmill.pipelines.tuning.parts import TAUGHT
from labelmill.pipelines.tuning.ranking import keep_best

KS = (5, 10)
PUBLISHED = "published, TECH and HOUSE: IReRa with GPT-4 63.1/72.0 and 55.6/61.7; ConTeXT-match 64.0/74.0 (TECH)"


@dataclass(frozen=True)
class Split:
    """What is tuned on, and what is reported."""

    name: str
    taxonomy: Taxonomy
    gold: list[Document]
    tests: dict[str, list[Document]]


def read(path: Path, prefix: str = "") -> list[Document]:
    """Read the documents that have gold labels."""
    found = [item for item in read_documents([path]) if isinstance(item, Document) and item.labels]
    return [replace(document, id=prefix + document.id) for document in found]


def with_priors(taxonomy: Taxonomy, path: Path) -> Taxonomy:
    """Give labels the frequencies that are published with the benchmark: shares of some seven million texts."""
    priors = json.loads(path.read_text(encoding="utf-8"))
    return Taxonomy(
        tuple(replace(label, prior=priors.get(label.name)) for label in taxonomy.labels), source=taxonomy.source
    )


def esco(limit: int, *, priors: bool = True) -> Iterator[Split]:
    folder = data_folder("esco")
    skills = Taxonomy.read(folder / "labels.jsonl.gz", where="kind = 'skill'")
    skills = with_priors(skills, folder / "priors.json") if priors else skills
    gold = [each for name in ("tech", "house") for each in read(folder / f"docs-{name}-val.jsonl.gz", f"{name}-")]
    tests = {name: read(folder / f"docs-{name}-test.jsonl.gz")[:limit] for name in ("tech", "house")}
    yield Split("esco", skills, gold, tests)


def debtags(limit: int) -> Iterator[Split]:
    folder = data_folder("debtags")
    train = read(folder / "docs-train.jsonl.gz", "train-")
    gold = [*read(folder / "docs-dev.jsonl.gz", "dev-"), *random.Random(0).sample(train, 200)]
    tests = {"test": read(folder / "docs-test.jsonl.gz")[:limit]}
    yield Split("debtags", Taxonomy.read(folder / "labels.jsonl.gz"), gold, tests)


def nlupp(limit: int) -> Iterator[Split]:
    folder = data_folder("nlupp")
    taxonomy, documents = Taxonomy.read(folder / "labels.jsonl.gz"), read(folder / "docs-banking.jsonl.gz")
    random.Random(0).shuffle(documents)
    for fold in range(5):
        rest = [each for place, each in enumerate(documents) if place % 5 != fold]
        yield Split("nlupp", taxonomy, rest, {"5-fold": documents[fold::5][:limit]})


def gnd_tibcore(limit: int) -> Iterator[Split]:
    folder = data_folder("gnd_tibcore")
    documents = read(folder / "docs-public.jsonl.gz")
    random.Random(0).shuffle(documents)
    tests = {"rest": documents[300:][:limit]}
    yield Split("gnd_tibcore", Taxonomy.read(folder / "labels.jsonl.gz"), documents[:300], tests)


CORPORA = {
    "esco": esco,
    "esco_without_priors": partial(esco, priors=False),
    "debtags": debtags,
    "nlupp": nlupp,
    "gnd_tibcore": gnd_tibcore,
}


@dataclass
class Labelled:
    """The rankings of one program over test documents, its probabilities, and the seconds that it took."""

    ranked: list[list[int]]
    selected: list[list[bool]]
    scores: list[list[float]]
    seconds: float


def label(labeler: Labeler, documents: Sequence[Document]) -> Labelled:
    """Label with everything in order."""
    place = {one.id: position for position, one in enumerate(labeler.taxonomy.labels)}
    labeler.label(["warm up"])
    start = perf_counter()
    found = labeler.label([document.text for document in documents], ranked=True)
    return Labelled(
        [[place[each.label] for each in row] for row in found],
        [[each.selected for each in row] for row in found],
        [[each.score for each in row] for row in found],
        perf_counter() - start,
    )


def join(parts: Sequence[Labelled]) -> Labelled:
    """Put folds together."""
    return Labelled(
        [row for part in parts for row in part.ranked],
        [row for part in parts for row in part.selected],
        [row for part in parts for row in part.scores],
        sum(part.seconds for part in parts),
    )


def describe(labelled: Labelled, gold: Gold, labels: int) -> dict[str, Any]:
    """Give RP@k with intervals, micro F1, and documents a second."""
    metrics = evaluate(Rankings.from_lists(labelled.ranked, labelled.selected), gold, n_labels=labels, ks=KS).metrics
    shown = {name: metrics[name] for name in ("rp@5", "rp@10", "micro_f1")}
    return {
        **{name: [round(100 * value, 2) for value in (m.value, m.low, m.high)] for name, m in shown.items()},
        "documents_per_second": round(len(labelled.ranked) / labelled.seconds, 1),
    }


def calibration_error(parts: Sequence[tuple[Labelled, Gold]]) -> float:
    """Compute the calibration error of the first ten candidates of every document, of all parts together."""
    scores, correct = list[float](), list[bool]()
    for labelled, gold in parts:
        rows = [set(gold.labels[start:end].tolist()) for start, end in pairwise(gold.indptr.tolist())]
        scores += [score for row in labelled.scores for score in row[:10]]
        correct += [label in rows[place] for place, row in enumerate(labelled.ranked) for label in row[:10]]
    return expected_calibration_error(np.array(scores), np.array(correct))


def learn(split: Split, embedders: Sequence[str]) -> tuple[ProgramFile, float]:
    """Tune, with the indexes built beforehand."""
    shown = [""]

    def told(state: TuneProgress) -> None:
        if state.step != shown[0]:
            shown[0] = state.step
            print(f"  {split.name}: {state.step}", file=sys.stderr, flush=True)

    start = perf_counter()
    program = tune(split.taxonomy, split.gold, embedders=embedders, building=show_building, on_progress=told)
    return program, perf_counter() - start


def measure(splits: Iterable[Split], embedders: Sequence[str]) -> dict[str, Any]:
    """Tune on each split and label its test documents, with and without what was learned."""
    runs: dict[str, list[tuple[list[Document], Labelled, Labelled]]] = {}
    seconds, left_out, taxonomy = [], [], None
    for split in splits:
        program, took = learn(split, embedders)
        seconds.append(round(took, 1))
        left_out.append(program.figures["left_out"])
        taxonomy = split.taxonomy
        for name, documents in split.tests.items():
            with Labeler(taxonomy, embedders=embedders) as labeler:
                before = label(labeler, documents)
            with Labeler(taxonomy, program=program, embedders=program.spec.embedders) as labeler:
                after = label(labeler, documents)
            runs.setdefault(name, []).append((documents, before, after))
    assert taxonomy is not None
    result: dict[str, Any] = {"tuning_seconds": seconds, "left_out": left_out, "tests": {}}
    judged: list[tuple[Labelled, Gold]] = []
    for name, folds in runs.items():
        documents = [replace(each, id=f"{f}-{each.id}") for f, (some, _, _) in enumerate(folds) for each in some]
        gold = resolve_gold([(document.id, document.labels) for document in documents], taxonomy).gold
        before, after = join([fold[1] for fold in folds]), join([fold[2] for fold in folds])
        rankings = [Rankings.from_lists(each.ranked, each.selected) for each in (before, after)]
        differences = compare((rankings[0], rankings[1]), (gold, gold), ks=KS, resamples=1000, seed=0).metrics
        result["tests"][name] = {
            "documents": len(documents),
            "untuned": describe(before, gold, len(taxonomy)),
            "tuned": describe(after, gold, len(taxonomy)),
            "difference": {
                k: [round(100 * x, 2) for x in (d.difference.value, d.difference.low, d.difference.high)]
                for k, d in differences.items()
                if k in {"rp@5", "rp@10"}
            },
            "ece@10": round(calibration_error([(after, gold)]), 4),
        }
        judged.append((after, gold))
    result["ece@10"] = round(calibration_error(judged), 4)
    return result


def promises(split: Split, embedders: Sequence[str], splits: int, size: int) -> dict[str, Any]:
    """Make promises on random parts of all documents, of `size` each, and see them kept on the rest.

    Evidence is that of a program tuned on the whole gold, but for what learns from examples; fusion, calibration and
    decision are learned anew on each part.
    """
    program, _ = learn(split, embedders)
    lanes = {name: weight for name, weight in (program.spec.lanes or {}).items() if name not in TAUGHT}
    spec = remake(program.spec, fusion=None, calibration=None, decision=None, blend=None, examples=(), lanes=lanes)
    loaded = [MemoEmbedder(load_embedder(name), 200_000) for name in spec.embedders]
    ready = assemble(spec, split.taxonomy, embedders=loaded, learning=True)
    everything = [*split.gold, *(replace(d, id=f"{n}-{d.id}") for n, test in split.tests.items() for d in test)]
    gold = GoldSet.of(spec, split.taxonomy, everything)
    gathered = gather(ready, gold, [[] for _ in range(len(gold))])
    outcomes: dict[str, list[float | None]] = {}
    for seed in range(splits):
        drawn = np.random.default_rng(seed).permutation(len(gold))[: size or len(split.gold)]
        for promise, kept in _promise(gathered, drawn).items():
            outcomes.setdefault(promise, []).append(kept)
        print(f"  promises: split {seed + 1} of {splits}", file=sys.stderr, flush=True)
    return {
        promise: {
            "splits": len(reached),
            "promised": len(made := [each for each in reached if each is not None]),
            "kept": sum(1 for each in made if each >= parse_promise(promise).level),
            "mean_precision": round(float(np.mean(made)), 3) if made else None,
        }
        for promise, reached in outcomes.items()
    }


def _promise(gathered: Any, drawn: Any) -> dict[str, float | None]:
    """Make each promise on the documents drawn; give the precision on the others, or None where it cannot be made."""
    whole, sizes = gathered.examples, gathered.gold.sizes
    inside = np.isin(whole.groups, drawn)
    some = whole.take(inside)
    own, groups = np.unique(some.groups, return_inverse=True)
    fit = fit_fusion(replace(some, groups=groups))
    pools = [gathered.pools[place] for place in own.tolist()]
    ranked = keep_best(pools, fit.log_odds, some.correct, groups, 50)
    calibration = fit_calibration(
        probabilities(ranked.log_odds), ranked.correct, ranked.groups, gathered.gold.parts[own][ranked.groups]
    )
    rest = whole.take(~inside)
    others, at = np.unique(rest.groups, return_inverse=True)
    fresh = keep_best(
        [gathered.pools[place] for place in others.tolist()],
        fit.fusion.log_odds(rest.values), rest.correct, at, 50,
    )  # fmt: skip
    scores = calibration.calibration.apply(probabilities(fresh.log_odds))
    rank = np.arange(len(scores)) - np.searchsorted(fresh.groups, fresh.groups, side="left")
    found: dict[str, float | None] = {}
    for text in ("precision>=0.5", "precision>=0.6", "precision>=0.7", "precision>=0.8"):
        try:
            decision = fit_decision(
                calibration.probabilities, ranked.correct, ranked.groups, sizes[own],
                promise=parse_promise(text), top_k=5,
            )  # fmt: skip
        except InputError:
            found[text] = None
            continue
        given = (rank < decision.top_k) & (scores >= decision.threshold)
        found[text] = float(fresh.correct[given].mean()) if given.any() else 1.0
    return found


def show(name: str, result: dict[str, Any]) -> None:
    """Print a corpus."""
    print(
        f"{name}: tuned in {', '.join(f'{each} s' for each in result['tuning_seconds'])}; without {result['left_out']};"
        f" ece@10 of the tuned probabilities, all test documents together, {result['ece@10']}"
    )
    for test, found in result["tests"].items():
        print(f"  {test}, {found['documents']} documents: ece@10 {found['ece@10']}")
        for kind in ("untuned", "tuned"):
            cells = "  ".join(
                f"{k} {v[0]:.1f} [{v[1]:.1f}, {v[2]:.1f}]" for k, v in found[kind].items() if k[:1] in "rm"
            )
            print(f"    {kind:<9} {cells}  {found[kind]['documents_per_second']} documents/s")
        cells = "  ".join(f"{k} {v[0]:+.1f} [{v[1]:+.1f}, {v[2]:+.1f}]" for k, v in found["difference"].items())
        print(f"    {'gain':<9} {cells}")
    for promise, kept in result.get("promises", {}).items():
        made = f"could be promised on {kept['promised']} of {kept['splits']} splits, kept on {kept['kept']}"
        print(f"  {promise}: {made}; mean precision {kept['mean_precision']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", nargs="*", help=f"of {', '.join(CORPORA)}; esco by default")
    parser.add_argument("--limit", type=int, default=1000, help="test documents of each corpus or fold")
    parser.add_argument("--folds", type=int, default=5, help="of the corpora that have folds, the first ones")
    parser.add_argument("--embedder", action="append", help="repeatable; minilm by default")
    parser.add_argument("--promises", type=int, default=0, help="random splits of ESCO to make promises on")
    parser.add_argument("--gold", type=int, default=0, help="documents that promises are made on; as many as tuned on")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.corpus) - set(CORPORA):
        parser.error(f"unknown corpus {', '.join(sorted(unknown))}; there are {', '.join(CORPORA)}")
    embedders, results = arguments.embedder or ["minilm"], {}
    for name in arguments.corpus or ["esco"]:
        results[name] = measure(islice(CORPORA[name](arguments.limit), arguments.folds), embedders)
        if name == "esco" and arguments.promises:
            results[name]["promises"] = promises(
                next(esco(arguments.limit)), embedders, arguments.promises, arguments.gold
            )
        if not arguments.json:
            show(name, results[name])
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()
    elif "esco" in results:
        print(PUBLISHED)


if __name__ == "__main__":
    main()
