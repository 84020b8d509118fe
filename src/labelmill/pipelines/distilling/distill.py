"""Distil: from a run's labels and the texts of its documents to a student that labels hundreds of times as many."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labelmill.corpus import Corpus, chunk
from labelmill.errors import GoldError, InputError
from labelmill.eval import resolve_gold
from labelmill.learning.deciding import fit_decision
from labelmill.learning.promises import Promise
from labelmill.models.embedders import load_embedder
from labelmill.pipelines.distilling.fitted import CANDIDATES, Fitted
from labelmill.pipelines.distilling.fitting import FeatureWish, KindWish, fit_student
from labelmill.pipelines.distilling.judging import Answers
from labelmill.pipelines.distilling.lessons import Lessons, read_lessons, seen_keys
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.learned_from import keys_of_texts
from labelmill.pipelines.program_file import PROGRAM, ProgramFile, TaxonomyVersion
from labelmill.pipelines.spec import STUDENT_LANE, ProgramSpec, make_spec
from labelmill.records import Document
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.students import write_student
from labelmill.retrievers.students.folder import check_target
from labelmill.retrievers.students.linear import Found

_LEAST_GOLD = 20
"""Documents with gold, below which the teacher is the better judge."""

_TAINTED = -1
"""In place of an answer: the student learned from the document, or from one that may be the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Distilled:
    """What came of it.

    Attributes:
        path: The student's folder.
        run: The teacher's run.
        documents: That it learned from.
        figures: How it was fitted, and what it does on documents that it has not seen.
        seconds: That it took.
        notes: What a person should know.
    """

    path: Path
    run: str
    documents: int
    figures: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        plain = {name: getattr(self, name) for name in ("run", "documents", "figures")}
        return plain | {"student": str(self.path), "seconds": round(self.seconds, 3), "notes": list(self.notes)}


