"""From a specification and a taxonomy to a program: loads embedders, opens indexes, words the prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from labelmill.corpus import chunk
from labelmill.errors import InputError
from labelmill.keys import content_key
from labelmill.models.embedders import MemoEmbedder, load_embedder
from labelmill.pipelines.evidence import EVIDENCE_VERSION, Evidence
from labelmill.pipelines.infer import Infer
from labelmill.pipelines.nearest import Fold, take
from labelmill.pipelines.pointwise import PointwiseRank
from labelmill.pipelines.program import Program, RankStage, Shortcut
from labelmill.pipelines.rank import Rank
from labelmill.pipelines.retrieve import KINDS, LANE_DEPTH, RETRIEVE_VERSION, Lane, Reordering, Retrieve
from labelmill.pipelines.spec import STUDENT_LANE, ProgramSpec, ScorerName
from labelmill.pipelines.whole import WholeRank, by_number, check_size
from labelmill.retrievers.base import Embedder, Retriever, Scorer, TokenEmbedder
from labelmill.retrievers.classifier import Classifier
from labelmill.retrievers.index import INDEX_VERSION, USAGES, Indexes, Progress
from labelmill.retrievers.neighbours import Neighbours
from labelmill.retrievers.students import Student, StudentFolder
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.usages import Usages

_REMEMBERED_TEXTS = 200_000
"""Vectors of queries kept in memory, since windows repeat across documents: about 300 MB of 384 dimensions."""

WEIGHTS = {
    ("names", "text"): 1.0,
    ("names", "windows"): 2.0,
    ("names", "phrases"): 2.0,
    ("aliases", "text"): 1.0,
    ("aliases", "windows"): 2.0,
    ("aliases", "phrases"): 2.0,
    ("descriptions", "text"): 1.0,
    ("bm25", "text"): 1.0,
    ("names.characters", "text"): 1.0,
    ("aliases.characters", "text"): 1.0,
    ("aliases.characters", "phrases"): 1.0,
}
"""What a lane weighs, by what is searched and the kind of query; there is no lane where nothing is said.

Chosen on validation documents (``benchmarks/esco.py --split val``), in whole numbers, since 136 documents do not tell
finer ones apart. Learned weights are for programs tuned on gold.
"""

OF_USAGES = {("usages", "text"): 1.0, ("usages", "windows"): 1.0, ("usages", "phrases"): 1.0}
"""The same of the lanes over phrases that say how documents speak of labels, where such are given."""

OF_STUDENT = {("student", "text"): 2.0}
"""The same of a student's lane, where one is given: it has seen documents, and the others only names."""

_SEARCHED = (
    "names",
    "aliases",
    "descriptions",
    "bm25",
    "names.characters",
    "aliases.characters",
    "neighbours",
    "classifier",
    "student",
    USAGES,
)


def assemble(
    spec: ProgramSpec,
    taxonomy: Taxonomy,
    *,
    embedders: Sequence[Embedder] | None = None,
    progress: Progress | None = None,
    learning: bool = False,
    held_out: Sequence[int] | None = None,
    folds: Fold | None = None,
    usages: Usages | None = None,
    student: StudentFolder | None = None,
) -> Program:
    """Make a program.

    Args:
        spec: What to make.
        taxonomy: The labels.
        embedders: In place of those that the specification names, already loaded.
        progress: Told how far the building of an index is.
        learning: Make it such that evidence can be gathered, from which a fusion is to be learned.
        held_out: For that, the part of each example: those of one part are held out together, and tell nothing of each
            other.
        folds: The same for demonstrations: documents of one part are shown none of each other.
        usages: The phrases whose key the specification has.
        student: The student whose key it has.

    Raises:
        InputError: There is no such lane, the fusion was learned from other evidence, the phrases or the student are
            others or none, or the taxonomy is too large to be shown whole.
    """
    _check_usages(spec, usages)
    _check_student(spec, student)
    if spec.rank == "whole":
        check_size(len(taxonomy))  # what is refused should not wait for indexes
    loaded = [MemoEmbedder(e, _REMEMBERED_TEXTS) for e in embedders or [load_embedder(e) for e in spec.embedders]]
    first = loaded[0] if loaded else None
    opened = _open_student(student, taxonomy, spec, loaded) if student else None
    return Program(
        spec=spec,
        taxonomy=taxonomy,
        retrieve=_retrieve(
            spec,
            Indexes(taxonomy, progress=progress, usages=usages),
            loaded,
            learning=learning,
            held_out=held_out,
            student=opened,
        ),
        # Not by its truth: an embedder that remembers is empty at first.
        infer=None if first is None else make_infer(spec, first, folds),
        rank=None if first is None else make_rank(spec, taxonomy, first, folds),
        embedders=tuple(embedder.fingerprint for embedder in loaded),
        embedder=first,
        shortcut=_shortcut(spec, taxonomy, opened) if opened else None,
    )


