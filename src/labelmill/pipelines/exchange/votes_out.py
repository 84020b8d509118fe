"""Votes to the files of other tools for weak supervision: Snorkel's label matrix, WRENCH's JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.formats.snorkel import Ballots, write_matrix
from labelmill.formats.wrench import ABSTAINS, Row, write_split
from labelmill.pipelines.exchange.reading import add_reasons
from labelmill.pipelines.exchange.resolving import Resolver, handles
from labelmill.pipelines.voting.electing import Election, hold_election
from labelmill.records import Document

FORMATS = ("snorkel", "wrench")
"""What votes are exported to."""


@dataclass(slots=True)
class ExportedVotes:
    """What was written.

    Attributes:
        format: The format.
        target: The file or folder.
        voters: Their names.
        documents: How many there are.
        votes: How many of them are there.
        left_out: Votes that the format cannot say: those against one of several classes.
        unreadable: Rows of the corpus that are no documents.
        reasons: Where the first of them are, and what is wrong with them.
        not_in_corpus: Documents that were voted on and that the corpus lacks.
        outside: Gold labels that the taxonomy does not have, and how often they were named.
        examples: Why, of each of them.
        notes: What a reader should know, in lines.
    """

    format: str
    target: Path
    voters: list[str]
    documents: int = 0
    votes: int = 0
    left_out: int = 0
    unreadable: int = 0
    reasons: list[str] = field(default_factory=list)
    not_in_corpus: int = 0
    outside: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        plain: dict[str, Any] = {
            name: getattr(self, name) for name in self.__slots__ if name not in {"outside", "examples"}
        }
        return plain | {"target": str(self.target), "outside_taxonomy": dict(self.outside.most_common())}


def export_votes(
    path: str | Path,
    target: str | Path,
    format: str,  # noqa: A002 - the user's word
    *,
    voters: Sequence[str] = (),
    exclusive: bool = False,
    corpus: Corpus | None = None,
    split: str = "train",
    on_progress: Callable[[int], None] = lambda _: None,
) -> ExportedVotes:
    """Write the votes of a file for another tool.

    Args:
        path: The DuckDB file.
        target: For Snorkel the ``.npz`` file, for WRENCH the folder.
        format: One of `FORMATS`.
        voters: Whose votes; everybody's by default.
        exclusive: Whether a document has exactly one label, as it has with WRENCH in any case.
        corpus: For WRENCH, the documents with their texts, and their classes where there is gold.
        split: For WRENCH, which one this is.
        on_progress: Told how many documents of WRENCH are done.

    Raises:
        StoreError: The file has no votes, or not of a voter that is named.
        InputError: A voter votes for several labels of a document that has one, or a file cannot be written.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}", remedy=f"Use one of {', '.join(FORMATS)}.")
    election = hold_election(path, voters=voters)
    done = ExportedVotes(format, Path(target), [each.voter for each in election.voters], notes=list(election.notes))
    ballots = _ballots(election, done, exclusive=exclusive or format == "wrench")
    done.documents, done.votes = len(ballots.documents), len(ballots.voter)
    if format == "snorkel":
        if corpus is not None:
            raise InputError("a label matrix has no texts", remedy="Leave the documents out.")
        write_matrix(done.target, ballots, exclusive=exclusive)
        return done
    lost = int((ballots.confidence != 1).sum() + ((ballots.confidence == 1) & (ballots.rank != 0)).sum())
    if lost:
        done.notes.append(f"confidence and rank of {lost:,} votes are left out: WRENCH has no place for them")
    done.documents = write_split(
        done.target,
        split,
        _rows(election, ballots, corpus, done, on_progress),
        handles(election.taxonomy),
        done.voters,
    )
    return done


def _ballots(election: Election, done: ExportedVotes, *, exclusive: bool) -> Ballots:
    votes, taxonomy = election.votes, election.taxonomy
    kept = votes.sign > 0 if exclusive else np.ones(len(votes), dtype=np.bool_)
    done.left_out = int((~kept).sum())
    voter, document = votes.voter[kept].astype(np.int64), votes.document[kept].astype(np.int64)
    if exclusive:
        _require_one(election, voter, document)
    return Ballots(
        done.voters,
        np.array([bool(each.silence) for each in election.voters]),
        election.documents,
        [label.id for label in taxonomy],
        [label.name for label in taxonomy],
        voter,
        document,
        votes.label[kept].astype(np.int64),
        votes.sign[kept].astype(np.int64),
        votes.confidence[kept].astype(np.float64),
        votes.rank[kept].astype(np.int64),
        np.asarray(votes.shown)[votes.group],
    )


def _require_one(election: Election, voter: NDArray[np.int64], document: NDArray[np.int64]) -> None:
    pairs, counts = np.unique(document * len(election.voters) + voter, return_counts=True)
    if len(pairs) and counts.max() > 1:
        which, who = divmod(int(pairs[counts.argmax()]), len(election.voters))
        raise InputError(
            f"voter {election.voters[who].voter!r} votes for {int(counts.max())} labels of document "
            f"{election.documents[which]!r}, and a matrix of classes has one",
            remedy="Name other voters with --voter, or write a matrix of pairs: --format snorkel without --exclusive.",
        )


def _rows(
    election: Election, ballots: Ballots, corpus: Corpus | None, done: ExportedVotes, on_progress: Callable[[int], None]
) -> Iterator[Row]:
    """Give a row for each document: in the order of the corpus with it, else by id."""
    starts = np.searchsorted(ballots.document, np.arange(len(ballots.documents) + 1))
    resolver = Resolver(election.taxonomy)
    done.outside, done.examples = resolver.outside, resolver.examples
    places = {name: place for place, name in enumerate(ballots.documents)}
    several = written = 0
    for document in _documents(ballots, corpus, done):
        place = places.get(document.id)
        if place is None:
            continue
        here = slice(starts[place], starts[place + 1])
        said = [ABSTAINS] * len(ballots.voters)
        for voter, label in zip(ballots.voter[here].tolist(), ballots.label[here].tolist(), strict=True):
            said[voter] = label
        gold = resolver.positions(document.labels or (), document.source)
        several += len(gold) > 1
        yield document.id, document.text or None, gold[0] if len(gold) == 1 else ABSTAINS, said
        written += 1
        if not written % 10_000:
            on_progress(written)
    done.not_in_corpus = len(places) - written
    if several:
        done.notes.append(
            f"without gold: {several:,} of the documents, which have several gold labels: WRENCH takes one"
        )


def _documents(ballots: Ballots, corpus: Corpus | None, done: ExportedVotes) -> Iterator[Document]:
    if corpus is None:
        yield from (Document(name, "") for name in ballots.documents)
        return
    for row in corpus.documents():
        if isinstance(row, Document):
            yield row
        else:
            done.unreadable += 1
            add_reasons(done.reasons, [row])
