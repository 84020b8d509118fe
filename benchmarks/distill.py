"""What a student keeps of its teacher, and how much faster it is: distilled from a tuned program's own labels.

Run it with ``python benchmarks/distill.py [debtags|gnd_tibcore]... [--train N] [--test N]
[--student KIND:FEATURES]... [--keep-noise] [--unweighted] [--no-names] [--cascade PROMISE] [--spoil SHARE]...
[--teach] [--as-is] [--keep FOLDER] [--json]``. It needs the development data (LABELMILL_DATA, or ../shared/data). The
teacher is tuned on gold as ``benchmarks/tuned.py`` has it, without a language model; it then labels training documents,
whose gold nobody sees, and the student learns from these labels alone. What took long (the program, the teacher's
labels) is kept in a folder: the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from data import data_folder, show_building

from labelmill import Document, Labeler, Taxonomy
from labelmill.artifacts import cache_dir
from labelmill.corpus import read_documents
from labelmill.eval import Rankings, evaluate, resolve_gold
from labelmill.learning.pruning import prune
from labelmill.learning.ridge import choose_strength, fit_ridge, keep_weights
from labelmill.pipelines.distilling import distill
from labelmill.pipelines.evaluate import evaluate_run
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.progress import RunProgress
from labelmill.pipelines.tuning import TuneProgress, tune
from labelmill.retrievers.students.features import TfIdf
from labelmill.retrievers.students.linear import LinearModel
from labelmill.store import Store

RATED = {"teacher": 64, "tfidf": 5000, "embedding": 300, "both": 300}
"""Documents that a rate is measured on: half a minute of each, one after the other, on the same machine."""

CASCADED = 200
"""Documents of a cascade, of which the teacher does some."""


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


def teach(parts: Parts, program: ProgramFile, folder: Path, train: int, test: int) -> None:
    """Have the teacher label what the student learns from, and what both are judged by; goes on where it stopped."""
    write(folder / "gold.jsonl", parts.test[:test], gold=True)
    docs = {
        "teacher-test": write(folder / "test.jsonl", parts.test[:test], gold=False),
        "teacher": write(folder / "train.jsonl", parts.train[:train], gold=False),
    }
    with Labeler(parts.taxonomy, program=program, embedders=program.spec.embedders) as labeler:
        for run, path in docs.items():
            labeler.label_corpus([path], folder / "runs.duckdb", run=run, on_progress=told_rate)


def told_rate(progress: RunProgress) -> None:
    if progress.done % 320 == 0:
        print(f"  {progress.done + progress.skipped} labelled, {progress.rate:.1f}/s", file=sys.stderr, flush=True)


def figures_of(runs: Path, run: str, gold: Path) -> dict[str, list[float]]:
    """Give RP@k and micro F1 with intervals, in per cent."""
    metrics = evaluate_run(runs, [gold], run=run, ks=(5, 10)).evaluation.metrics
    shown = {name: metrics[name] for name in ("rp@5", "rp@10", "micro_f1")}
    return {name: [round(100 * each, 2) for each in (m.value, m.low, m.high)] for name, m in shown.items()}


def rate_of(labeler: Labeler, docs: Path, out: Path, run: str, limit: int | None = None) -> float:
    """Label into a file as `labelmill label` does, once everything is loaded; give documents a second."""
    labeler.label(["warm up"])
    return labeler.label_corpus([docs], out, run=run, limit=limit).rate


def measure(parts: Parts, program: ProgramFile, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Distil, and label the test documents with teacher and students."""
    taxonomy, runs = parts.taxonomy, folder / "runs.duckdb"
    train, test, gold = (folder / f"{name}.jsonl" for name in ("train", "test", "gold"))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "runs.duckdb"
        with Labeler(taxonomy, program=program, embedders=program.spec.embedders) as labeler:
            rate = rate_of(labeler, test, out, "teacher", RATED["teacher"])
        teacher = figures_of(runs, "teacher-test", gold)
        rows: dict[str, Any] = {"teacher": teacher | {"documents_per_second": round(rate, 1)}}
        for kind, features in [each.partition(":")[::2] for each in arguments.student]:
            path = Path(scratch) / f"{kind}-{features}"
            done = distill(
                runs, [train], path, run="teacher", kind=kind, features=features,
                pruned=not arguments.keep_noise, weighted=not arguments.unweighted, named=not arguments.no_names,
            )  # fmt: skip
            with Labeler(taxonomy, program=path) as labeler:
                rate_of(labeler, test, out, path.name)
                own_rate = rate_of(labeler, train, out, f"{path.name}-train", RATED[features])
            found = figures_of(out, path.name, gold)
            rows[f"{kind}, {features}"] = found | {
                "documents_per_second": round(own_rate, 1),
                "of_teacher": round(100 * found["rp@5"][0] / teacher["rp@5"][0], 1),
                "times_as_fast": round(own_rate / rate, 1),
                "hours_for_a_million": round(1e6 / own_rate / 3600, 2),
                "distilled_seconds": round(done.seconds, 1),
                "agreement": done.figures["agreement"],
                "figures": dict(done.figures),
            }
            if arguments.cascade:
                with Labeler(
                    taxonomy, program=program, embedders=program.spec.embedders, student=path, cascade=arguments.cascade
                ) as labeler:
                    rows[f"{kind}, {features}"]["cascade"] = cascaded(labeler, test, out, runs)
    return {"documents": count(test), "taught": done.documents, "labels": len(taxonomy), "rows": rows}


