"""Writing votes, which take the place of what voters said before once all of them are there; removing voters."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import StoreError
from labelmill.store.database import Store
from labelmill.store.taxonomies import put_taxonomy
from labelmill.store.votes import VoterRow, check_voters, read_voters
from labelmill.taxonomy import Taxonomy

MOST_FAILURES = 100
"""Failures of a voter that are kept; further ones are counted by who casts votes."""


MOST_DENIED = 0.1
"""Share of a voter's votes that may be a no where its silence is one too: one exception among many rules, or a label
that was denied by mistake, does not make it a judge of all that it is shown."""


class VoteWriter:
    """Writes the votes of some voters, which take the place of what these said before once they are all there.

    Until `finish`, they stand under names that nobody reads: whatever ends it, the file's voters are as they were. As a
    context manager it clears them where it ends without; what a killed one leaves, the next writer clears.

    Attributes:
        apart: Whether each voter is shown documents of its own.

    Args:
        store: Open for writing; by one writer at a time.
        voters: Who votes.
        taxonomy: The labels.
        scope: A name for the documents that they are shown; unique to this writer.
        apart: Whether each voter is shown documents of its own; else all are shown the same.

    Raises:
        StoreError: Two voters have one name, or other voters of the file vote on another taxonomy.
    """

    def __init__(
        self, store: Store, voters: Sequence[VoterRow], taxonomy: Taxonomy, scope: str, *, apart: bool = False
    ) -> None:
        """See that they may vote, and clear what was left of others."""
        names = [voter.voter for voter in voters]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise StoreError(f"Two voters are called {twice[0]!r}. Give one of them another name.")
        if odd := [name for name in names if name.startswith(_UNFINISHED)]:
            raise StoreError(f"No voter can be called {odd[0]!r}. Give it another name.")
        self._store, self._voters, self._taxonomy, self._names = store, voters, taxonomy, names
        self._scopes = [f"{scope}{place:04x}" if apart else scope for place in range(len(voters))]
        self.apart = apart
        self._failures: list[tuple[str, str, str, str]] = []
        self._finished = False
        check_taxonomy(store, names, taxonomy)
        clear_unfinished(store)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Clear what is not finished; where something ended it, that is to be told, not what follows from it."""
        if not self._finished:
            with suppress(*([StoreError] if error[0] else [])):
                clear_unfinished(self._store)

    def write(
        self,
        documents: Sequence[str],
        votes: Sequence[tuple[str, str, str, int, float, int]],
        voter: str | None = None,
    ) -> None:
        """Commit a batch of documents that were shown, and the votes on them.

        Args:
            documents: Their ids.
            votes: Voter, document, label, vote, confidence and rank; once at most for the first three.
            voter: Who was shown them, of voters that are shown documents of their own.
        """
        with self._store.transaction():
            scope = {"document": np.array(documents, dtype=np.object_)}
            with self._store.view("new_shown", scope):
                query = "INSERT INTO shown SELECT ?, document FROM new_shown"
                self._store.connection.execute(query, [self._scope(voter)])
            if not votes:
                return
            kinds = (np.object_, np.object_, np.object_, np.int8, np.float32, np.int32)
            names = ("voter", "document", "label", "vote", "confidence", "rank")
            columns: dict[str, NDArray[Any]] = {
                name: np.array(values, dtype=kind)
                for name, values, kind in zip(names, zip(*votes, strict=True), kinds, strict=True)
            }
            with self._store.view("new_votes", columns):
                self._store.connection.execute(
                    f"INSERT INTO votes SELECT ? || {', '.join(names)} FROM new_votes",  # noqa: S608
                    [_UNFINISHED],
                )

    def copy(self, shown: str, votes: str, parameters: dict[str, Any], voter: str | None = None) -> None:
        """Commit what queries give: documents, and rows of the table of votes.

        Args:
            shown: Gives documents.
            votes: Gives rows.
            parameters: Of both.
            voter: Who was shown the documents, of voters that are shown documents of their own.
        """
        connection = self._store.connection
        with self._store.transaction():
            query = f"INSERT INTO shown SELECT $scope, document FROM ({shown})"  # noqa: S608 - ours
            connection.execute(query, _used(query, parameters | {"scope": self._scope(voter)}))
            columns = "voter, document, label, vote, confidence, rank"
            query = f"INSERT INTO votes SELECT $unfinished || {columns} FROM ({votes}) AS cast_votes({columns})"  # noqa: S608
            connection.execute(query, _used(query, parameters | {"unfinished": _UNFINISHED}))

    def fail(self, failures: Sequence[tuple[str, str, str, str]]) -> None:
        """Note failures: voter, document, kind and message."""
        self._failures += failures

    def count(self) -> dict[str, int]:
        """Count the votes of each voter so far."""
        with self._store.errors():
            rows = self._store.connection.execute(
                f"SELECT substr(voter, 2), count(*) FROM votes WHERE {_IS_UNFINISHED} GROUP BY ALL"  # noqa: S608
            ).fetchall()
        return dict.fromkeys(self._names, 0) | dict(rows)

    def documents(self) -> int:
        """Count the documents that were shown so far."""
        with self._store.errors():
            query = "SELECT count(DISTINCT document) FROM shown WHERE scope IN (SELECT unnest(?::VARCHAR[]))"
            return int((self._store.first(query, [self._scopes]) or (0,))[0])

    def finish(self, given_up: Sequence[str] = ()) -> None:
        """Put these votes in the place of what the voters said before, and note who says no by silence.

        One that was given up is not complete, and counts as shown what it voted on: most of the rest was not put to it,
        and its silence there would be a no.
        """
        undecided = [voter.voter for voter in self._voters if voter.silence is None]
        execute = self._store.connection.execute
        with self._store.transaction():
            put_taxonomy(self._store, self._taxonomy, self._taxonomy.source)
            _drop(self._store, self._names)
            # Rows are moved, not renamed: updates of millions of rows would be held in memory.
            columns = "document, label, vote, confidence, rank"
            execute(f"INSERT INTO votes SELECT substr(voter, 2), {columns} FROM votes WHERE {_IS_UNFINISHED}")  # noqa: S608
            execute(f"DELETE FROM votes WHERE {_IS_UNFINISHED}")  # noqa: S608
            for row, scope in zip(self._voters, self._scopes, strict=True):
                complete = row.voter not in given_up
                values = [row.voter, row.kind, self._taxonomy.key, row.source, bool(row.silence), scope, complete]
                execute("INSERT INTO voters VALUES (?, ?, ?, ?, ?, ?, ?, now())", values)
            execute(
                "UPDATE voters SET silence = (SELECT count(*) FILTER (vote < 0) <= count(*) * ? FROM votes "
                "WHERE votes.voter = voters.voter) WHERE voter IN (SELECT unnest(?::VARCHAR[]))",
                [MOST_DENIED, undecided],
            )
            for number, voter in enumerate(given_up):
                own = f"{self._scopes[0]}g{number:04x}"
                for query in (
                    "INSERT INTO shown SELECT DISTINCT $own, document FROM votes WHERE voter = $voter",
                    "UPDATE voters SET scope = $own WHERE voter = $voter",
                ):
                    execute(query, {"own": own, "voter": voter})
            execute(_DROP_UNSEEN)
            names = ("voter", "document", "kind", "message")
            rows = [dict(zip(names, each, strict=True)) for each in self._failures]
            self._store.insert("vote_failures", rows)
        self._finished = True

    def _scope(self, voter: str | None) -> str:
        return self._scopes[0 if voter is None else self._names.index(voter)]


