"""What cleanlab takes: given labels, and predicted probabilities, as arrays; sparse where they would be large.

https://docs.cleanlab.ai/stable/cleanlab/filter.html and …/cleanlab/multilabel_classification/index.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.corpus.fields import clean
from labelmill.errors import InputError
from labelmill.formats.arrays import Checked, texts, write_arrays
from labelmill.formats.values import Item, Judged, Labels, Opinion, Vote
from labelmill.formats.writing import write_entries

DENSE = 20_000_000
"""Probabilities of a dense array at most: 160 MB."""

_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the file of several labels a document, and whether probabilities are sparse."""

    labels: Path | None
    sparse: bool


def write_examples(
    path: Path, items: Iterable[Item], labels: Labels, *, exclusive: bool, dense: int = DENSE
) -> Written:
    """Write documents with gold labels and a run's probabilities.

    Args:
        path: ``.npz``. Of several labels a document, ``.labels.json`` beside it has the list of lists that cleanlab
            takes.
        items: The documents; all have gold, and exactly one label where labels exclude each other.
        labels: Their labels; classes are positions.
        exclusive: Whether a document has exactly one label: its probabilities then add up to 1, what the run did not
            rank sharing the rest.
        dense: Probabilities of a dense array at most.

    Raises:
        InputError: There are no documents, or a file cannot be written.
    """
    documents: list[str] = []
    gold: list[tuple[int, ...]] = []
    rows: list[NDArray[np.int64]] = []
    scores: list[NDArray[np.float64]] = []
    for item in items:
        documents.append(item.document)
        gold.append(item.gold or ())
        rows.append(np.array([each.label for each in item.predictions], dtype=np.int64))
        scores.append(np.array([each.score for each in item.predictions], dtype=np.float64))
    if not documents:
        raise InputError(
            "no document that the run has done has gold labels",
            remedy="Name documents with labels that are to be looked at: --docs.",
        )
    shape = len(documents), len(labels.labels)
    sparse = shape[0] * shape[1] > dense
    arrays: dict[str, NDArray[Any]] = {
        "document_ids": texts(documents),
        "label_ids": texts([label.id for label in labels.labels]),
        "label_names": texts([label.name for label in labels.labels]),
    }
    arrays |= (
        _sparse(shape, rows, scores) if sparse else {"pred_probs": _dense(shape, rows, scores, exclusive=exclusive)}
    )
    if exclusive:
        arrays["labels"] = np.array([each[0] for each in gold], dtype=np.int64)
        write_arrays(path, arrays)
        return Written(None, sparse)
    arrays["labels_indptr"], arrays["labels_indices"] = _flat(gold)
    write_arrays(path, arrays)
    beside = path.with_name(f"{path.stem}.labels.json")
    write_entries(beside, gold)
    return Written(beside, sparse)


def read_examples(path: Path) -> Iterator[Judged]:
    """Read documents with their given labels, and what the probabilities say: for what is likely, against the rest.

    Raises:
        InputError: An array is absent or does not fit the others.
    """
    file = Checked(path)
    documents, labels = file.texts("document_ids"), file.texts("label_ids")
    gold = _gold(file, len(documents), len(labels))
    indptr, indices, data = _probabilities(file, len(documents), len(labels))
    source = clean(str(path))
    for place, name in enumerate(documents):
        here = slice(indptr[place], indptr[place + 1])
        order = np.argsort(-data[here], kind="stable")
        votes = tuple(
            Vote(labels[label], 1 if score >= _LIKELY else -1, max(score, 1 - score), rank)
            for rank, (label, score) in enumerate(
                zip(indices[here][order].tolist(), data[here][order].tolist(), strict=True), 1
            )
        )
        given = tuple(labels[label] for label in gold[place])
        yield Judged(name, "", (Opinion("pred_probs", votes, predicted=True),), given, f"{source}:{place + 1}")


def _dense(
    shape: tuple[int, int], rows: Sequence[NDArray[np.int64]], scores: Sequence[NDArray[np.float64]], *, exclusive: bool
) -> NDArray[np.float64]:
    full = np.zeros(shape)
    for place, (row, score) in enumerate(zip(rows, scores, strict=True)):
        if exclusive:
            rest = max(0.0, 1 - float(score.sum()))
            left = shape[1] - len(row)
            full[place] = rest / left if left else 0
        full[place, row] = score
    # Exactly 1 as it was, or not within what rounding does: rows that add up are left alone.
    sums = full.sum(axis=1, keepdims=True)
    return np.where(np.abs(sums - 1) < 1e-9, full, full / np.where(sums, sums, 1)) if exclusive else full


def _sparse(
    shape: tuple[int, int], rows: Sequence[NDArray[np.int64]], scores: Sequence[NDArray[np.float64]]
) -> dict[str, NDArray[Any]]:
    return {
        "pred_probs_data": np.concatenate([*scores, np.empty(0)]),
        "pred_probs_indices": np.concatenate([*rows, np.empty(0, np.int64)]),
        "pred_probs_indptr": np.cumsum([0, *map(len, rows)]),
        "pred_probs_shape": np.array(shape, dtype=np.int64),
    }


def _flat(gold: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.cumsum([0, *map(len, gold)]), np.array([each for row in gold for each in row], dtype=np.int64)


def _gold(file: Checked, documents: int, labels: int) -> list[list[int]]:
    if "labels" in file:
        given = [[each] for each in file.whole_numbers("labels", 1, documents).tolist()]
    else:
        indptr, indices = file.whole_numbers("labels_indptr", 1, documents + 1), file.whole_numbers("labels_indices")
        _check_indptr(file, "labels_indptr", indptr, len(indices))
        given = [indices[start:end].tolist() for start, end in pairwise(indptr.tolist())]
    if any(not 0 <= each < labels for row in given for each in row):
        raise file.error(f"a given label is none of 0 to {labels - 1}")
    return given


def _probabilities(
    file: Checked, documents: int, labels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Read probabilities as the arrays of a CSR matrix; none where they are left out."""
    if "pred_probs" in file:
        full = file.numbers("pred_probs", 2, documents)
        if full.shape[1] != labels:
            raise file.error(f"'pred_probs' has {full.shape[1]:,} columns, and there are {labels:,} labels")
        row, indices = np.nonzero(full)
        indptr, data = np.searchsorted(row, np.arange(documents + 1)), full[row, indices]
    elif "pred_probs_data" in file:
        indptr = file.whole_numbers("pred_probs_indptr", 1, documents + 1)
        indices, data = file.whole_numbers("pred_probs_indices"), file.numbers("pred_probs_data")
        _check_indptr(file, "pred_probs_indptr", indptr, len(data))
        if len(indices) != len(data) or (indices.size and not 0 <= indices.min() <= indices.max() < labels):
            raise file.error("'pred_probs_indices' does not fit 'pred_probs_data' and the labels")
    else:
        return np.zeros(documents + 1, np.int64), np.empty(0, np.int64), np.empty(0)
    if not np.all((data >= 0) & (data <= 1)):
        raise file.error("'pred_probs' are not from 0 to 1")
    return indptr.astype(np.int64), indices, data


def _check_indptr(file: Checked, name: str, indptr: NDArray[np.int64], end: int) -> None:
    if indptr[0] != 0 or indptr[-1] != end or (np.diff(indptr) < 0).any():
        raise file.error(f"{name!r} does not rise from 0 to {end:,}")