def _open_student(
    student: StudentFolder, taxonomy: Taxonomy, spec: ProgramSpec, embedders: Sequence[Embedder]
) -> Student:
    """Give a student its embedder: one of the program, or where the program has others, one of its own."""
    named, fingerprint = student.header.embedder, student.header.embedder_fingerprint
    if not named:
        return student.open(taxonomy, None)
    # By the specification's names too: an embedder may have been given as an object.
    own = [each for name, each in zip(spec.embedders, embedders, strict=True) if name == named]
    own += [each for each in embedders if each.fingerprint == fingerprint or spec.is_student]
    return student.open(taxonomy, own[0] if own else MemoEmbedder(load_embedder(named), _REMEMBERED_TEXTS))


def _shortcut(spec: ProgramSpec, taxonomy: Taxonomy, student: Student) -> Shortcut | None:
    """Make the student a program of its own, which answers where the cascade says so."""
    if spec.cascade is None:
        return None
    alone = ProgramSpec(
        lanes={STUDENT_LANE: 1.0},
        student=spec.student,
        embedders=(),
        candidates=spec.cascade.candidates,
        top_k=spec.cascade.decision.top_k,
        calibration=spec.cascade.calibration,
        decision=spec.cascade.decision,
        chunk_characters=spec.chunk_characters,
        chunk_overlap=spec.chunk_overlap,
    )
    lane = Lane(student, "text", 1.0, "student")
    retrieve = Retrieve([lane], content_key(RETRIEVE_VERSION, [["student", "text", 1.0]], student.fingerprint))
    return Shortcut(Program(spec=alone, taxonomy=taxonomy, retrieve=retrieve), spec.cascade)


def make_infer(spec: ProgramSpec, embedder: Embedder, folds: Fold | None = None) -> Infer | None:
    """Word the Infer stage; None where no model takes part in it. The embedder finds the nearest demonstrations."""
    infer = Infer(spec.task) if spec.infer != "windows" else None
    if infer and "infer" in spec.prompts:
        take(infer, spec.prompts["infer"], embedder, folds)
    return infer


def make_rank(spec: ProgramSpec, taxonomy: Taxonomy, embedder: Embedder, folds: Fold | None = None) -> RankStage | None:
    """Word the Rank stage; None where no model takes part in it. The embedder finds the nearest demonstrations.

    Raises:
        InputError: All labels are to be shown, and they are too many.
    """
    if spec.rank == "fusion":
        return None
    learned, rank = spec.prompts.get("rank"), _plain_rank(spec, taxonomy)
    if learned:
        whole = isinstance(rank, WholeRank)
        take(rank, by_number(learned, taxonomy.labels) if whole else learned, embedder, folds)
    return rank


def _plain_rank(spec: ProgramSpec, taxonomy: Taxonomy) -> RankStage:
    if spec.rank == "pointwise":
        return PointwiseRank(spec.task)
    if spec.rank == "whole":
        titles = [taxonomy.title(position, spec.shown_parents) for position in range(len(taxonomy))]
        return WholeRank(spec.task, taxonomy.labels, titles)
    return Rank(spec.task, spec.listed)


_ASKED = {"windows": ("text", "windows"), "lm": ("text", "phrases"), "both": ("text", "windows", "phrases")}