def cascaded(labeler: Labeler, test: Path, out: Path, runs: Path) -> dict[str, float]:
    """Label some test documents by student and teacher; compare the student's final sets with the teacher's own."""
    done = labeler.label_corpus([test], out, run="cascade", limit=CASCADED)
    with Store(out) as store, Store(runs) as taught:
        ours, theirs = final_sets(store, "cascade"), final_sets(taught, "teacher-test")
        marked = "SELECT document, stages = ['student'] FROM documents WHERE run = 'cascade'"
        alone = dict(store.connection.execute(marked).fetchall())
    agreed: dict[bool, list[float]] = {True: [], False: []}
    for document, by_student in alone.items():
        one, other = ours.get(document, set()), theirs.get(document, set())
        agreed[by_student].append(2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0)
    means = {which: float(np.mean(values)) if values else np.nan for which, values in agreed.items()}
    spec = labeler.program.spec.cascade
    return {
        "documents": len(alone),
        "by_student": done.by_student,
        "expected_on": round(spec.expected, 3) if spec else np.nan,
        "f1_with_teacher_by_student": round(means[True], 3),
        "f1_with_teacher_of_the_rest": round(means[False], 3),
        "documents_per_second": round(done.rate, 1),
    }


def final_sets(store: Store, run: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    query = "SELECT document, label FROM predictions WHERE run = ? AND selected"
    for document, label in store.connection.execute(query, [run]).fetchall():
        found.setdefault(document, set()).add(label)
    return found


def spoil(parts: Parts, share: float, documents: int = 2000) -> dict[str, float]:
    """Teach gold of which a share was spoiled, with pruning and without; give RP@5 on other documents, in per cent.

    Of the labels that documents have, the share is taken away; and as many others are given, frequent ones more often.
    """
    rng = np.random.default_rng(0)
    train = [parts.train[place] for place in rng.permutation(len(parts.train))[:documents]]
    gold = [resolve_gold([(d.id, d.labels) for d in some], parts.taxonomy).gold for some in (train, parts.gold)]
    targets = np.zeros((len(train), len(parts.taxonomy)), dtype=np.float32)
    targets[np.repeat(np.arange(len(train)), np.diff(gold[0].indptr)), gold[0].labels] = 1
    given = rng.random(targets.shape) < targets.mean(axis=0) * share
    targets[(rng.random(targets.shape) < share) & (targets > 0)] = 0
    targets[given] = 1
    texts, fresh = ([(document.text,) for document in some] for some in (train, parts.gold))
    words = TfIdf.learn(texts)
    rows, weights = words.rows(texts), np.ones(len(train), dtype=np.float32)
    strength = choose_strength(rows, targets, weights)
    plain = fit_ridge(rows, targets, weights, strength)
    pruned = fit_ridge(rows, prune(targets, plain.left_out).targets, weights, strength)
    found = {}
    for name, fit in (("plain", plain), ("pruned", pruned)):
        model = LinearModel(keep_weights(rows, fit.coefficients), fit.base)
        ranked = [labels.tolist() for labels, _ in model.find(words.rows(fresh), 10)]
        rankings = Rankings.from_lists(ranked, [[True] * len(each) for each in ranked])
        metrics = evaluate(rankings, gold[1], n_labels=len(parts.taxonomy), ks=(5,)).metrics
        found[name] = round(100 * metrics["rp@5"].value, 1)
    return found


def count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def show(name: str, result: dict[str, Any]) -> None:
    """Print a corpus."""
    print(
        f"{name}: {result['labels']:,} labels, taught by {result['taught']:,} documents, "
        f"{result['documents']:,} test documents"
    )
    for row, found in result["rows"].items():
        cells = "  ".join(f"{k} {v[0]:.1f} [{v[1]:.1f}, {v[2]:.1f}]" for k, v in found.items() if isinstance(v, list))
        print(f"  {row:<18} {cells}  {found['documents_per_second']:.1f} documents/s")
        if "of_teacher" in found:
            print(
                f"  {'':<18} {found['of_teacher']:.1f}% of the teacher's RP@5, "
                f"{found['times_as_fast']:.0f} times as fast; 10^6 documents in {found['hours_for_a_million']:.2f} h; "
                f"distilled in {found['distilled_seconds']:.0f} s; F1 with the teacher {found['agreement']:.3f}"
            )
        if "cascade" in found:
            print(f"  {'':<18} cascade: {found['cascade']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", nargs="*", help=f"of {', '.join(CORPORA)}; debtags by default")
    parser.add_argument("--train", type=int, default=6000, help="documents that the teacher labels for the student")
    parser.add_argument("--test", type=int, default=1000, help="documents that both are reported on")
    parser.add_argument("--student", action="append", help="KIND:FEATURES, repeatable; auto:tfidf and so on")
    parser.add_argument("--keep-noise", action="store_true", help="prune nothing")
    parser.add_argument("--unweighted", action="store_true", help="let all documents count alike")
    parser.add_argument("--no-names", action="store_true", help="let labels' names count for nothing")
    parser.add_argument(
        "--cascade", metavar="PROMISE", help='also put the student before the teacher: "agreement>=0.85"'
    )
    parser.add_argument(
        "--spoil", type=float, action="append", help="only show what pruning is worth with this share of wrong labels"
    )
    parser.add_argument("--teach", action="store_true", help="tune and label what the student learns from, no more")
    parser.add_argument("--as-is", action="store_true", help="take what the teacher has labelled so far")
    parser.add_argument("--keep", type=Path, default=cache_dir() / "distill", help="where the teacher's work is kept")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.corpus) - set(CORPORA):
        parser.error(f"unknown corpus {', '.join(sorted(unknown))}; there are {', '.join(CORPORA)}")
    arguments.student = arguments.student or ["auto:tfidf", "auto:embedding", "auto:both"]
    results = {}
    for name in arguments.corpus or ["debtags"]:
        folder = arguments.keep / name
        folder.mkdir(parents=True, exist_ok=True)
        parts = CORPORA[name]()
        if arguments.spoil:
            for share in arguments.spoil:
                results[f"{name}, {share:.0%} spoiled"] = found = spoil(parts, share)
                if not arguments.json:
                    print(
                        f"{name}, {share:.0%} of the labels spoiled: "
                        f"RP@5 {found['plain']} plain, {found['pruned']} pruned"
                    )
            continue
        program = tuned(parts, folder / "program.json")
        if not arguments.as_is:
            teach(parts, program, folder, arguments.train, arguments.test)
        if arguments.teach:
            continue
        results[name] = measure(parts, program, folder, arguments)
        if not arguments.json:
            show(name, results[name])
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
