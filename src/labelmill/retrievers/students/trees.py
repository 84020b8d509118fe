"""What a student knows of more labels and lessons than a linear one can hold: trees of linear classifiers, by Omikuji.

A tree has labels as its leaves; a beam search asks some hundred of its classifiers, however many labels there are
(Prabhu et al. 2018, Parabel; Khandagale et al. 2020, Bonsai). Omikuji reads and writes its own CBOR.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import InputError, MissingExtraError
from labelmill.retrievers.base import best_labels
from labelmill.retrievers.students.linear import Found, LinearModel

TREES = "trees"
"""The folder, within the student's."""

_BEAM = 10
BESIDE_NAMES = 50
"""Labels that trees are asked for where names have a say too."""

_MOST = 1.5
"""Of a tree's score and a name's: the sum is brought into 0..1."""

_DIGITS = 6
_WRITTEN = 7


class TreeModel:
    """A forest that Omikuji has trained or read.

    Args:
        model: Omikuji's own.
        labels: How many there are.
    """

    def __init__(self, model: Any, labels: int) -> None:
        """Keep the forest."""
        self._model, self._labels = model, labels

    @classmethod
    def train(cls, rows: Any, labels: Sequence[NDArray[np.intp]], count: int) -> TreeModel:
        """Train on rows of features, CSR, and the labels of each.

        Raises:
            MissingExtraError: Omikuji is not installed.
            InputError: No row has a feature.
        """
        omikuji = _omikuji()
        if not rows.nnz:  # Omikuji would end the whole process
            raise InputError(
                "no document that trees could learn from has a word that others have, and a label",
                remedy="Learn from another run, or say --kind linear.",
            )
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "train.txt"
            with path.open("w", encoding="ascii") as file:
                file.write(f"{np.count_nonzero(np.diff(rows.indptr))} {rows.shape[1]} {count}\n")
                for place, (start, end) in enumerate(pairwise(rows.indptr.tolist())):
                    if start == end:  # Omikuji takes no document without features
                        continue
                    order = start + np.argsort(rows.indices[start:end], kind="stable")
                    pairs = zip(rows.indices[order].tolist(), rows.data[order].tolist(), strict=True)
                    own = ",".join(map(str, sorted(labels[place].tolist())))
                    file.write(f"{own} {' '.join(f'{slot}:{value:.{_WRITTEN}g}' for slot, value in pairs)}\n")
            with _silence():
                return cls(omikuji.Model.train_on_data(str(path)), count)

    @classmethod
    def read(cls, folder: Path, features: int, labels: int) -> TreeModel:
        """Read what `write` wrote.

        Raises:
            ValueError: It is none, or not of these features.
        """
        omikuji = _omikuji()
        try:
            with _silence():
                model = omikuji.Model.load(str(folder))
        except RuntimeError as error:
            raise ValueError("its trees cannot be read") from error
        # Omikuji adds a constant to the features that it is given.
        if model.n_features not in {features, features + 1}:
            raise ValueError("its trees are not those of its features")
        return cls(model, labels)

    def write(self, folder: Path) -> None:
        """Write the forest into a folder that is not there."""
        with _silence():
            self._model.save(str(folder))

    def find(self, rows: Any, k: int) -> list[Found]:
        """Find the best labels of each row of features; a row's do not depend on the others."""
        found = []
        for start, end in pairwise(rows.indptr.tolist()):
            pairs = list(zip(rows.indices[start:end].tolist(), rows.data[start:end].tolist(), strict=True))
            said = self._model.predict(pairs, beam_size=max(_BEAM, k), top_k=k) if pairs else []
            labels = np.array([label for label, _ in said], dtype=np.intp)
            scores = np.round(np.array([score for _, score in said], dtype=np.float64), _DIGITS)
            known = labels < self._labels
            order = np.lexsort((labels[known], -scores[known]))
            found.append((labels[known][order], np.asarray(np.clip(scores[known][order], 0, 1), np.float64)))
        return found


class NamedTrees:
    """Trees, and beside them what labels are called, those included that no tree knows.

    Args:
        trees: The forest; its labels are the first of all.
        names: What a text is worth to each label by the label's name.
    """

    def __init__(self, trees: TreeModel, names: LinearModel) -> None:
        """Keep both."""
        self.trees, self.names = trees, names

    def find(self, rows: Any, k: int) -> list[Found]:
        """Find the best labels of each row of features, by the sum of both."""
        found = []
        by_trees = self.trees.find(rows, max(k, BESIDE_NAMES))
        for (likely, worth), (alike, shares) in zip(by_trees, self.names.scores(rows, k), strict=True):
            labels, place = np.unique(np.concatenate([likely, alike]), return_inverse=True)
            scores = np.bincount(place, np.concatenate([worth, shares])).round(_DIGITS)
            best = best_labels(scores.astype(np.float32), k)
            found.append((labels[best], np.clip(scores[best] / _MOST, 0, 1)))
        return found


@contextmanager
def _silence() -> Iterator[None]:
    """Keep off both outputs what Omikuji, which is no Python, writes of its progress: results are printed there."""
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, own in zip((1, 2), kept, strict=True):
            os.dup2(own, number)
            os.close(own)
        os.close(nowhere)


def _omikuji() -> Any:
    try:
        import omikuji
    except ImportError as error:
        raise MissingExtraError("A student of so many labels", "distill") from error
    return omikuji
