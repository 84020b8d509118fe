"""Labels that documents use for two things: what speaks for them falls into two clearly separate clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from labelmill.pipelines.gaps.clusters import medoid, split
from labelmill.pipelines.gaps.phrases import Told
from labelmill.pipelines.gaps.proposals import Part, Proposal
from labelmill.retrievers.base import Embedder
from labelmill.taxonomy import Taxonomy

SEPARATION = 0.3
"""How much more alike the phrases of one part are than those of different parts, in cosine."""

_LEAST_SHARE = 0.2
_MOST_PHRASES = 200
_SHOWN = 10
_SAMPLE = 5

Supporting = Mapping[str, Sequence[tuple[str, int, tuple[str, ...]]]]
"""By label: phrases, in how many documents each is, and ids of some of these."""


def overloaded(
    supporting: Supporting, taxonomy: Taxonomy, embedder: Embedder, *, separation: float, least: int, told: Told
) -> list[Proposal]:
    """Propose to split labels, those of the clearest separation first.

    Args:
        supporting: What speaks for each label.
        taxonomy: Where the labels are; others are passed over.
        embedder: Makes the phrases' vectors.
        separation: Least difference of the mean cosines within the parts and between them.
        least: Documents of a part at least; and a fifth of the label's.
        told: Told how far it is.
    """
    places = {label.id: position for position, label in enumerate(taxonomy)}
    found = list[Proposal]()
    for done, (label, said) in enumerate(supporting.items(), 1):
        if label in places and (parts := list(_parts(said[:_MOST_PHRASES], embedder, separation, least))):
            name, documents = taxonomy[places[label]].name, sum(count for _, count, _ in said)
            apart = round(parts[0][1], 3)
            found.append(
                Proposal(
                    kind="split",
                    name=name,
                    label=label,
                    documents=documents,
                    parts=tuple(part for part, _ in parts),
                    separation=apart,
                )
            )
        told("looking for overloaded labels", done, len(supporting))
    return sorted(found, key=lambda each: (-(each.separation or 0.0), -each.documents, each.label))


def _parts(
    said: Sequence[tuple[str, int, tuple[str, ...]]], embedder: Embedder, separation: float, least: int
) -> Iterator[tuple[Part, float]]:
    if len(said) < 4:  # two parts of two phrases: of one alone nothing is known
        return
    vectors = embedder.embed([text for text, _, _ in said])
    counts = np.array([count for _, count, _ in said], dtype=np.float64)
    halves = split(vectors, counts)
    if halves is None or halves.within - halves.between < separation:
        return
    sides = (np.flatnonzero(halves.first), np.flatnonzero(~halves.first))
    enough = max(least, _LEAST_SHARE * counts.sum())
    if any(len(side) < 2 or counts[side].sum() < enough for side in sides):
        return
    for side in sorted(sides, key=lambda side: (-counts[side].sum(), side[0])):
        name = said[side[medoid(vectors[side], counts[side].tolist())]][0]
        phrases = tuple(dict.fromkeys([name, *(said[place][0] for place in side.tolist())]))[:_SHOWN]
        sample = tuple(dict.fromkeys(document for place in side.tolist() for document in said[place][2]))[:_SAMPLE]
        part = Part(name=name, phrases=phrases, documents=int(counts[side].sum()), sample=sample)
        yield part, halves.within - halves.between
