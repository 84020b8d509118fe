"""What a model is shown of a label: itself, documents that have it, documents that do not, labels that are like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labelmill.pipelines.describing.documents import LabelledDocuments
from labelmill.pipelines.describing.telling import Telling
from labelmill.pipelines.excerpts import excerpt
from labelmill.prompts.describing import show_label, show_lines
from labelmill.taxonomy import Taxonomy

_LONGEST = 300
"""Characters of an excerpt."""

_OTHERS = 5
_LACKING = 2
_ALIKE = 200
"""Characters of the beginning by which one document is as good as another."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model is shown of one label.

    Attributes:
        inputs: Of the prompt that describes; that for phrases takes some of them.
        places: Of the documents with the label that are shown.
    """

    inputs: dict[str, str]
    places: tuple[int, ...]


def show_to_model(label: int, taxonomy: Taxonomy, known: LabelledDocuments, telling: Telling, examples: int) -> Shown:
    """Choose the documents that are most typical of a label, and cut out where they are.

    Args:
        label: Its position.
        taxonomy: The labels.
        known: The documents.
        telling: Their words.
        examples: How many documents with the label to show at most.
    """
    others = telling.alike(label, _OTHERS)
    places = _different(telling.typical(label, 4 * examples), known)[:examples]
    lacking = dict.fromkeys(place for other in others for place in telling.lacking(label, other, 1))
    words = telling.words(label, 1)
    above = [taxonomy[at].name for at in taxonomy.path(label)[:-1]]
    inputs = {
        "label": show_label(taxonomy[label], above),
        "documents": show_lines([_cut(known, place, words) for place in places]),
        "lacking": show_lines([_cut(known, place, ()) for place in list(lacking)[:_LACKING]]),
        "others": show_lines([taxonomy[at].name for at in others]),
    }
    return Shown(inputs, tuple(places))


def _cut(known: LabelledDocuments, place: int, words: Sequence[str]) -> str:
    return excerpt(known.documents[place].text, words[0] if words else "", _LONGEST)


def _different(places: Sequence[int], known: LabelledDocuments) -> list[int]:
    """Leave out documents that begin as one before."""
    begun: dict[str, int] = {}
    for place in places:
        begun.setdefault(known.documents[place].text[:_ALIKE].casefold(), place)
    return list(begun.values())
