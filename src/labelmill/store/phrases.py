"""Reading back what was said of documents, counted over a whole run: phrases of Infer, and what hit selected labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from labelmill.store.database import Store

_SAMPLE = 5
"""Documents that are named of many: the first by id."""

_SAID = (
    "WITH asked AS (SELECT document, unnest(stages) AS key FROM documents WHERE run = $run), "
    "said AS (SELECT DISTINCT document, unnest(CAST(output AS VARCHAR[])) AS phrase "
    "FROM asked JOIN stages USING (key) WHERE stage = 'infer') "
)

_COUNTED = _SAID + (  # noqa: S608 - constant text
    ", spelled AS (SELECT lower(phrase) AS folded, phrase, count(*) AS times FROM said GROUP BY ALL) "
    ", counted AS (SELECT lower(phrase) AS folded, count(DISTINCT document) AS documents FROM said GROUP BY ALL) "
    "SELECT folded, first(phrase ORDER BY times DESC, phrase), any_value(documents) AS documents "
    "FROM spelled JOIN counted USING (folded) GROUP BY folded ORDER BY documents DESC, folded"
)

_GROUPED = _SAID + (
    "SELECT number, count(DISTINCT document), list_sort(min(DISTINCT document, $sample)) "
    "FROM said JOIN grouped ON lower(phrase) = folded GROUP BY number"
)

_SUPPORTING = (
    "WITH hits AS (SELECT document, label, unnest(evidence) AS hit FROM predictions WHERE run = $run AND selected), "
    "best AS (SELECT document, label, first(hit.query ORDER BY hit.rank, hit.lane) AS query "
    "FROM hits WHERE hit.query <> '' GROUP BY ALL), "
    "many AS (SELECT label FROM best GROUP BY label HAVING count(*) >= $least AND count(DISTINCT lower(query)) > 1) "
    "SELECT label, any_value(query ORDER BY query), count(*), min(document, $sample) FROM best JOIN many USING (label) "
    "GROUP BY label, lower(query) ORDER BY label, count(*) DESC, lower(query)"
)

Support = tuple[int, tuple[str, ...]]
"""In how many documents, and the ids of some."""


def count_proposed(store: Store, run: str) -> list[tuple[str, str, int]]:
    """Count what Infer proposed: each phrase folded, in its most frequent spelling, and in how many documents.

    The most frequent come first. Case does not tell phrases apart.
    """
    with store.errors():
        return store.connection.execute(_COUNTED, {"run": run}).fetchall()


def count_groups(store: Store, run: str, groups: Mapping[str, int]) -> dict[int, Support]:
    """Count the documents for which Infer proposed any phrase of a group.

    Args:
        store: Where the run is.
        run: Its name.
        groups: The number of each folded phrase's group.
    """
    folded, numbers = np.array(list(groups), dtype=object), np.array(list(groups.values()), dtype=np.int64)
    with store.errors():
        store.connection.register("grouped", {"folded": folded, "number": numbers})
        rows = store.connection.execute(_GROUPED, {"run": run, "sample": _SAMPLE}).fetchall()
        store.connection.unregister("grouped")
    return {number: (count, tuple(sample)) for number, count, sample in rows}


def read_supporting(store: Store, run: str, *, least: int) -> dict[str, list[tuple[str, int, tuple[str, ...]]]]:
    """Read what speaks for each label of the final sets: the query that hit it best, in how many documents, and some.

    Args:
        store: Where the run is.
        run: Its name.
        least: Labels of fewer documents are left out, and those that one query alone hits.
    """
    given: dict[str, Any] = {"run": run, "least": least, "sample": _SAMPLE}
    with store.errors():
        rows = store.connection.execute(_SUPPORTING, given).fetchall()
    found: dict[str, list[tuple[str, int, tuple[str, ...]]]] = {}
    for label, query, documents, sample in rows:
        found.setdefault(label, []).append((query, documents, tuple(sorted(sample))))
    return found
