"""Labels without a language model: clusters of embeddings, named by their terms, described by documents in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labelmill.keys import content_key
from labelmill.learning.clusters import cluster
from labelmill.pipelines.excerpts import excerpt
from labelmill.pipelines.generating.drafts import Decision, Draft, Group, Pool, Rows
from labelmill.pipelines.generating.names import name_of, narrower_first, same_name, terms_by_class
from labelmill.pipelines.generating.tree import typical
from labelmill.store.steps import Step, StepStore

CLUSTER_VERSION = 1
"""Raised whenever the same documents would be divided or named otherwise."""

_QUOTE = 160


class ModelFree:
    """Makes labels of clusters.

    Args:
        pool: The documents.
        pool_key: Identifies them and their vectors.
        exactly: Whether as many labels are wanted as there may be; else as many as the documents show.
        seed: Of what is drawn.
        store: Where each step is kept.
    """

    def __init__(self, pool: Pool, pool_key: str, *, exactly: bool, seed: int, store: StepStore) -> None:
        """Keep them."""
        self._pool = pool
        self._pool_key = pool_key
        self._exactly = exactly
        self._seed = seed
        self._store = store
        self._taken: set[str] = set()

    async def make(self, rows: Rows, most: int, above: Sequence[str]) -> tuple[list[Group], list[Decision]]:
        """Make labels; see `Maker`."""
        of, tried = self._clusters(rows, most, above)
        count = int(of.max()) + 1
        texts = [self._pool.documents[row].text for row in rows]
        terms = [narrower_first(own, above) for own in terms_by_class(texts, of.tolist(), count)]
        found: list[tuple[Rows, list[str]]] = [(rows[of == number], terms[number]) for number in range(count)]
        found.sort(key=lambda each: (-len(each[0]), int(each[0][0])))
        groups, decisions = self._groups(found), list[Decision]()
        if tried and count < max(tried):
            why = f"{count} labels divide the documents as well as more would, up to {most}"
            decisions.append(Decision("chosen", tuple(above), why))
        return groups, decisions

    async def odd(self, groups: Sequence[Group], above: Sequence[str]) -> list[int]:  # noqa: ARG002 - see `Maker`
        """Tell of none: what kind a label is of cannot be told from vectors."""
        return []

    def _clusters(self, rows: Rows, most: int, above: Sequence[str]) -> tuple[Rows, dict[int, float]]:
        """Divide documents, or find how they were divided before."""
        asked = [CLUSTER_VERSION, self._pool_key, rows.tolist(), most, self._exactly, self._seed]
        key = content_key("cluster", *asked)
        step = self._store.get(key)
        if step is None:
            found = cluster(self._pool.vectors[rows], most, exactly=self._exactly, seed=self._seed)
            tried = {str(count): round(value, 5) for count, value in found.tried.items()}
            about = {"documents": len(rows), "most": most, "under": list(above)}
            step = self._store.put(Step(key, "cluster", [found.of.tolist(), tried], about))
        of, tried = step.output
        return np.array(of, np.int64), {int(count): value for count, value in tried.items()}

    def _groups(self, found: Sequence[tuple[Rows, list[str]]]) -> list[Group]:
        groups = []
        vectors, documents = self._pool.vectors, self._pool.documents
        for rows, terms in found:
            mean = vectors[rows].mean(axis=0)
            centroid = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
            quoted = typical(rows, centroid, vectors)
            fallback = excerpt(documents[quoted[0]].text, longest=40)
            name = name_of(terms, self._taken, fallback)
            self._taken.add(same_name(name))
            said = "; ".join(f"“{excerpt(documents[row].text, longest=_QUOTE)}”" for row in quoted)
            include = f"Documents that speak of {', '.join(terms)}." if terms else ""
            groups.append(Group(Draft(name, f"Documents such as {said}", include), rows, centroid, quoted))
        return _tell_apart(groups, [terms for _, terms in found])


def _tell_apart(groups: list[Group], terms: Sequence[Sequence[str]]) -> list[Group]:
    """Say of each label which other is nearest to it, and by which terms the two differ."""
    if len(groups) < 2:
        return groups
    centroids = np.stack([group.centroid for group in groups])
    likeness = centroids @ centroids.T
    np.fill_diagonal(likeness, -np.inf)
    told = []
    for place, group in enumerate(groups):
        other = int(np.argmax(likeness[place]))
        differ = [term for term in terms[other] if term not in terms[place]][:3]
        speaks = f"Documents that speak of {', '.join(differ)}" if differ else "Documents that are more like it"
        draft = group.draft
        exclude = f"{speaks} belong to “{groups[other].draft.name}”."
        told.append(Group(Draft(draft.name, draft.description, draft.include, exclude), group.rows, group.centroid,
                          group.quoted))  # fmt: skip
    return told