def distill(
    runs: str | Path,
    corpus: Corpus | Sequence[str | Path],
    out: str | Path,
    *,
    run: str | None = None,
    kind: KindWish = "auto",
    features: FeatureWish = "tfidf",
    embedder: str | Embedder = "minilm",
    gold: GoldCorpus | None = None,
    promise: Promise = Promise(),  # noqa: B008 - frozen
    top_k: int | None = None,
    pruned: bool = True,
    weighted: bool = True,
    named: bool = True,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Distilled:
    """Distil a student from a run, and write it.

    Args:
        runs: The DuckDB file.
        corpus: The documents that were labelled, or their files: the file of runs has no texts.
        out: The student's folder.
        run: The teacher's run; the newest by default.
        kind: ``linear``, ``omikuji``, or ``auto``, by the number of labels.
        features: ``tfidf``, ``embedding``, or ``both``.
        embedder: Its name, or one that is loaded.
        gold: Documents with gold: what probabilities mean and which labels are given is then by these; else by the
            teacher, on documents left out.
        promise: What the final sets shall hold to; needs gold.
        top_k: Labels of a final set at most; the teacher's by default.
        pruned: Whether labels that are confidently wrong are left out.
        weighted: Whether documents of which the teacher is unsure count for less.
        named: Whether what labels are called may count, for a student that looks at words.
        on_progress: Told what is being done.

    Raises:
        InputError: The run's documents are not in the corpus, a promise has no gold, or the student cannot be written.
        GoldError: The gold is too little.
        StoreError: There is no such run.
        MissingExtraError: Omikuji is wanted and not installed.
    """
    began = time.monotonic()
    if promise.kind != "f1" and gold is None:
        raise InputError("a promise needs gold to be shown by", remedy="Give documents with gold with --gold.")
    check_target(Path(out))
    corpus = corpus if isinstance(corpus, Corpus) else Corpus(corpus)
    on_progress("reading the run")
    lessons = read_lessons(runs, run, corpus)
    if gold is None and not lessons.given.any():
        raise InputError(
            f"run {lessons.run!r} has no label in a final set, so that nothing tells when the student is right",
            remedy="Name a run with --run that cuts less, or give documents with gold with --gold.",
        )
    loaded = load_embedder(embedder) if isinstance(embedder, str) else embedder
    fitted = fit_student(
        lessons, features, loaded, kind, pruned=pruned, weighted=weighted, named=named, told=on_progress
    )
    on_progress("calibrating")
    by_teacher = _by_teacher(lessons, fitted)
    by_gold = _by_gold(lessons, fitted, gold) if gold is not None else None
    most = min(top_k or lessons.top_k, CANDIDATES)
    judge = by_gold or by_teacher
    calibration = judge.calibrate()
    settle = partial(fit_decision, promise=promise, top_k=most)
    decision = settle(calibration.probabilities, judge.correct, judge.groups, judge.wanted)
    if not by_gold:
        told = f"best micro F1 on {len(judge.wanted)} documents with its teacher's labels; nothing is promised"
        decision = decision.model_copy(update={"statement": told})
    held = {f"teacher.{name}": value for name, value in _table(by_teacher, judge, calibration, decision).items()}
    if by_gold:
        held |= {f"gold.{name}": value for name, value in by_gold.table(calibration.probabilities, decision).items()}
    name = embedder if isinstance(embedder, str) else embedder.name
    spec = {
        "lanes": {STUDENT_LANE: 1.0},
        "embedders": (name,) if fitted.width else (),
        "candidates": CANDIDATES,
        "top_k": decision.top_k,
        "calibration": calibration.calibration,
        "decision": decision,
        "learned_from": keys_of_texts(each for each in gold.documents if each.labels is not None) if gold else (),
    }
    figures = fitted.figures | {
        "kind": "linear" if "strength" in fitted.figures else "omikuji",
        "features": features,
        "judged_by": "gold" if by_gold else "teacher",
        "judged_documents": len(judge.wanted),
        "calibration": calibration.calibration.kind,
        "agreement": _mean_f1(held),
        "decision": dict(decision.figures),
    }
    version = TaxonomyVersion(
        key=lessons.taxonomy.key, labels=len(lessons.taxonomy), source=f"run {lessons.run} of {Path(runs).name}"
    )

    def beside(folder: Path, key: str) -> None:
        ProgramFile(
            spec=make_spec(student=key, **spec),
            taxonomy=version,
            embedders=(loaded.fingerprint,) if fitted.width else (),
            figures=figures | {"teacher": lessons.run, "documents": len(lessons)},
        ).write(folder / PROGRAM)

    on_progress("writing")
    ids = [lessons.taxonomy.labels[position].id for position in fitted.labels.tolist()]
    write_student(
        out,
        labels=ids,
        features=fitted.features,
        model=fitted.model,
        held=held,
        seen=lessons.seen,
        width=fitted.width,
        embedder=name if fitted.width else "",
        beside=beside,
    )
    took = time.monotonic() - began
    return Distilled(Path(out), lessons.run, len(lessons), figures, took, lessons.notes)


def _by_teacher(lessons: Lessons, fitted: Fitted) -> Answers:
    """Lay the student's answers beside what the teacher said of the same documents."""
    starts = np.searchsorted(lessons.row, np.arange(len(lessons) + 1)).tolist()
    probable, final = [], []
    for place in fitted.unseen.tolist():
        here = slice(starts[place], starts[place + 1])
        labels = lessons.label[here]
        probable.append(dict(zip(labels.tolist(), lessons.target[here].tolist(), strict=True)))
        final.append(frozenset(labels[lessons.given[here]].tolist()))
    return Answers.of(fitted.found, probable, final)


def _by_gold(lessons: Lessons, fitted: Fitted, gold: GoldCorpus) -> Answers:
    """Lay the student's answers beside gold; of documents that it learned from, those that it gave without them."""
    labelled = [each for each in gold.documents if each.labels is not None]
    resolved = resolve_gold([(each.id, each.labels) for each in labelled], lessons.taxonomy).gold
    ends = resolved.indptr.tolist()
    final = [frozenset(resolved.labels[ends[n] : ends[n + 1]].tolist()) for n in range(len(labelled))]
    answered = _without(lessons, fitted, labelled)
    kept = [place for place, answer in enumerate(answered) if answer != _TAINTED]
    if len(kept) < _LEAST_GOLD:
        raise GoldError(
            f"{len(kept)} documents with gold are too few to calibrate a student on",
            path=gold.source or None,
            remedy=f"Give {_LEAST_GOLD} or more, or leave --gold out: its teacher then says what is right.",
        )
    fresh = _answer(fitted, [labelled[place] for place in kept if answered[place] is None])
    found = [next(fresh) if (place := answered[each]) is None else fitted.found[place] for each in kept]
    sets = [final[place] for place in kept]
    return Answers.of(found, [dict.fromkeys(labels, 1.0) for labels in sets], sets)


def _without(lessons: Lessons, fitted: Fitted, documents: Sequence[Document]) -> list[int | None]:
    """Find the answer that was given to each document without it: its place, None where the student never saw it.

    Texts tell, not ids. `_TAINTED` is a document that the student learned from, under whatever id, and one of which
    another of the lessons may be a copy, since it begins alike.
    """
    judged = {row: place for place, row in enumerate(fitted.unseen.tolist())}
    alike = dict[int, list[int]]()
    for row, key in enumerate(lessons.seen.tolist()):
        alike.setdefault(key, []).append(row)
    found = list[int | None]()
    for document, key in zip(documents, seen_keys(each.text for each in documents).tolist(), strict=True):
        rows = alike.get(key, [])
        own = [row for row in rows if lessons.chunks[row] == _chunks(document)]
        found.append(judged.get(own[0], _TAINTED) if len(own) == 1 else _TAINTED if rows else None)
    return found


def _chunks(document: Document) -> tuple[str, ...]:
    spec = ProgramSpec()
    return tuple(chunk(document.text, spec.chunk_characters, spec.chunk_overlap))


def _answer(fitted: Fitted, documents: Sequence[Document]) -> Any:
    """Rank labels of documents that the student did not learn from."""
    if not documents:
        return iter(())
    rows = fitted.features.rows([_chunks(each) for each in documents])
    found: list[Found] = fitted.model.find(rows, CANDIDATES)
    return iter([(fitted.labels[labels].astype(np.intp), scores) for labels, scores in found])


def _table(by_teacher: Answers, judge: Answers, calibration: Any, decision: Any) -> Mapping[str, Any]:
    """Say what the final decision gives the teacher's documents; the calibration by gold has not seen them."""
    if judge is by_teacher:
        return by_teacher.table(calibration.probabilities, decision)
    return by_teacher.table(calibration.calibration.apply(by_teacher.scores), decision)


def _mean_f1(held: Mapping[str, Any]) -> float:
    """Compute the mean F1 of the student's final sets with its teacher's, on documents that it has not seen."""
    given, right, wanted = (held[f"teacher.{name}"] for name in ("given", "right", "wanted"))
    either = given + wanted > 0
    return round(float((2 * right[either] / (given + wanted)[either]).mean()), 6) if either.any() else 0.0
