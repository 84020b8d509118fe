"""Predictions into the file and out of it again, by flat columns: a batch has ten thousand pieces of evidence.

Values travel as numpy arrays, which DuckDB reads where they lie; lists are put together by it. Row by row, as JSON or
as Python values, the same costs five times as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.records import Candidate, LaneHit
from labelmill.store.database import Store
from labelmill.store.results import DocumentResult
from labelmill.taxonomy import Taxonomy

_INSERT = (
    "INSERT INTO predictions "
    "SELECT $run, document, label, rank, score, selected, retrieval_rank, retrieval_score, coalesce(hits, []), $batch "
    "FROM new_predictions LEFT JOIN ("
    "SELECT row, list(struct_pack(lane := lane, rank := rank, score := score, query := query)) AS hits "
    "FROM new_hits GROUP BY row) USING (row) ORDER BY row"
)

_READ = (
    "WITH wanted AS (SELECT unnest($places::INTEGER[]) AS place, unnest($runs::VARCHAR[]) AS run, "
    "unnest($documents::VARCHAR[]) AS document), "
    "found AS (SELECT place, label, retrieval_rank, retrieval_score, evidence, len(evidence) AS hits "
    "FROM predictions JOIN wanted USING (run, document) WHERE batch IN (SELECT unnest($batches::UINTEGER[])) "
    # What a model named and Retrieve did not find is no candidate of the next run.
    "AND retrieval_rank > 0), "
    # A label without evidence needs a row too.
    "flat AS (SELECT * EXCLUDE evidence, unnest(CASE WHEN hits = 0 THEN "
    "[{'lane': '', 'rank': 0, 'score': 0, 'query': ''}] ELSE evidence END) AS hit FROM found) "
    "SELECT place, label, retrieval_rank, retrieval_score, hits, hit.lane, hit.rank, hit.score, hit.query FROM flat"
)


def insert_predictions(store: Store, run: str, documents: Sequence[DocumentResult], batch: int) -> None:
    """Append the predictions of some documents, within the transaction that is open."""
    predictions = [prediction for item in documents for prediction in item.predictions]
    if not predictions:
        return
    hits = [hit for prediction in predictions for hit in prediction.evidence]
    rows = np.arange(len(predictions), dtype=np.int32)
    columns = {
        "row": rows,
        "document": np.repeat(_column(documents, "document"), [len(item.predictions) for item in documents]),
        "label": _column(predictions, "label"),
        "rank": _column(predictions, "rank", np.int32),
        "score": _column(predictions, "score", np.float64),
        "selected": _column(predictions, "selected", np.bool_),
        "retrieval_rank": _column(predictions, "retrieval_rank", np.int32),
        "retrieval_score": _column(predictions, "retrieval_score", np.float64),
    }
    evidence = {
        "row": np.repeat(rows, [len(item.evidence) for item in predictions]),
        "lane": _column(hits, "lane"),
        "rank": _column(hits, "rank", np.int32),
        "score": _column(hits, "score", np.float64),
        "query": _column(hits, "query"),
    }
    with store.view("new_predictions", columns), store.view("new_hits", evidence):
        store.connection.execute(_INSERT, {"run": run, "batch": batch})


def read_candidates(store: Store, taxonomy: Taxonomy, wanted: Sequence[tuple[str, str, int]]) -> list[list[Candidate]]:
    """Read the candidates of documents back from their predictions, in the order of the fusion.

    Args:
        store: Where they are.
        taxonomy: That of the runs, for the positions of labels.
        wanted: Run, document and batch of each.
    """
    runs, documents, batches = zip(*wanted, strict=True)
    given = {
        "places": list(range(len(wanted))),
        "runs": list(runs),
        "documents": list(documents),
        "batches": sorted(set(batches)),
    }
    columns = store.connection.execute(_READ, given).fetchnumpy()
    # The sort is stable: the evidence of a label stays in its order.
    order = np.lexsort((columns["retrieval_rank"], columns["place"]))
    places, labels, _, scores, counts, *of_hits = (columns[name][order].tolist() for name in columns)
    hits = list(map(LaneHit, *of_hits))
    found: list[list[Candidate]] = [[] for _ in wanted]
    start = 0
    while start < len(hits):
        evidence = tuple(hits[start : start + counts[start]])
        found[places[start]].append(Candidate(taxonomy.position(labels[start]), scores[start], evidence))
        start += max(counts[start], 1)
    return found


def _column(values: Sequence[Any], name: str, kind: type[np.generic] = np.object_) -> NDArray[Any]:
    """Collect one attribute of many values; texts stay objects, which DuckDB reads as such."""
    return np.array(list(map(attrgetter(name), values)), dtype=kind)