def check_taxonomy(store: Store, voters: Sequence[str], taxonomy: Taxonomy) -> None:
    """See that a taxonomy is that of the file's other voters.

    Args:
        store: The file.
        voters: Who is to vote; what they said before does not count.
        taxonomy: The labels.

    Raises:
        StoreError: It is another.
    """
    with store.errors():
        other = store.first(
            "SELECT voter, coalesce(taxonomies.source, '') FROM voters LEFT JOIN taxonomies USING (taxonomy) "
            "WHERE taxonomy <> ? AND voter NOT IN (SELECT unnest(?::VARCHAR[])) ORDER BY voter",
            [taxonomy.key, list(voters)],
        )
    if other is not None:
        of = f" ({other[1]})" if other[1] else ""
        raise StoreError(
            f"{store.path}: voter {other[0]!r} votes on another taxonomy{of} than these would, and the voters of a "
            f"file vote on one. Name another file with --out, or take voters out with labelmill votes remove."
        )


def clear_unfinished(store: Store) -> None:
    """Clear the votes of voters that did not come to an end; no writer may be at work."""
    with store.transaction():
        store.connection.execute(f"DELETE FROM votes WHERE {_IS_UNFINISHED}")  # noqa: S608
        store.connection.execute(_DROP_UNSEEN)


def remove_voters(store: Store, voters: Sequence[str]) -> dict[str, int]:
    """Take voters out of a file, with all they said; what is left of unfinished ones goes as well.

    Returns:
        How many votes each had.

    Raises:
        StoreError: One of them is not there; nothing is removed.
    """
    there = {each.voter: each.votes for each in read_voters(store)}
    check_voters(store.path, there, voters)
    with store.transaction():
        _drop(store, voters)
    clear_unfinished(store)
    return {name: there[name] for name in dict.fromkeys(voters)}


def _drop(store: Store, voters: Sequence[str]) -> None:
    for table in ("votes", "vote_failures", "voters"):
        query = f"DELETE FROM {table} WHERE voter IN (SELECT unnest(?::VARCHAR[]))"  # noqa: S608
        store.connection.execute(query, [list(voters)])


_UNFINISHED = "\x1e"
"""Before the name of a voter whose votes are not all there: a character that is in no name."""

_IS_UNFINISHED = "starts_with(voter, chr(30))"
_DROP_UNSEEN = "DELETE FROM shown WHERE scope NOT IN (SELECT scope FROM voters)"


def copy_run(
    store: Store, writer: VoteWriter, run: str, other: Path | None, depth: int, *, probabilities: bool
) -> None:
    """Copy a run's rankings as votes: for what is in final sets, against the rest.

    Args:
        store: The file of the votes.
        writer: The voter, called as the run.
        run: The run.
        other: The file of the run, where it is another.
        depth: How far down the rankings.
        probabilities: Whether scores say how confident the run is.
    """
    schema = "" if other is None else attach(store, other)
    sure = "CASE WHEN selected THEN score ELSE 1 - score END" if probabilities else "1"
    writer.copy(
        f"SELECT document FROM {schema}documents WHERE run = $run",  # noqa: S608 - ours
        f"SELECT run, document, label, CASE WHEN selected THEN 1 ELSE -1 END, "  # noqa: S608
        f"least(greatest({sure}, 1e-6), 1), rank FROM {schema}predictions "
        "WHERE run = $run AND (rank <= $depth OR selected)",
        {"run": run, "depth": depth},
        run,
    )
    if other is not None:
        store.connection.execute("DETACH other")


def attach(store: Store, path: Path) -> str:
    """Make the tables of another file readable as those of a schema; returns its name."""
    with store.errors(path):
        store.connection.execute("ATTACH ? AS other (READ_ONLY)".replace("?", "'" + str(path).replace("'", "''") + "'"))
    return "other."


def _used(query: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if f"${name}" in query}