def _retrieve(
    spec: ProgramSpec,
    indexes: Indexes,
    embedders: Sequence[Embedder],
    *,
    learning: bool,
    held_out: Sequence[int] | None,
    student: Student | None,
) -> Retrieve:
    weights = lane_weights(spec, indexes.taxonomy)
    searched = {what for what, _ in weights}
    taught = _taught(spec, indexes.taxonomy, embedders, searched)
    if student and "student" in searched:
        taught["student"] = student
    lanes = [
        Lane(retriever, kind, weights[what, kind], what, embedder)
        for what, embedder, retriever in _open(dict.fromkeys(what for what, _ in weights), indexes, embedders, taught)
        for kind in _ASKED[spec.infer]
        if (what, kind) in weights
    ]
    # By what is searched, not by the lanes' names: those of an embedder's server have its address.
    weighed = sorted((what, kind, weight) for (what, kind), weight in weights.items())
    made_of: list[Any] = [RETRIEVE_VERSION, INDEX_VERSION, weighed, [embedder.fingerprint for embedder in embedders]]
    made_of += [retriever.fingerprint for retriever in taught.values()]
    made_of += [{"usages": spec.usages}] if spec.usages else []
    if not lanes:
        raise InputError(
            f"infer={spec.infer!r} and lanes={sorted(spec.lanes or {})} leave nothing to retrieve with",
            remedy="Name a lane of this kind of query, such as bm25/text.",
        )
    reordering = None
    if learning or spec.fusion:
        scorers = [_scorer(name, indexes, embedders) for name in spec.scorers if name != "competition"]
        competition = indexes.competition(embedders[0]) if "competition" in spec.scorers else None
        names, near = [lane.name for lane in lanes], taught.get("neighbours")
        evidence = Evidence(
            indexes.taxonomy.labels,
            names,
            scorers,
            LANE_DEPTH,
            neighbours=near if isinstance(near, Neighbours) else None,
            competition=competition,
        )
        reordering = Reordering(evidence, spec.fusion, spec.pool, _left_out(spec, held_out))
        learned = spec.fusion.model_dump(mode="json") if spec.fusion else None
        priors = [label.prior for label in indexes.taxonomy.labels]  # which the taxonomy's own key leaves out
        closer = [scorer.fingerprint for scorer in scorers] + ([competition.fingerprint] if competition else [])
        made_of += [EVIDENCE_VERSION, closer, spec.pool, learned, priors]
        _check_columns(evidence.columns, spec)
    return Retrieve(lanes, content_key(*made_of), reordering)


def _check_usages(spec: ProgramSpec, usages: Usages | None) -> None:
    given, wanted = usages.key if usages else "", spec.usages
    if given == wanted:
        return
    place = usages.source or None if usages else None
    if not wanted:
        said = "this program searches no phrases of usages: gold did not show that they help, or it was made without"
        raise InputError(said, path=place, remedy="Leave --usages out, or tune with it.")
    if not given:
        raise InputError(
            f"this program searches the phrases of a usages file, with the key {wanted[:8]}",
            remedy="Give that file with --usages.",
        )
    raise InputError(
        f"these phrases have the key {given[:8]}, and the program was made with those of the key {wanted[:8]}",
        path=place,
        remedy="Give --usages the file that it was made with, or tune anew.",
    )


def _check_student(spec: ProgramSpec, student: StudentFolder | None) -> None:
    given, wanted = student.key if student else "", spec.student
    if given == wanted:
        return
    if not wanted:
        said = "this program has no student"
        raise InputError(said, path=student.path if student else None, remedy="Leave --student out, or add --cascade.")
    if not given:
        said = f"this program has a student, with the key {wanted[:8]}"
        raise InputError(said, remedy="Give its folder with --student.")
    raise InputError(
        f"this student has the key {given[:8]}, and the program was made with that of the key {wanted[:8]}",
        path=student.path if student else None,
        remedy="Give --student the one that it was made with.",
    )


def _left_out(spec: ProgramSpec, held_out: Sequence[int] | None) -> dict[str, tuple[int, ...]]:
    """Say for the text of each example which examples do not count for it: itself, or those held out with it."""
    parts: dict[int, list[int]] = {}
    for place in range(len(spec.examples)):
        parts.setdefault(held_out[place] if held_out else place, []).append(place)
    return {spec.examples[place].text: tuple(together) for together in parts.values() for place in together}


