"""Votes in the file, read back as arrays, and who cast them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import StoreError
from labelmill.records import Label
from labelmill.store.database import Store
from labelmill.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class VoterRow:
    """A voter as the file has it.

    Attributes:
        voter: Its name.
        kind: ``run``, ``function``, ``rules``, ``aliases``, ``neighbours``, ``prompt`` or ``imported``.
        source: The file or the run that it comes from.
        silence: Whether saying nothing of a label is a no; None: as it turns out, for voters that hardly ever say no.
        taxonomy: The key of the labels; set by the file.
        complete: Whether it was shown all it was to be shown, and not given up.
        votes: How many it cast.
    """

    voter: str
    kind: str
    source: str = ""
    silence: bool | None = None
    taxonomy: str = ""
    complete: bool = True
    votes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class VoteColumns:
    """n votes as arrays, by document, label and voter.

    Attributes:
        documents: Ids of all documents that any of the voters was shown, in order.
        voter: Place among the voters asked for, int32, shape (n,).
        document: Index into `documents`, int32, shape (n,).
        label: Position in the taxonomy, int32, shape (n,).
        sign: int8, shape (n,).
        confidence: float32, shape (n,).
        rank: int32, shape (n,).
        group: Of each document, int32: those of one were shown to the same voters.
        shown: Whether a group was shown to a voter, bool, shape (groups, voters).
    """

    documents: list[str]
    voter: NDArray[np.int32]
    document: NDArray[np.int32]
    label: NDArray[np.int32]
    sign: NDArray[np.int8]
    confidence: NDArray[np.float32]
    rank: NDArray[np.int32]
    group: NDArray[np.int32]
    shown: NDArray[np.bool_]


def read_voters(store: Store) -> list[VoterRow]:
    """List the voters of a file, in the order of their names; none where the file knows of no votes."""
    with store.errors():
        if store.first("SELECT 1 FROM duckdb_tables() WHERE table_name = 'voters'") is None:
            return []
        rows = store.connection.execute(
            "SELECT voter, kind, source, silence, taxonomy, complete, coalesce(cast_, 0) FROM voters "
            "LEFT JOIN (SELECT voter, count(*) AS cast_ FROM votes GROUP BY voter) USING (voter) ORDER BY voter"
        ).fetchall()
    return [VoterRow(*row) for row in rows]


def check_voters(path: Path, there: Iterable[str], voters: Sequence[str]) -> None:
    """See that voters are there; raises `StoreError` with those that are."""
    names = list(there)
    if not names:
        raise StoreError(
            f"{path} holds no votes. Cast some with: labelmill votes apply … --out {path}, or import them."
        )
    if unknown := [name for name in voters if name not in names]:
        raise StoreError(f"{path} has no voter {unknown[0]!r}. It has: {', '.join(names)}.")


def read_voters_taxonomy(store: Store, key: str) -> Taxonomy:
    """Read back the labels that voters were given."""
    with store.errors():
        rows = store.connection.execute(
            "SELECT label, name, aliases, description, parents FROM labels WHERE taxonomy = ? ORDER BY position", [key]
        ).fetchall()
        source = store.first("SELECT source FROM taxonomies WHERE taxonomy = ?", [key])
    labels = (
        Label(id=row[0], name=row[1], aliases=tuple(row[2]), description=row[3], parents=tuple(row[4])) for row in rows
    )
    return Taxonomy(tuple(labels), source[0] if source else "")


def read_vote_failures(store: Store) -> list[tuple[str, str, str, str]]:
    """Read the failures that were kept: voter, document, kind and message."""
    with store.errors():
        return store.connection.execute("SELECT * FROM vote_failures ORDER BY ALL").fetchall()


def read_votes(store: Store, voters: Sequence[str], taxonomy: str) -> VoteColumns:
    """Read the votes of some voters.

    Args:
        store: Where they are.
        voters: Their names.
        taxonomy: The key of the labels; votes on others are left out.
    """
    given = {"voters": list(voters), "taxonomy": taxonomy}
    with store.errors():
        documents = store.connection.execute(_DOCUMENTS, {"voters": given["voters"]}).fetchnumpy()
        columns = store.connection.execute(_VOTES, given).fetchnumpy()
        scopes = dict(
            store.connection.execute(
                "SELECT voter, scope FROM voters WHERE voter IN (SELECT unnest(?::VARCHAR[]))", [list(voters)]
            ).fetchall()
        )
    kinds, group = np.unique(documents["scopes"].astype(str), return_inverse=True)
    shown = [[scopes[voter] in kind.split("|") for voter in voters] for kind in kinds]
    return VoteColumns(
        list(documents["document"]),
        voter=np.asarray(columns["place"], dtype=np.int32),
        document=np.asarray(columns["row"], dtype=np.int32),
        label=np.asarray(columns["position"], dtype=np.int32),
        sign=np.asarray(columns["vote"], dtype=np.int8),
        confidence=np.asarray(columns["confidence"], dtype=np.float32),
        rank=np.asarray(columns["rank"], dtype=np.int32),
        group=np.asarray(group, dtype=np.int32),
        shown=np.array(shown, dtype=np.bool_).reshape(len(kinds), len(voters)),
    )


_OF_VOTERS = "WHERE scope IN (SELECT scope FROM voters WHERE voter IN (SELECT unnest($voters::VARCHAR[])))"

# Scopes are hexadecimal: no separator is in them.
_DOCUMENTS = (
    f"SELECT document, string_agg(DISTINCT scope, '|' ORDER BY scope) AS scopes FROM shown {_OF_VOTERS} "  # noqa: S608
    "GROUP BY document ORDER BY document"
)

_VOTES = (
    "WITH met AS (SELECT document, (row_number() OVER (ORDER BY document) - 1)::INTEGER AS row "  # noqa: S608
    f"FROM (SELECT DISTINCT document FROM shown {_OF_VOTERS})), "
    "who AS (SELECT unnest($voters::VARCHAR[]) AS voter, generate_subscripts($voters::VARCHAR[], 1) - 1 AS place), "
    "known AS (SELECT label, position FROM labels WHERE taxonomy = $taxonomy) "
    "SELECT place, row, position, vote, confidence, rank FROM votes JOIN who USING (voter) JOIN met USING (document) "
    "JOIN known USING (label) ORDER BY row, position, place"
)
