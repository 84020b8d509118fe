"""Snorkel's own label model (Ratner et al. 2019, AAAI) on our votes, for labels that exclude each other.

It takes a matrix of documents by voters, in which a cell names one label or none, and so knows no votes against a label
of several, no second vote on a document, no confidence, and no document with several labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError, MissingExtraError
from labelmill.learning.votes import KnownLabels, SoftLabels, Votes

_MOST_CELLS = 200_000_000
"""Of the table of documents by voters and labels that Snorkel makes, 8 bytes each."""

_FEWEST_VOTERS = 3
_WORTH = 1e-3
_INSTEAD = "Use --method dawid-skene."


def snorkel_model(votes: Votes, known: KnownLabels | None = None, *, seed: int = 0) -> SoftLabels:
    """Fit Snorkel's label model with its own settings, and give the probabilities of the documents that have votes.

    Gold gives it the shares of the labels, which is all that it takes of gold; those documents keep theirs.

    Args:
        votes: On labels that exclude each other.
        known: Documents whose label is known.
        seed: Of its start.

    Raises:
        MissingExtraError: Snorkel is not installed.
        InputError: The votes are not such as it takes.
    """
    known = known or KnownLabels.none()
    labels = np.union1d(votes.label, known.label)
    matrix = _matrix(votes, labels)
    voted = (matrix >= 0).any(axis=1)
    balance = None
    if len(known.label):
        counts = np.bincount(np.searchsorted(labels, known.label), minlength=len(labels)) + 1.0
        balance = (counts / counts.sum()).tolist()
    found = np.zeros((votes.documents, len(labels)))
    found[voted] = _fit(matrix[voted], len(labels), balance, seed)
    found[known.document] = 0
    found[known.document, np.searchsorted(labels, known.label)] = 1
    document, place = np.nonzero(found >= _WORTH)
    return SoftLabels(document, labels[place].astype(np.int64), found[document, place])


def _fit(matrix: NDArray[np.int64], labels: int, balance: list[float] | None, seed: int) -> NDArray[np.float64]:
    try:
        from snorkel.labeling.model import LabelModel
    except ImportError:
        raise MissingExtraError("the method 'snorkel'", "snorkel") from None
    model = LabelModel(cardinality=labels, verbose=False)
    model.fit(matrix, seed=seed, class_balance=balance, progress_bar=False)
    return np.asarray(model.predict_proba(matrix), np.float64)


def _matrix(votes: Votes, labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Lay votes out: documents by voters that vote, a cell is the place of a label or -1."""
    voters = np.unique(votes.voter)
    if len(voters) < _FEWEST_VOTERS or len(labels) < 2:
        raise InputError(
            f"Snorkel's label model needs {_FEWEST_VOTERS} voters and 2 labels that are voted on, and there are "
            f"{len(voters)} and {len(labels)}",
            remedy=_INSTEAD,
        )
    if votes.documents * len(voters) * len(labels) > _MOST_CELLS:
        raise InputError(
            f"Snorkel's table of {votes.documents:,} documents, {len(voters):,} voters and {len(labels):,} labels does "
            "not fit in memory",
            remedy=_INSTEAD,
        )
    place = np.searchsorted(labels, votes.label)
    if (votes.sign < 0).any():
        if len(labels) > 2:
            raise InputError(
                f"Snorkel's label model takes no votes against a label of several; {int((votes.sign < 0).sum()):,} are",
                remedy=_INSTEAD,
            )
        place = np.where(votes.sign < 0, 1 - place, place)
    # Of several votes of a voter on a document the best ranked counts, then the surest: it is written last.
    order = np.lexsort((votes.confidence, -votes.rank.astype(np.int64)))
    matrix = np.full((votes.documents, len(voters)), -1, np.int64)
    matrix[votes.document[order], np.searchsorted(voters, votes.voter)[order]] = place[order]
    return matrix
