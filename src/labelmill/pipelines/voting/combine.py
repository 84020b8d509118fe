"""Votes combined into soft labels, which are a run like any other: to be evaluated, compared, reported, exported."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill import __version__
from labelmill.errors import InputError
from labelmill.keys import content_key, key_bits, text_key
from labelmill.learning.combining import Combination, combine
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.voting.electing import Election, hold_election
from labelmill.store import RunWriter, Store
from labelmill.store.combined import CombinedLabels, write_combined
from labelmill.store.standings import read_program

KEPT = 50
"""Labels of a document that are stored at most."""

_RANKED = 5
_LIKELY = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class CombinedRun:
    """What came of it.

    Attributes:
        run: Its name.
        election: What went in.
        combination: How votes were combined.
        labels: Pairs of a document and a label that are stored.
        selected: Those of them that are in a final set.
        seconds: Of reading, combining and writing.
        replaced: Whether another combination of this name was replaced.
    """

    run: str
    election: Election
    combination: Combination
    labels: int
    selected: int
    seconds: dict[str, float]
    replaced: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        found, votes = self.combination, self.election.votes
        return {
            "run": self.run,
            "method": found.method,
            "why": found.why,
            "voters": describe_voters(self.election, found),
            "votes": len(votes),
            "documents": votes.documents,
            "gold_documents": len(self.election.known.documents),
            "labels": self.labels,
            "selected": self.selected,
            "tried": [{"method": name, "brier": round(score, 6)} for name, score in found.tried],
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "notes": [*self.election.notes, *self._notes()],
        }

    def _notes(self) -> list[str]:
        return [f"another combination called {self.run!r} was replaced"] if self.replaced else []


def combine_votes(
    path: str | Path,
    *,
    method: str = "auto",
    exclusive: bool = False,
    voters: Sequence[str] = (),
    gold: GoldCorpus | None = None,
    threshold: float | None = None,
    top_k: int | None = None,
    run: str | None = None,
    replace: bool = False,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> CombinedRun:
    """Combine the votes of a file, and write the result into it as a run.

    Args:
        path: The DuckDB file.
        method: One of `labelmill.learning.combining.METHODS`.
        exclusive: Whether a document has exactly one label.
        voters: Whose votes; everybody's by default.
        gold: Documents with gold; those that were voted on teach, and keep it.
        threshold: Least score of a label of the final set; 0.5 by default, none where labels exclude each other.
        top_k: Labels of a final set at most; one where labels exclude each other.
        run: Its name; by default made of the method and all that went in.
        replace: Whether another combination of this name may be replaced; the same one made again always is.
        seed: Of the parts of gold that are left out in turn.
        on_progress: Told what is being done.

    Raises:
        InputError: There are no votes, the threshold is none, the gold does not fit them, or another run has this name.
        StoreError: The file cannot be used.
    """
    least, most = _limits(method, threshold, top_k, exclusive=exclusive)
    seconds, began = {}, time.monotonic()
    on_progress("reading votes")
    election = hold_election(path, voters=voters, gold=gold)
    asked = {"voters": [each.voter for each in election.voters], "exclusive": exclusive}
    given = {"method": method, "seed": seed, "gold": gold.source if gold else None, "run": asked}
    key = content_key("combine", given, least, most, election.taxonomy.key)
    name = run or f"votes-{method}-{key[:8]}"
    with Store(path) as store:  # before anything slow
        replaced = _replaced(store, name, key, replace=replace)
    seconds["reading"] = time.monotonic() - began
    on_progress(f"combining {len(election.votes):,} votes")
    began = time.monotonic()
    found = combine(election.votes, election.known, method=method, exclusive=exclusive, seed=seed)
    seconds["combining"] = time.monotonic() - began
    began = time.monotonic()
    labels = _lay_out(election, found, least, most)
    program = _program(election, found, asked, threshold=least, top_k=most)
    _write(path, name, key, program, election, labels, replace, on_progress)
    seconds["writing"] = time.monotonic() - began
    return CombinedRun(name, election, found, len(labels.score), int(labels.selected.sum()), seconds, replaced)


def describe_voters(election: Election, found: Combination) -> list[dict[str, Any]]:
    """List voters with what the method thinks of them."""
    quality = found.quality
    cast = np.bincount(election.votes.voter, minlength=len(election.voters))
    columns: dict[str, NDArray[np.float64] | None] = {
        "accuracy": quality.accuracy,
        "true_yes": quality.true_yes,
        "false_yes": quality.false_yes,
    }
    return [
        {"voter": voter.voter, "kind": voter.kind, "votes": int(cast[place])}
        | {name: round(float(each[place]), 6) for name, each in columns.items() if each is not None}
        for place, voter in enumerate(election.voters)
    ]


def _limits(method: str, threshold: float | None, top_k: int | None, *, exclusive: bool) -> tuple[float | None, int]:
    """Say from which score on, and how many labels at most, are in final sets."""
    if threshold is not None and not (0 <= threshold < math.inf if method == "ranks" else 0 <= threshold <= 1):
        raise InputError(f"no score passes a threshold of {threshold:g}", remedy="Give --threshold a number in 0..1.")
    if exclusive and top_k not in {None, 1}:
        raise InputError(
            f"a document that has exactly one label has no {top_k}", remedy="Leave --top-k out, or --exclusive."
        )
    if exclusive:
        return threshold, 1
    halves = method != "ranks"  # where a score above a half says more likely than not
    return (threshold if threshold is not None or not halves else _LIKELY), top_k or (KEPT if halves else _RANKED)


def _replaced(store: Store, name: str, key: str, *, replace: bool) -> bool:
    """Tell whether another combination has this name, which may be replaced."""
    there = store.first("SELECT key FROM runs WHERE run = ?", [name])
    if there is None:
        return False
    if "combine" not in read_program(store, name):
        raise InputError(f"run {name!r} is not one of votes", remedy="Give another name with --run.")
    if there[0] != key and not replace:
        raise InputError(
            f"run {name!r} is there already, combined in another way or of other voters",
            path=store.path,
            remedy="Give another name with --run, or --replace.",
        )
    return bool(there[0] != key)


def _lay_out(election: Election, found: Combination, least: float | None, most: int) -> CombinedLabels:
    """Rank each document's labels, and choose its final set; chance decides ties, the same at every time."""
    soft = found.soft
    rounded = np.round(soft.score, 9)
    lots = _lots(election, soft.document, soft.label)
    order = np.lexsort((soft.label, lots, -rounded, soft.document))
    row, label, score = soft.document[order], soft.label[order], rounded[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
    kept = rank <= KEPT
    row, label, score, rank = row[kept], label[kept], score[kept], rank[kept]
    ids = np.array([each.id for each in election.taxonomy.labels], dtype=np.object_)
    selected = (rank <= most) & (score >= (0 if least is None else least))
    return CombinedLabels(election.documents, row, ids[label], rank.astype(np.int32), score, selected)


def _lots(election: Election, document: NDArray[np.int64], label: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Draw a lot for each pair of a document and a label, out of their ids: no label wins all ties of a corpus."""
    documents = key_bits(text_key(name) for name in election.documents)
    labels = key_bits(text_key(each.id) for each in election.taxonomy.labels)
    lots = documents[document] + labels[label]
    lots = (lots ^ (lots >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(lots ^ (lots >> np.uint64(32)))


def _program(
    election: Election, found: Combination, asked: dict[str, Any], *, threshold: float | None, top_k: int
) -> dict[str, Any]:
    """Describe the run as others are: by what made it."""
    calibration = found.calibration.model_dump(mode="json") if found.calibration else None
    made = {
        "method": found.method,
        "why": found.why,
        "asked": asked,
        "probabilities": found.probabilities,
        "voters": describe_voters(election, found),
        "gold_documents": len(election.known.documents),
        "learned_from": [text_key(election.documents[row]) for row in election.known.documents.tolist()],
    }
    return {
        "combine": made,
        "infer": "votes",
        "rank": "votes",
        "model": "",
        "top_k": top_k,
        "threshold": threshold,
        "calibration": calibration,
    }


def _write(
    path: str | Path,
    name: str,
    key: str,
    program: dict[str, Any],
    election: Election,
    labels: CombinedLabels,
    replace: bool,
    on_progress: Callable[[str], None],
) -> None:
    began = time.monotonic()
    with Store(path, write=True) as store:
        _replaced(store, name, key, replace=replace)  # another process may have made it meanwhile
        with store.transaction():  # what was combined before under this name has had its day
            store.connection.execute("DELETE FROM runs WHERE run = ?", [name])
        writer = RunWriter(
            store,
            run=name,
            key=key,
            program=program,
            taxonomy=election.taxonomy,
            taxonomy_source=election.taxonomy.source,
            corpus=[f"votes of {len(election.voters)} voters"],
            version=__version__,
        )
        write_combined(
            store,
            writer,
            key,
            labels,
            [each.voter for each in election.voters],
            lambda done, total: on_progress(f"written {done:,} of {total:,} documents"),
        )
        writer.close("finished", time.monotonic() - began)
