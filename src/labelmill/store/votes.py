"""Votes in the file: written voter by voter, each anew in place of what it said before, and read back as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import StoreError
from labelmill.records import Label
from labelmill.store.database import Store
from labelmill.store.taxonomies import put_taxonomy
from labelmill.taxonomy import Taxonomy

MOST_FAILURES = 100
"""Failures of a voter that are kept; further ones are counted by who casts votes."""


MOST_DENIED = 0.1
"""Share of a voter's votes that may be a no where its silence is one too: one exception among many rules, or a label
that was denied by mistake, does not make it a judge of all that it is shown."""


@dataclass(frozen=True, slots=True)
class VoterRow:
    """A voter as the file has it.

    Attributes:
        voter: Its name.
        kind: ``run``, ``function``, ``rules``, ``aliases``, ``neighbours``, ``prompt`` or ``imported``.
        source: The file or the run that it comes from.
        silence: Whether saying nothing of a label is a no; None: as it turns out, for voters that hardly ever say no.
        taxonomy: The key of the labels; set by the file.
        complete: Whether it was shown all it was to be shown.
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


class VoteWriter:
    """Writes the votes of some voters, who are shown the same documents.

    Args:
        store: Open for writing.
        voters: Who votes; what they said before is dropped.
        taxonomy: The labels.
        scope: A name for the documents that they are shown; unique to this writer.

    Raises:
        StoreError: Two voters have one name.
    """

    def __init__(self, store: Store, voters: Sequence[VoterRow], taxonomy: Taxonomy, scope: str) -> None:
        """Drop what these voters said before, and enter them anew."""
        names = [voter.voter for voter in voters]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise StoreError(f"Two voters are called {twice[0]!r}. Give one of them another name.")
        self._store, self._voters, self._scope = store, voters, scope
        with store.transaction():
            put_taxonomy(store, taxonomy, taxonomy.source)
            for table in ("votes", "vote_failures", "voters"):
                store.connection.execute(
                    f"DELETE FROM {table} WHERE voter IN (SELECT unnest(?::VARCHAR[]))",  # noqa: S608
                    [names],
                )
            store.connection.execute("DELETE FROM shown WHERE scope NOT IN (SELECT scope FROM voters)")
            for row in voters:
                values = [row.voter, row.kind, taxonomy.key, row.source, bool(row.silence), scope]
                store.connection.execute("INSERT INTO voters VALUES (?, ?, ?, ?, ?, ?, false, now())", values)

    def write(self, documents: Sequence[str], votes: Sequence[tuple[str, str, str, int, float, int]]) -> None:
        """Commit a batch of documents that were shown, and the votes on them.

        Args:
            documents: Their ids.
            votes: Voter, document, label, vote, confidence and rank; once at most for the first three.
        """
        with self._store.transaction():
            scope = {"document": np.array(documents, dtype=np.object_)}
            with self._store.view("new_shown", scope):
                self._store.connection.execute("INSERT INTO shown SELECT ?, document FROM new_shown", [self._scope])
            if not votes:
                return
            kinds = (np.object_, np.object_, np.object_, np.int8, np.float32, np.int32)
            names = ("voter", "document", "label", "vote", "confidence", "rank")
            columns: dict[str, NDArray[Any]] = {
                name: np.array(values, dtype=kind)
                for name, values, kind in zip(names, zip(*votes, strict=True), kinds, strict=True)
            }
            with self._store.view("new_votes", columns):
                self._store.connection.execute(f"INSERT INTO votes SELECT {', '.join(names)} FROM new_votes")  # noqa: S608

    def copy(self, shown: str, votes: str, parameters: dict[str, Any]) -> None:
        """Commit what queries give: documents, and rows of the table of votes."""
        connection = self._store.connection
        with self._store.transaction():
            query = f"INSERT INTO shown SELECT $scope, document FROM ({shown})"  # noqa: S608 - ours
            connection.execute(query, _used(query, parameters | {"scope": self._scope}))
            query = f"INSERT INTO votes {votes}"
            connection.execute(query, _used(query, parameters))

    def fail(self, failures: Sequence[tuple[str, str, str, str]]) -> None:
        """Commit failures: voter, document, kind and message."""
        names = ("voter", "document", "kind", "message")
        with self._store.transaction():
            self._store.insert("vote_failures", [dict(zip(names, each, strict=True)) for each in failures])

    def finish(self, given_up: Sequence[str] = ()) -> None:
        """Mark voters as complete, but for those that were given up, and note who says no by silence.

        One that was given up counts as shown what it voted on: most of the rest was not put to it, and its silence
        there would be a no.
        """
        names = [voter.voter for voter in self._voters]
        undecided = [voter.voter for voter in self._voters if voter.silence is None]
        with self._store.transaction():
            self._store.connection.execute(
                "UPDATE voters SET complete = NOT list_contains(?::VARCHAR[], voter), updated = now() "
                "WHERE voter IN (SELECT unnest(?::VARCHAR[]))",
                [list(given_up), names],
            )
            self._store.connection.execute(
                "UPDATE voters SET silence = (SELECT count(*) FILTER (vote < 0) <= count(*) * ? FROM votes "
                "WHERE votes.voter = voters.voter) WHERE voter IN (SELECT unnest(?::VARCHAR[]))",
                [MOST_DENIED, undecided],
            )
            for number, voter in enumerate(given_up):
                own = f"{self._scope}{number:04x}"
                for query in (
                    "INSERT INTO shown SELECT DISTINCT $own, document FROM votes WHERE voter = $voter",
                    "UPDATE voters SET scope = $own WHERE voter = $voter",
                ):
                    self._store.connection.execute(query, {"own": own, "voter": voter})


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


def attach(store: Store, path: Path) -> str:
    """Make the tables of another file readable as those of a schema; returns its name."""
    with store.errors(path):
        store.connection.execute("ATTACH ? AS other (READ_ONLY)".replace("?", "'" + str(path).replace("'", "''") + "'"))
    return "other."


def _used(query: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if f"${name}" in query}


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


def copy_run(
    store: Store, writer: VoteWriter, run: str, other: Path | None, depth: int, *, probabilities: bool
) -> tuple[int, int]:
    """Copy a run's rankings as votes: for what is in final sets, against the rest.

    Args:
        store: The file of the votes.
        writer: The voter, called as the run.
        run: The run.
        other: The file of the run, where it is another.
        depth: How far down the rankings.
        probabilities: Whether scores say how confident the run is.

    Returns:
        The number of votes, and that of documents.
    """
    schema = "" if other is None else attach(store, other)
    sure = "CASE WHEN selected THEN score ELSE 1 - score END" if probabilities else "1"
    writer.copy(
        f"SELECT document FROM {schema}documents WHERE run = $run",  # noqa: S608 - ours
        f"SELECT run, document, label, CASE WHEN selected THEN 1 ELSE -1 END, "  # noqa: S608
        f"least(greatest({sure}, 1e-6), 1), rank FROM {schema}predictions "
        "WHERE run = $run AND (rank <= $depth OR selected)",
        {"run": run, "depth": depth},
    )
    if other is not None:
        store.connection.execute("DETACH other")
    (votes,) = store.first("SELECT count(*) FROM votes WHERE voter = ?", [run]) or (0,)
    (documents,) = store.first(
        "SELECT count(*) FROM shown WHERE scope = (SELECT scope FROM voters WHERE voter = ?)", [run]
    ) or (0,)
    return votes, documents
