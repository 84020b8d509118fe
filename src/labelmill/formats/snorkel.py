"""Snorkel's label matrix: a row per document, a column per labelling function, -1 where it abstains.

https://snorkel.readthedocs.io/en/v0.10.0/packages/labeling.html. A matrix says which of several classes a document
has. Where it may have several labels, a row stands for a document and a label, and 1 and 0 for yes and no; that is the
only way in which Snorkel's label model takes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.corpus.fields import clean
from labelmill.formats.arrays import Checked, texts, write_arrays
from labelmill.formats.values import Electors, Judged, Opinion, Vote

ABSTAINS = -1


@dataclass(frozen=True, slots=True, eq=False)
class Ballots:
    """n votes of m voters on labels of d documents.

    Attributes:
        voters: Their names.
        silence: Of each, whether saying nothing of a label is a no, shape (m,).
        documents: Ids of all documents, in order.
        labels: Ids of the labels, by position.
        names: Their names.
        voter: Shape (n,).
        document: Ascending, shape (n,).
        label: Shape (n,).
        sign: 1 or -1, shape (n,).
        confidence: Shape (n,).
        rank: Shape (n,).
        shown: Whether a document was shown to a voter, shape (d, m).
    """

    voters: Sequence[str]
    silence: NDArray[np.bool_]
    documents: Sequence[str]
    labels: Sequence[str]
    names: Sequence[str]
    voter: NDArray[np.int64]
    document: NDArray[np.int64]
    label: NDArray[np.int64]
    sign: NDArray[np.int64]
    confidence: NDArray[np.float64]
    rank: NDArray[np.int64]
    shown: NDArray[np.bool_]


def write_matrix(path: Path, ballots: Ballots, *, exclusive: bool) -> tuple[int, int]:
    """Write a matrix ``L`` with the names of its rows, its columns and its classes.

    Args:
        path: ``.npz``.
        ballots: What to write.
        exclusive: Whether a row is a document and a number is the position of its label; a voter has then one vote a
            document at most, and it is for a label. Else a row is a document and a label.

    Returns:
        The shape of the matrix.

    Raises:
        InputError: The file cannot be written.
    """
    common: dict[str, NDArray[Any]] = {
        "lf_names": texts(ballots.voters),
        "lf_silence": ballots.silence,
        "label_ids": texts(ballots.labels),
        "label_names": texts(ballots.names),
    }
    if not ballots.shown.all():
        common["shown"] = ballots.shown
    if exclusive:
        row, said, rows = ballots.document, ballots.label, len(ballots.documents)
        common["document_ids"] = texts(ballots.documents)
    else:
        keys, row = np.unique(ballots.document * len(ballots.labels) + ballots.label, return_inverse=True)
        documents, labels = np.divmod(keys, len(ballots.labels))
        said, rows = (ballots.sign > 0).astype(np.int64), len(keys)
        common["document_ids"] = texts(ballots.documents)
        common |= {"row_document": documents, "row_label": labels}
    shape = rows, len(ballots.voters)
    arrays = {"L": _laid_out(shape, row, ballots.voter, said, ABSTAINS, _kind(said)), **common}
    if not (ballots.confidence == 1).all():
        arrays["confidence"] = _laid_out(shape, row, ballots.voter, ballots.confidence, 0, np.float32)
    if ballots.rank.any():
        arrays["rank"] = _laid_out(shape, row, ballots.voter, ballots.rank, 0, np.int32)
    write_arrays(path, arrays)
    return shape


def read_matrix(path: Path) -> tuple[Electors, Iterator[Judged]]:
    """Read a matrix with its names.

    One that somebody else wrote needs ``L``, ``lf_names``, ``document_ids`` and ``label_ids``.

    Returns:
        Who votes, and what is said of each document.

    Raises:
        InputError: An array is absent or does not fit the others.
    """
    file = Checked(path)
    matrix = file.whole_numbers("L", 2)
    voters = file.texts("lf_names", matrix.shape[1])
    pairs = "row_label" in file
    documents = file.texts("document_ids", None if pairs else len(matrix))
    labels = file.texts("label_ids")
    if pairs:
        row_document, row_label = (file.whole_numbers(name, 1, len(matrix)) for name in ("row_document", "row_label"))
        _within(file, "row_document", row_document, 0, len(documents))
        _within(file, "row_label", row_label, 0, len(labels))
    else:
        row_document = row_label = np.arange(len(matrix))
    _within(file, "L", matrix, ABSTAINS, 2 if pairs else len(labels))
    confidence = file.numbers("confidence", 2, len(matrix)) if "confidence" in file else np.ones(matrix.shape)
    rank = file.whole_numbers("rank", 2, len(matrix)) if "rank" in file else np.zeros(matrix.shape, np.int64)
    size = len(documents)
    shown = file.truths("shown", 2, size) if "shown" in file else np.ones((size, len(voters)), np.bool_)
    for name, array in (("confidence", confidence), ("rank", rank), ("shown", shown)):
        if array.shape[1] != len(voters):
            raise file.error(f"the array {name!r} has {array.shape[1]:,} columns, and there are {len(voters):,} voters")
    if len(set(voters)) < len(voters) or not all(map(str.strip, voters)):
        raise file.error("'lf_names' has a name twice, or an empty one", "Name each labelling function differently.")
    silence = file.truths("lf_silence", 1, len(voters)).tolist() if "lf_silence" in file else [False] * len(voters)
    read = _Matrix(matrix, row_document, row_label, confidence, rank, shown, pairs=pairs)
    electors = Electors(dict(zip(voters, silence, strict=True)), together=bool(shown.all()))
    return electors, read.documents(documents, voters, labels, clean(str(path)))


@dataclass(frozen=True, eq=False)
class _Matrix:
    matrix: NDArray[np.int64]
    row_document: NDArray[np.int64]
    row_label: NDArray[np.int64]
    confidence: NDArray[np.float64]
    rank: NDArray[np.int64]
    shown: NDArray[np.bool_]
    pairs: bool

    def documents(
        self, documents: Sequence[str], voters: Sequence[str], labels: Sequence[str], source: str
    ) -> Iterator[Judged]:
        order = np.argsort(self.row_document, kind="stable")
        starts = np.searchsorted(self.row_document[order], np.arange(len(documents) + 1))
        for place, name in enumerate(documents):
            rows = order[starts[place] : starts[place + 1]]
            said: dict[int, list[Vote]] = {voter: [] for voter in np.flatnonzero(self.shown[place]).tolist()}
            for row, voter in np.argwhere(self.matrix[rows] > ABSTAINS).tolist():
                at = rows[row], voter
                value = int(self.matrix[at])
                label = int(self.row_label[at[0]]) if self.pairs else value
                sign = 1 if value or not self.pairs else -1
                # What is 0 was not written: who says nothing of confidence is sure.
                sure = float(self.confidence[at])
                vote = Vote(labels[label], sign, sure if 0 < sure <= 1 else 1.0, max(int(self.rank[at]), 0))
                said.setdefault(voter, []).append(vote)
            opinions = tuple(Opinion(voters[voter], tuple(votes)) for voter, votes in said.items())
            yield Judged(name, "", opinions, None, f"{source}:{place + 1}")


def _laid_out(
    shape: tuple[int, int],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    values: NDArray[Any],
    empty: int,
    kind: type[np.generic],
) -> NDArray[Any]:
    full = np.full(shape, empty, dtype=kind)
    full[row, column] = values
    return full


def _kind(values: NDArray[np.int64]) -> type[np.generic]:
    return np.int8 if values.max(initial=0) < np.iinfo(np.int8).max else np.int32


def _within(file: Checked, name: str, array: NDArray[np.int64], least: int, end: int) -> None:
    if array.size and (array.min() < least or array.max() >= end):
        raise file.error(f"the array {name!r} has {int(array.min())} to {int(array.max())}, not {least} to {end - 1}")
