"""The texts under which a taxonomy's labels are indexed: names, names and aliases, name with description, usages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.records import Label


@dataclass(frozen=True, slots=True)
class View:
    """Texts and the labels that own them, grouped by label in taxonomy order.

    Attributes:
        name: ``names``, ``aliases``, ``descriptions`` or ``usages``; part of lane names and cache keys.
        texts: Length n.
        owners: Position of each text's label, int32, shape (n,), not decreasing.
    """

    name: str
    texts: list[str]
    owners: NDArray[np.int32]


def names(labels: Sequence[Label]) -> View:
    """One text a label: its name."""
    return View("names", [label.name for label in labels], np.arange(len(labels), dtype=np.int32))


def names_and_aliases(labels: Sequence[Label]) -> View:
    """Every name a label goes by, each once."""
    texts: list[str] = []
    owners: list[int] = []
    for position, label in enumerate(labels):
        spellings = dict.fromkeys((label.name, *label.aliases))
        texts.extend(spellings)
        owners.extend([position] * len(spellings))
    return View("aliases", texts, np.asarray(owners, dtype=np.int32))


def names_with_descriptions(labels: Sequence[Label]) -> View:
    """One text a label: its name, and what it means."""
    texts = [f"{label.name}: {label.description}" if label.description else label.name for label in labels]
    return View("descriptions", texts, np.arange(len(labels), dtype=np.int32))


def usages(labels: Sequence[Label], phrases: Mapping[str, Sequence[str]]) -> View:
    """List a label's name, and the phrases by which documents speak of it, by its id; each once.

    With the name, since without it labels that have no phrases could not be found, and the few that have would be the
    best ones for every document.
    """
    own = [tuple(dict.fromkeys((label.name, *phrases.get(label.id, ())))) for label in labels]
    owners = np.repeat(np.arange(len(labels), dtype=np.int32), [len(texts) for texts in own])
    return View("usages", [text for texts in own for text in texts], owners)
