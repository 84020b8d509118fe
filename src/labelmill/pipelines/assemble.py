"""From a specification and a taxonomy to a program: loads embedders, opens indexes, words the prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from labelmill.keys import content_key
from labelmill.models.embedders import MemoEmbedder, load_embedder
from labelmill.pipelines.infer import Infer
from labelmill.pipelines.pointwise import PointwiseRank
from labelmill.pipelines.program import Program
from labelmill.pipelines.rank import Rank
from labelmill.pipelines.retrieve import RETRIEVE_VERSION, Lane, Retrieve
from labelmill.pipelines.spec import ProgramSpec
from labelmill.retrievers.base import Embedder, Retriever
from labelmill.retrievers.index import INDEX_VERSION, Indexes, Progress
from labelmill.taxonomy import Taxonomy

_REMEMBERED_TEXTS = 200_000
"""Vectors of queries kept in memory, since windows repeat across documents: about 300 MB of 384 dimensions."""

WEIGHTS = {
    ("names", "text"): 1.0,
    ("names", "windows"): 2.0,
    ("names", "phrases"): 2.0,
    ("aliases", "text"): 1.0,
    ("aliases", "windows"): 2.0,
    ("aliases", "phrases"): 2.0,
    ("descriptions", "text"): 1.0,
    ("bm25", "text"): 1.0,
    ("names.characters", "text"): 1.0,
    ("aliases.characters", "text"): 1.0,
    ("aliases.characters", "phrases"): 1.0,
}
"""What a lane weighs, by what is searched and the kind of query; there is no lane where nothing is said.

Chosen on validation documents (``benchmarks/esco.py --split val``), in whole numbers, since 136 documents do not tell
finer ones apart. Learned weights are for programs tuned on gold.
"""


def assemble(
    spec: ProgramSpec,
    taxonomy: Taxonomy,
    *,
    embedders: Sequence[Embedder] | None = None,
    progress: Progress | None = None,
) -> Program:
    """Make a program.

    Args:
        spec: What to make.
        taxonomy: The labels.
        embedders: In place of those that the specification names, already loaded.
        progress: Told how far the building of an index is.
    """
    loaded = [MemoEmbedder(e, _REMEMBERED_TEXTS) for e in embedders or [load_embedder(e) for e in spec.embedders]]
    return Program(
        spec=spec,
        taxonomy=taxonomy,
        retrieve=_retrieve(spec, Indexes(taxonomy, progress=progress), loaded),
        infer=make_infer(spec),
        rank=make_rank(spec),
    )


def make_infer(spec: ProgramSpec) -> Infer | None:
    """Word the Infer stage; None where no model takes part in it."""
    infer = Infer(spec.task) if spec.infer != "windows" else None
    if infer and "infer" in spec.prompts:
        spec.prompts["infer"].apply(infer.predict)
    return infer


def make_rank(spec: ProgramSpec) -> Rank | PointwiseRank | None:
    """Word the Rank stage; None where no model takes part in it."""
    if spec.rank == "fusion":
        return None
    rank = PointwiseRank(spec.task) if spec.rank == "pointwise" else Rank(spec.task, spec.listed)
    if "rank" in spec.prompts:
        spec.prompts["rank"].apply(rank.predict)
    return rank


def _retrieve(spec: ProgramSpec, indexes: Indexes, embedders: Sequence[Embedder]) -> Retrieve:
    weights = _merged(WEIGHTS, indexes.taxonomy)
    asked = {"windows": ("text", "windows"), "lm": ("text", "phrases"), "both": ("text", "windows", "phrases")}
    lanes = [
        Lane(retriever, kind, weights[what, kind])
        for what, retriever in _open(dict.fromkeys(what for what, _ in weights), indexes, embedders)
        for kind in asked[spec.infer]
        if (what, kind) in weights
    ]
    # By what is searched, not by the lanes' names: those of an embedder's server have its address.
    weighed = sorted((what, kind, weight) for (what, kind), weight in weights.items() if kind in asked[spec.infer])
    return Retrieve(
        lanes, content_key(RETRIEVE_VERSION, INDEX_VERSION, weighed, [embedder.fingerprint for embedder in embedders])
    )


def _open(searched: Iterable[str], indexes: Indexes, embedders: Sequence[Embedder]) -> Iterator[tuple[str, Retriever]]:
    """Open what is searched: a dense view once per embedder, the others once."""
    for what in searched:
        if what == "bm25":
            yield what, indexes.bm25()
        elif what.endswith(".characters"):
            yield what, indexes.characters(what.removesuffix(".characters"))
        else:
            for embedder in embedders:
                yield what, indexes.dense(what, embedder)


def _merged(weights: Mapping[tuple[str, str], float], taxonomy: Taxonomy) -> dict[tuple[str, str], float]:
    """Let one lane stand for those that would search the same texts, with their weights together.

    Without aliases, names and aliases are the same view; without descriptions, names and descriptions are. Equal
    lanes add equal terms to the fusion, so this changes no score and saves their time.
    """
    same: dict[str, str] = {}
    if not any(label.aliases for label in taxonomy.labels):
        same |= {"aliases": "names", "aliases.characters": "names.characters"}
    if not any(label.description for label in taxonomy.labels):
        same |= {"descriptions": "names"}
    merged: dict[tuple[str, str], float] = {}
    for (what, kind), weight in weights.items():
        lane = same.get(what, what), kind
        merged[lane] = merged.get(lane, 0.0) + weight
    return merged
