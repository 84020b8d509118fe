"""Finding the gaps of a taxonomy: what documents say and no label is near to, as proposals.

Answering outside the vocabulary is what GROOV (Simig et al. 2022, arXiv 2209.06148) has a model do; here, what Infer
said before any label was looked up is compared with the labels afterwards, and put together over the whole corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelmill.pipelines.gaps.clusters import cluster, medoid
from labelmill.pipelines.gaps.nearness import Far, far
from labelmill.pipelines.gaps.phrases import Source, Told
from labelmill.pipelines.gaps.proposals import NearLabel, Proposal
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.index import Indexes
from labelmill.taxonomy import Taxonomy

_SHOWN = 10
_COUNTED = 5
"""Documents beyond which a phrase counts no more for the name of its cluster."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as near, as alike, as enough. Chosen on the benchmark, see ``benchmarks/taxonomy_gaps.py``.

    Attributes:
        near: A label is near to a phrase whose cosine with its name or an alias is at least this.
        spelled: Or whose letters are as alike as this, by the cosine of weighted character n-grams.
        alike: Phrases are of one cluster whose cosine with its first is at least this.
        alias: What is proposed as an alias has at least this cosine with one label,
        margin: and with every other one so much less.
        documents: Documents that speak for a proposal at least.
        proposals: New labels and aliases that are proposed at most.
        phrases: Phrases without a near label that are clustered at most, the most frequent: 1.5 KB each.
    """

    near: float = 0.8
    spelled: float = 0.75
    alike: float = 0.6
    alias: float = 0.65
    margin: float = 0.1
    documents: int = 2
    proposals: int = 500
    phrases: int = 200_000


@dataclass(frozen=True, slots=True)
class Gaps:
    """What was found.

    Attributes:
        proposals: New labels and aliases, the most promising first.
        phrases: How many phrases there were.
        looked_at: How many of them were compared with the labels.
        far: How many of these no label is near to.
        clusters: How many clusters they make.
        spoken_for: How many of the clusters have enough documents.
    """

    proposals: tuple[Proposal, ...]
    phrases: int = 0
    looked_at: int = 0
    far: int = 0
    clusters: int = 0
    spoken_for: int = 0


def find_gaps(
    source: Source, taxonomy: Taxonomy, indexes: Indexes, embedder: Embedder, *, limits: Limits, told: Told
) -> Gaps:
    """Propose new labels and aliases for what no label is near to.

    Args:
        source: What documents say.
        taxonomy: The labels.
        indexes: Of these.
        embedder: Makes vectors of phrases, and remembers them for a while.
        limits: What counts as near, as alike, as enough.
        told: Told what is being done and how far it is.
    """
    phrases = source.phrases(name for label in taxonomy for name in (label.name, *label.aliases))
    found = far(
        phrases,
        indexes,
        embedder,
        near=limits.near,
        spelled=limits.spelled,
        most=limits.phrases,
        told=told,
    )
    order = np.lexsort((np.arange(len(found.phrases)), -found.likeness[:, 0]))
    leaders = np.empty(len(order), dtype=np.int64)
    total = len(order)
    leaders[order] = order[cluster(found.vectors[order], limits.alike, lambda done: told("clustering", done, total))]
    clusters = _members(leaders, found)
    supports = source.supports(
        {found.phrases[place].key: number for number, members in enumerate(clusters) for place in members.tolist()}
    )
    proposals = [
        _propose(taxonomy, found, members, supports[number], limits)
        for number, members in enumerate(clusters)
        if number in supports and supports[number][0] >= limits.documents
    ]
    kept = sorted(proposals, key=lambda each: (-_promise(each), each.name))[: limits.proposals]
    return Gaps(tuple(kept), len(phrases), found.looked_at, total, len(clusters), len(proposals))


def _members(leaders: NDArray[np.int64], found: Far) -> list[NDArray[np.intp]]:
    """List the members of each cluster, the most frequent first."""
    counts = np.array([phrase.documents for phrase in found.phrases], dtype=np.int64)
    order = np.lexsort((np.arange(len(leaders)), -counts, leaders))
    starts = np.flatnonzero(np.diff(leaders[order], prepend=-1))
    return np.split(order, starts[1:]) if len(order) else []


def _propose(
    taxonomy: Taxonomy, found: Far, members: NDArray[np.intp], support: tuple[int, Sequence[str]], limits: Limits
) -> Proposal:
    weights = [float(min(found.phrases[place].documents, _COUNTED)) for place in members.tolist()]
    middle = int(members[medoid(found.vectors[members], weights)])
    name = found.phrases[middle].text
    near = [(label, score) for label, score in zip(found.labels[middle], found.likeness[middle], strict=True)]
    nearest = tuple(
        NearLabel(label=taxonomy[label].id, name=taxonomy[label].name, likeness=round(float(score), 3))
        for label, score in near
        if label >= 0
    )
    first = nearest[0].likeness if nearest else 0.0
    second = nearest[1].likeness if len(nearest) > 1 else 0.0
    alone = first >= limits.alias and first - second >= limits.margin
    return Proposal(
        kind="alias" if alone else "new",
        name=name,
        label=nearest[0].label if alone else "",
        parents=() if alone else _parents(taxonomy, [int(label) for label, _ in near if label >= 0]),
        documents=support[0],
        sample=tuple(support[1]),
        phrases=tuple(dict.fromkeys([name, *(found.phrases[place].text for place in members[:_SHOWN].tolist())])),
        nearest=nearest,
    )


def _parents(taxonomy: Taxonomy, nearest: Sequence[int]) -> tuple[str, ...]:
    """Propose the parent that most of the nearest labels have; none where each has another, or it is no label."""
    known = (taxonomy.whole or taxonomy).has
    counts = Counter(parent for label in nearest for parent in dict.fromkeys(taxonomy[label].parents) if known(parent))
    best = counts.most_common(1)
    return (best[0][0],) if best and best[0][1] > 1 else ()


def _promise(proposal: Proposal) -> float:
    """Rank proposals: what is nearer to labels is likelier one of their kind, and more documents say more."""
    likeness = proposal.nearest[0].likeness if proposal.nearest else 0.0
    return likeness + 0.05 * float(np.log(proposal.documents))
