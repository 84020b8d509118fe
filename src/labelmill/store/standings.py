"""Reading back what a run did with labels that are already known: where each stands, and what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from labelmill.store.database import Store
from labelmill.store.migration import MIGRATED

_STANDINGS = (
    "WITH wanted AS (SELECT unnest($places::BIGINT[]) AS place, unnest($documents::VARCHAR[]) AS document, "
    "unnest($labels::VARCHAR[]) AS label), "
    "found AS (SELECT place, rank, retrieval_rank, selected, evidence "
    "FROM predictions JOIN wanted USING (document, label) WHERE run = $run), "
    "hits AS (SELECT place, unnest(evidence) AS hit FROM found), "
    "best AS (SELECT place, first(hit.query ORDER BY hit.rank, hit.lane) AS query "
    "FROM hits WHERE hit.query <> '' GROUP BY place) "
    "SELECT place, rank, retrieval_rank, selected, coalesce(query, '') FROM found LEFT JOIN best USING (place)"
)

_PHRASES = (
    "WITH asked AS (SELECT document, unnest(stages) AS key, generate_subscripts(stages, 1) AS place FROM documents "
    "WHERE run = $run AND document IN (SELECT unnest($documents::VARCHAR[]))) "
    "SELECT document, output FROM asked JOIN stages USING (key) WHERE stage = 'infer' ORDER BY document, place"
)


Standing = tuple[int, int | None, bool, str]
"""Final rank; rank before the Rank stage, None where a model named what Retrieve did not find; whether in the final
set; and the query that hit the label in the lane where it stands best, empty where the text itself did."""


def read_program(store: Store, run: str) -> dict[str, Any]:
    """Read the whole specification of a run's program, without what a migration adds."""
    with store.errors():
        row = store.first("SELECT program FROM runs WHERE run = ?", [run])
    program = dict(orjson.loads(row[0])) if row else {}
    program.pop(MIGRATED, None)
    return program


def read_met(store: Store, run: str) -> tuple[frozenset[str], frozenset[str]]:
    """Read the ids of the documents that a run has done, and of those that it failed and has not done."""
    with store.errors():
        done, failed = (
            frozenset(row[0] for row in store.connection.execute(query, [run]).fetchall())
            for query in ("SELECT document FROM documents WHERE run = ?", "SELECT document FROM failures WHERE run = ?")
        )
    return done, failed - done


def read_standings(store: Store, run: str, pairs: Sequence[tuple[str, str]]) -> list[Standing | None]:
    """Look up where labels stand: for each pair of a document's id and a label's id, or None where it has no rank."""
    found: list[Standing | None] = [None] * len(pairs)
    documents, labels = [document for document, _ in pairs], [label for _, label in pairs]
    given = {"run": run, "places": list(range(len(pairs))), "documents": documents, "labels": labels}
    with store.errors():
        rows = store.connection.execute(_STANDINGS, given).fetchall()
    for place, rank, retrieval_rank, selected, query in rows:
        found[place] = rank, retrieval_rank or None, selected, query
    return found


def read_phrases(store: Store, run: str, documents: Sequence[str]) -> dict[str, list[str]]:
    """Read what Infer proposed for some documents, each phrase once; a document of which no model was asked is absent.

    The table of answers is gone through once a call: ask for some thousands of documents at a time.
    """
    with store.errors():
        rows = store.connection.execute(_PHRASES, {"run": run, "documents": list(documents)}).fetchall()
    found: dict[str, dict[str, None]] = {}
    for document, output in rows:
        found.setdefault(document, {}).update(dict.fromkeys(map(str, orjson.loads(output))))
    return {document: list(phrases) for document, phrases in found.items()}