def lane_weights(spec: ProgramSpec, taxonomy: Taxonomy) -> dict[tuple[str, str], float]:
    """Say which lanes a program has and what they weigh, by what is searched and the kind of query.

    Raises:
        InputError: The specification names a lane that there is none of.
    """
    if spec.lanes is None:
        weights = _merged(WEIGHTS, taxonomy) | (OF_USAGES if spec.usages else {}) | (OF_STUDENT if spec.student else {})
    else:
        weights = {_lane(name): weight for name, weight in spec.lanes.items()}
    return {(what, kind): weight for (what, kind), weight in weights.items() if kind in _ASKED[spec.infer]}


def _lane(name: str) -> tuple[str, str]:
    what, _, kind = name.partition("/")
    if what not in _SEARCHED or kind not in KINDS:
        raise InputError(
            f"there is no lane {name!r}",
            remedy=f"A lane is one of {', '.join(_SEARCHED)}, a slash, and one of {', '.join(KINDS)}.",
        )
    return what, kind


def _check_columns(columns: tuple[str, ...], spec: ProgramSpec) -> None:
    if spec.fusion and columns != spec.fusion.columns:
        different = sorted(set(columns) ^ set(spec.fusion.columns)) or ["their order"]
        raise InputError(
            f"the fusion was learned from other evidence than this program has: {', '.join(different[:3])}",
            remedy="Give the embedders and lanes that it was tuned with, or tune anew.",
        )


_Taught = dict[str, Neighbours | Classifier | Student]


def _taught(spec: ProgramSpec, taxonomy: Taxonomy, embedders: Sequence[Embedder], searched: set[str]) -> _Taught:
    """Make the lanes that learn from labelled examples, of the labels that the taxonomy still has."""
    if not spec.examples:
        return {}
    place = {label.id: position for position, label in enumerate(taxonomy.labels)}
    labels = [[place[label] for label in example.labels if label in place] for example in spec.examples]
    pieces = [chunk(example.text, spec.chunk_characters, spec.chunk_overlap) for example in spec.examples]
    kinds = {"neighbours": Neighbours, "classifier": Classifier}
    return {name: kind(embedders[0], pieces, labels) for name, kind in kinds.items() if name in searched}


def _scorer(name: ScorerName, indexes: Indexes, embedders: Sequence[Embedder]) -> Scorer:
    """Open a scorer; late interaction takes the first embedder that has vectors of tokens.

    Raises:
        InputError: None of the embedders has.
    """
    if name == "overlap":
        return indexes.overlap()
    able = next((embedder for embedder in embedders if isinstance(embedder, TokenEmbedder)), None)
    if able is None:
        raise InputError("late interaction needs the embedder minilm", remedy="Add --embedder minilm.")
    return indexes.tokens(able)


def _open(
    searched: Iterable[str], indexes: Indexes, embedders: Sequence[Embedder], taught: _Taught
) -> Iterator[tuple[str, int | None, Retriever]]:
    """Open what is searched: a dense view once per embedder, which is told by its place, the others once."""
    for what in searched:
        if what == "bm25":
            yield what, None, indexes.bm25()
        elif what in {"neighbours", "classifier", "student"}:
            if what in taught:
                yield what, None, taught[what]
        elif what.endswith(".characters"):
            yield what, None, indexes.characters(what.removesuffix(".characters"))
        else:
            for place, embedder in enumerate(embedders):
                yield what, place, indexes.dense(what, embedder)


def _merged(weights: Mapping[tuple[str, str], float], taxonomy: Taxonomy) -> dict[tuple[str, str], float]:
    """Let one lane stand for those that would search the same texts, with their weights together.

    Without aliases, names and aliases are the same view; without descriptions, names and descriptions are. Equal
    lanes add equal terms to the fusion, so this changes no score and saves their time.
    """
    same: dict[str, str] = {}
    if not any(label.aliases for label in taxonomy.labels):
        same |= {"aliases": "names", "aliases.characters": "names.characters"}
    if not any(label.description for label in taxonomy.labels):
        same |= {"descriptions": "names"}
    merged: dict[tuple[str, str], float] = {}
    for (what, kind), weight in weights.items():
        lane = same.get(what, what), kind
        merged[lane] = merged.get(lane, 0.0) + weight
    return merged
