"""Votes out of the store and gold out of a corpus, as the arrays that learning takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelmill.errors import InputError
from labelmill.eval.gold import resolve_gold
from labelmill.eval.rankings import PADDING
from labelmill.learning.votes import KnownLabels, Voter, Votes
from labelmill.pipelines.gold import GoldCorpus
from labelmill.store import Store
from labelmill.store.votes import VoterRow, check_voters, read_voters, read_voters_taxonomy, read_votes
from labelmill.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True, eq=False)
class Election:
    """Votes, and what is known.

    Attributes:
        voters: Who votes.
        documents: Ids of the documents that any of them was shown.
        taxonomy: The labels.
        votes: As arrays.
        known: Gold of those documents.
        gold_elsewhere: Documents with gold that no voter was shown.
        notes: What a reader of the result should know, in lines.
    """

    voters: Sequence[VoterRow]
    documents: list[str]
    taxonomy: Taxonomy
    votes: Votes
    known: KnownLabels
    gold_elsewhere: int
    notes: tuple[str, ...]


def hold_election(path: str | Path, *, voters: Sequence[str] = (), gold: GoldCorpus | None = None) -> Election:
    """Read votes, and the gold of the documents that were voted on.

    Args:
        path: The DuckDB file.
        voters: Whose votes; everybody's by default.
        gold: Documents with gold labels.

    Raises:
        StoreError: The file has no votes, or not of a voter that is named.
        InputError: The voters were given different taxonomies.
    """
    with Store(path) as store:
        chosen = _chosen(path, read_voters(store), voters)
        taxonomy = read_voters_taxonomy(store, chosen[0].taxonomy)
        columns = read_votes(store, [each.voter for each in chosen], chosen[0].taxonomy)
    votes = Votes(
        [Voter(each.voter, bool(each.silence)) for each in chosen],
        len(columns.documents),
        len(taxonomy),
        columns.voter,
        columns.document,
        columns.label,
        columns.sign,
        columns.confidence,
        columns.rank,
        columns.group,
        columns.shown,
    )
    known, elsewhere, notes = _known(gold, columns.documents, taxonomy)
    if unfinished := [each.voter for each in chosen if not each.complete]:
        notes.append(f"not all documents were put to {', '.join(unfinished)}: given up after hanging")
    return Election(chosen, columns.documents, taxonomy, votes, known, elsewhere, tuple(notes))


def _chosen(path: str | Path, there: Sequence[VoterRow], voters: Sequence[str]) -> list[VoterRow]:
    names = {each.voter: each for each in there}
    check_voters(Path(path), names, voters)
    chosen = [names[name] for name in dict.fromkeys(voters)] if voters else list(there)
    other = next((each for each in chosen if each.taxonomy != chosen[0].taxonomy), None)
    if other is not None:
        raise InputError(
            f"voters {chosen[0].voter!r} and {other.voter!r} vote on different taxonomies",
            remedy="Name voters of one taxonomy with --voter, or have the others vote again.",
        )
    return chosen


def _known(gold: GoldCorpus | None, documents: Sequence[str], taxonomy: Taxonomy) -> tuple[KnownLabels, int, list[str]]:
    if gold is None:
        return KnownLabels.none(), 0, []
    places = {name: row for row, name in enumerate(documents)}
    told = [each for each in gold.documents if each.labels]
    here = [each for each in told if each.id in places]
    if not here:
        raise InputError(
            f"none of the {len(told):,} documents with gold was voted on",
            path=gold.source or None,
            remedy="Give gold of documents that the voters were shown.",
        )
    resolved = resolve_gold(((each.id, each.labels) for each in here), taxonomy)
    rows = np.array([places[name] for name in resolved.documents], dtype=np.int64)
    of, labels = rows[resolved.gold.rows], resolved.gold.labels.astype(np.int64)
    inside = labels > PADDING
    notes = [resolved.summary] if resolved.unresolved else []
    return KnownLabels(rows, of[inside], labels[inside]), len(told) - len(here), notes
