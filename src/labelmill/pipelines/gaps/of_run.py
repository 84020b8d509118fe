"""The gaps that a run shows: what its documents say, compared with its taxonomy or a later version of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelmill.corpus import Corpus
from labelmill.errors import InputError
from labelmill.models.client import ChatModel
from labelmill.models.embedders import MemoEmbedder, leaves_this_machine, load_embedder
from labelmill.pipelines.gaps.finding import Gaps, Limits, find_gaps
from labelmill.pipelines.gaps.naming import name_proposals
from labelmill.pipelines.gaps.phrases import Proposed, Source, Told, Windows
from labelmill.pipelines.gaps.proposals import Proposal
from labelmill.pipelines.gaps.splits import SEPARATION, overloaded
from labelmill.pipelines.spec import ProgramSpec
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.index import Indexes, Progress
from labelmill.store import Store
from labelmill.store.phrases import read_supporting
from labelmill.store.reader import choose_run, read_taxonomy
from labelmill.store.standings import read_met, read_program
from labelmill.taxonomy import Taxonomy

_REMEMBERED = 20_000
"""Vectors: of the phrases that are under way."""


@dataclass(frozen=True, slots=True)
class RunGaps:
    """What a run shows.

    Attributes:
        run: Its name.
        proposals: New labels and aliases, the most promising first, then splits, the clearest first.
        found: How many phrases there were, and what became of them.
        notes: What a reader should know, one line each.
    """

    run: str
    proposals: tuple[Proposal, ...]
    found: Gaps
    notes: tuple[str, ...]


def gaps_of_run(
    path: str | Path,
    *,
    run: str | None = None,
    docs: Corpus | None = None,
    taxonomy: Taxonomy | None = None,
    embedder: str | Embedder | None = None,
    lm: str | Sequence[str] | ChatModel | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    separation: float = SEPARATION,
    building: Progress | None = None,
    told: Told = lambda *_: None,
) -> RunGaps:
    """Find what the documents of a run say that its taxonomy lacks. The same run and settings give the same proposals.

    Phrases are those that Infer proposed; where no language model took part, windows of the documents' texts, which
    are not in the file and have to be given.

    Args:
        path: The DuckDB file.
        run: The run; the newest by default.
        docs: The documents, for windows; read twice.
        taxonomy: What to compare with; the run's own labels by default.
        embedder: What makes vectors; by default the first of the run's program.
        lm: A model that names the proposals.
        limits: What counts as near, as alike, as enough.
        separation: How clearly the parts of an overloaded label are apart.
        building: Told how far the building of an index is.
        told: Told what is being done and how far it is.

    Raises:
        StoreError: The file or the run is not there.
        InputError: There are no phrases and no documents, or the run's embedder is at another machine.
        ModelError: The model does not answer.
    """
    with Store(path) as store:
        name = choose_run(store, run)
        spec = ProgramSpec.model_validate(read_program(store, name) | {"examples": ()})
        labels = taxonomy or read_taxonomy(store, name)
        vectors = MemoEmbedder(_embedder(spec, embedder), _REMEMBERED)
        source = _source(store, name, spec, docs, told)
        indexes = Indexes(labels, progress=building)
        found = find_gaps(source, labels, indexes, vectors, limits=limits, told=told)
        supporting = read_supporting(store, name, least=2 * limits.documents)
        splits = overloaded(supporting, labels, vectors, separation=separation, least=limits.documents, told=told)
    notes = list(source.notes)
    if found.looked_at < found.phrases:
        notes.append(
            f"{found.phrases - found.looked_at:,} of {found.phrases:,} phrases, the rarest, were not looked at: "
            f"{limits.phrases:,} without a near label are clustered at most"
        )
    proposals = (*found.proposals, *splits)
    if lm is not None and lm not in ("none", ["none"]):
        named = name_proposals(proposals, labels, spec.task, lm, told)
        proposals = named.proposals
        if named.kept:
            notes.append(f"{named.kept:,} proposals keep the documents' own words: the model gave no name to take")
    return RunGaps(name, proposals, found, tuple(notes))


def _embedder(spec: ProgramSpec, given: str | Embedder | None) -> Embedder:
    if given is None and leaves_this_machine(spec.embedders[0]):
        raise InputError(
            f"the embedder of this run, {spec.embedders[0]!r}, is at another machine, which would be sent every phrase",
            remedy="If it may have them, name it with --embedder; else name another.",
        )
    wanted = spec.embedders[0] if given is None else given
    return load_embedder(wanted) if isinstance(wanted, str) else wanted


def _source(store: Store, run: str, spec: ProgramSpec, docs: Corpus | None, told: Told) -> Source:
    if docs is not None:
        if docs.is_stream:
            raise InputError("standard input can be read but once, and texts are read twice", remedy="Give a file.")
        done, failed = read_met(store, run)
        return Windows(docs, done | failed, told)
    if spec.infer == "windows":
        raise InputError(
            f"no language model proposed phrases in run {run!r}, and the file holds no texts",
            path=store.path,
            remedy="Give the documents with --docs: windows of their texts are taken instead.",
        )
    return Proposed(store, run)
