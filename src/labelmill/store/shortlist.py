"""Which documents of a run are worth a closer look: figures of each, computed within DuckDB, of which a few are kept.

Nothing of a run is in memory but the shortlist, and what DuckDB takes for one row of figures a document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labelmill.store.database import Store

Committee = Literal["runs", "votes", "lanes", "none"]


@dataclass(frozen=True, slots=True)
class Belief:
    """How a run's scores become probabilities.

    Attributes:
        kind: ``probability``: they are; ``fitted``: by a regression on score and rank; ``margin``: by how far a score
            is from where its document's final set was cut, which orders documents and claims no more; ``score``: not at
            all, they are left as they are.
        numbers: Of ``fitted``: what is constant, for the score, for the logarithm of the rank. Of ``margin``: the
            spread of the scores.
    """

    kind: Literal["probability", "fitted", "margin", "score"]
    numbers: tuple[float, ...] = ()

    @property
    def sql(self) -> str:
        """The expression, over `score`, `rank`, and of ``margin`` the `edge` of the document."""
        if self.kind == "probability":
            return "least(greatest(score, 0), 1)"
        if self.kind == "score":
            return "score"
        if self.kind == "fitted":
            constant, score, rank = self.numbers
            return f"1 / (1 + exp(-({constant!r} + {score!r} * score + {rank!r} * ln(rank))))"
        return f"1 / (1 + exp(-4 * (score - edge) / {self.numbers[0]!r}))"


@dataclass(frozen=True, slots=True, eq=False)
class Shortlist:
    """Documents worth a closer look.

    Attributes:
        documents: Their ids, in order.
        doubt: Expected wrong decisions on the labels of each, shape (n,).
        disagreement: Of the committee, shape (n,).
        sampled: Which were drawn at random, rather than for what they are worth; bool, shape (n,).
        pool: How many documents there were.
    """

    documents: list[str]
    doubt: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    sampled: NDArray[np.bool_]
    pool: int


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for in a run.

    Attributes:
        run: Its name.
        belief: What its scores mean.
        depth: How far down its rankings.
        committee: Whose disagreement counts.
        runs: The runs whose final sets are compared, where the committee is runs.
        lanes: How many lanes the run has, where the committee is lanes.
        near: The rank in a lane up to which that is a vote for a label.
        weights: Of ``uncertainty``, ``disagreement`` and ``tail``, for the shortlist alone.
        seed: Of what is drawn at random.
    """

    run: str
    belief: Belief
    depth: int
    committee: Committee = "none"
    runs: Sequence[str] = ()
    lanes: int = 0
    near: int = 5
    weights: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0


def read_spread(store: Store, run: str, depth: int) -> float:
    """Compute the standard deviation of a run's scores; 1 where they are all alike."""
    with store.errors():
        row = store.first("SELECT stddev_pop(score) FROM predictions WHERE run = ? AND rank <= ?", [run, depth])
    return float(row[0] or 1.0) if row else 1.0


def read_range(store: Store, run: str) -> tuple[float, float]:
    """Return the least and the greatest score of a run; zeros where it has no predictions."""
    with store.errors():
        row = store.first(
            "SELECT coalesce(min(score), 0), coalesce(max(score), 0) FROM predictions WHERE run = ?", [run]
        )
    return row or (0.0, 0.0)


def count_lanes(store: Store, run: str) -> int:
    """Count the lanes that gave evidence, by the first predictions of the run."""
    with store.errors():
        row = store.first(
            "SELECT count(DISTINCT hit.lane) FROM "
            "(SELECT unnest(evidence) AS hit FROM predictions WHERE run = ? LIMIT 200000)",
            [run],
        )
    return int(row[0]) if row else 0


def has_votes(store: Store, run: str) -> bool:
    """Tell whether voters voted on documents of a run, and on its taxonomy."""
    with store.errors():
        if store.first("SELECT 1 FROM duckdb_tables() WHERE table_name = 'votes'") is None:
            return False
        return store.first(_HAS_VOTES, {"run": run}) is not None


def read_shortlist(
    store: Store, asked: Question, gold: Mapping[str, int], labelled: Sequence[str], most: int
) -> Shortlist:
    """Choose the documents that look best, as many drawn at random, `most` together; all where there are no more.

    Args:
        store: Where the run is.
        asked: What is looked for.
        gold: How many documents have each label in the gold, by the label's id.
        labelled: Ids of documents that are left out, since they have gold.
        most: Documents of the shortlist.
    """
    counts = {"label": _texts(gold), "times": np.array(list(gold.values()), np.float64)}
    given: dict[str, Any] = {
        "run": asked.run,
        "depth": asked.depth,
        "near": asked.near,
        "lanes": max(asked.lanes, 1),
        "runs": list(asked.runs),
    }
    query = f"CREATE OR REPLACE TEMP TABLE looked_at AS {_figures(asked)}"
    with (
        store.errors(),
        store.view("gold_counts", counts),
        store.view("gold_documents", {"document": _texts(labelled)}),
    ):
        store.connection.execute(query, {name: value for name, value in given.items() if f"${name}" in query})
        (pool,) = store.first("SELECT count(*) FROM looked_at") or (0,)
        weights = {name: asked.weights.get(name, 1.0) for name in ("uncertainty", "disagreement", "tail")}
        found = store.connection.execute(
            _CHOSEN, {**weights, "seed": str(asked.seed), "half": (most + 1) // 2, "most": most}
        ).fetchnumpy()
        store.connection.execute("DROP TABLE looked_at")
    return Shortlist(
        list(found["document"]),
        np.asarray(found["doubt"], np.float64),
        np.asarray(found["disagreement"], np.float64),
        np.asarray(found["sampled"], np.bool_),
        int(pool),
    )


@dataclass(frozen=True, slots=True, eq=False)
class BelievedPairs:
    """Labels of some documents with what is thought of them, by document and rank.

    Attributes:
        row: Place among the documents asked for, int64, shape (m,).
        label: Position in the taxonomy, int32, shape (m,).
        probability: Shape (m,).
        selected: Whether in the final set, shape (m,).
        rank: In the run, from 1, int32, shape (m,).
    """

    row: NDArray[np.int64]
    label: NDArray[np.int32]
    probability: NDArray[np.float64]
    selected: NDArray[np.bool_]
    rank: NDArray[np.int32]

    @classmethod
    def none(cls) -> BelievedPairs:
        """Of no document."""
        rows, numbers = np.empty(0, np.int64), np.empty(0, np.int32)
        return cls(rows, numbers, np.empty(0), np.empty(0, np.bool_), numbers)


def read_pairs(store: Store, run: str, belief: Belief, documents: Sequence[str], depth: int) -> BelievedPairs:
    """Read the labels of some documents of a run, to a depth, and those of final sets."""
    places = {"document": _texts(documents), "row": np.arange(len(documents), dtype=np.int64)}
    query = (
        f"WITH own AS ({_own('wanted', belief)}) "  # noqa: S608
        f"SELECT row, position, {belief.sql} AS probability, selected, rank FROM own JOIN wanted USING (document) "
        "JOIN (SELECT label, position FROM labels WHERE taxonomy = (SELECT taxonomy FROM runs WHERE run = $run)) "
        "USING (label) ORDER BY row, rank, position"
    )
    with store.errors(), store.view("wanted", places):
        found = store.connection.execute(query, {"run": run, "depth": depth}).fetchnumpy()
    return BelievedPairs(
        np.asarray(found["row"], np.int64),
        np.asarray(found["position"], np.int32),
        np.asarray(found["probability"], np.float64),
        np.asarray(found["selected"], np.bool_),
        np.asarray(found["rank"], np.int32),
    )


def read_met(store: Store, run: str, documents: Sequence[str]) -> list[str]:
    """Return those of some documents that a run has done, in order."""
    query = (
        "SELECT document FROM documents WHERE run = ? AND document IN (SELECT document FROM wanted) ORDER BY document"
    )
    with store.errors(), store.view("wanted", {"document": _texts(documents)}):
        return [row[0] for row in store.connection.execute(query, [run]).fetchall()]


def read_annotators(store: Store, voters: Sequence[str], run: str) -> list[tuple[str, str, list[str]]]:
    """Read what annotators say of those documents of a run that they were shown: voter, document, labels given."""
    query = (
        "SELECT voter, document, coalesce(list(label ORDER BY label) FILTER (vote > 0), []) "
        "FROM shown JOIN voters USING (scope) JOIN (SELECT document FROM documents WHERE run = $run) USING (document) "
        "LEFT JOIN votes USING (voter, document) "
        "WHERE voter IN (SELECT unnest($voters::VARCHAR[])) GROUP BY ALL ORDER BY voter, document"
    )
    with store.errors():
        return store.connection.execute(query, {"voters": list(voters), "run": run}).fetchall()


def _texts(values: Any) -> NDArray[np.object_]:
    return np.array([*values, ""], dtype=np.object_)[:-1]


def _own(documents: str, belief: Belief, *, outside: bool = False, evidence: bool = False) -> str:
    """Select a run's predictions of documents in a table, or outside it, with the edge of each set where it counts."""
    columns = "document, label, rank, score, selected" + (", evidence" if evidence else "")
    where = f"document {'NOT ' if outside else ''}IN (SELECT document FROM {documents})"  # noqa: S608
    rows = f"SELECT {columns} FROM predictions WHERE run = $run AND (rank <= $depth OR selected) AND {where}"  # noqa: S608
    if belief.kind != "margin":
        return rows
    low, high = "min(score) FILTER (selected) OVER one", "max(score) FILTER (NOT selected) OVER one"
    # A set that took all that there is, or nothing, was cut below the least score, or above the greatest.
    edge = f"(coalesce({low}, {high}) + coalesce({high}, {low})) / 2"
    return f"SELECT *, {edge} AS edge FROM ({rows}) WINDOW one AS (PARTITION BY document)"  # noqa: S608


def _figures(asked: Question) -> str:
    """Write the query for doubt, disagreement and tail of each document without gold."""
    lanes = asked.committee == "lanes"
    split = (
        "4 * len(list_filter(evidence, lambda hit: hit.rank <= $near)) / $lanes "
        "* (1 - len(list_filter(evidence, lambda hit: hit.rank <= $near)) / $lanes)"
    )
    return (
        f"WITH own AS ({_own('gold_documents', asked.belief, outside=True, evidence=lanes)}), "  # noqa: S608
        f"believed AS (SELECT document, label, selected, {asked.belief.sql} AS p, "
        f"{split if lanes else '0.0'} AS split FROM own), "
        "summed AS (SELECT document, sum(CASE WHEN selected THEN 1 - p ELSE p END) AS doubt, "
        "sum(ln(1 + p / (1 + coalesce(times, 0)))) AS tail, sum(split) AS split "
        "FROM believed LEFT JOIN gold_counts USING (label) GROUP BY document), "
        f"disputed AS ({_DISPUTED.get(asked.committee, _NOBODY)}) "
        "SELECT document, coalesce(doubt, 0.0) AS doubt, coalesce(tail, 0.0) AS tail, "
        f"coalesce({'split' if lanes else 'dispute'}, 0.0) AS disagreement "
        "FROM (SELECT document FROM documents "
        "WHERE run = $run AND document NOT IN (SELECT document FROM gold_documents)) "
        "LEFT JOIN summed USING (document) LEFT JOIN disputed USING (document)"
    )


_NOBODY = "SELECT '' AS document, 0.0 AS dispute LIMIT 0"

_DISPUTED = {
    "runs": (
        "SELECT document, sum(4 * times / len($runs) * (1 - times / len($runs))) AS dispute FROM ("
        "SELECT document, label, count(*) AS times FROM predictions "
        "WHERE selected AND run IN (SELECT unnest($runs::VARCHAR[])) GROUP BY ALL) GROUP BY document"
    ),
    # Who speaks by silence votes against what it did not name, in the documents that it was shown.
    "votes": (
        "SELECT document, sum(4 * yes * (no + quiet) / (yes + no + quiet) ** 2) AS dispute FROM ("
        "SELECT document, label, yes, no, coalesce(silent, 0) - heard AS quiet FROM ("
        "SELECT document, label, count(*) FILTER (vote > 0) AS yes, count(*) FILTER (vote < 0) AS no, "
        "count(*) FILTER (silence) AS heard FROM votes JOIN voters USING (voter) "
        "WHERE taxonomy = (SELECT taxonomy FROM runs WHERE run = $run) GROUP BY ALL) LEFT JOIN ("
        "SELECT document, count(*) AS silent FROM shown JOIN voters USING (scope) "
        "WHERE silence AND taxonomy = (SELECT taxonomy FROM runs WHERE run = $run) GROUP BY document) "
        "USING (document)) GROUP BY document"
    ),
}

_HAS_VOTES = (
    "SELECT 1 FROM votes JOIN voters USING (voter) WHERE taxonomy = (SELECT taxonomy FROM runs WHERE run = $run) "
    "AND document IN (SELECT document FROM documents WHERE run = $run) LIMIT 1"
)

# The order of what is drawn is that of hashes: the same on every machine, and for every order of the rows.
_CHOSEN = (
    "WITH heights AS (SELECT greatest(quantile_cont(doubt, 0.95), max(doubt) / 3, 1e-12) AS high_doubt, "
    "greatest(quantile_cont(disagreement, 0.95), max(disagreement) / 3, 1e-12) AS high_disagreement, "
    "greatest(quantile_cont(tail, 0.95), max(tail) / 3, 1e-12) AS high_tail FROM looked_at), "
    "worth AS (SELECT document, doubt, disagreement, $uncertainty * least(doubt / high_doubt, 1) "
    "+ $disagreement * least(disagreement / high_disagreement, 1) + $tail * least(tail / high_tail, 1) AS worth, "
    "md5(document || $seed) AS drawn FROM looked_at, heights), "
    "sample AS (SELECT document FROM worth ORDER BY drawn LIMIT $half), "
    "best AS (SELECT document FROM worth WHERE document NOT IN (SELECT document FROM sample) "
    "ORDER BY round(worth, 6) DESC, drawn LIMIT greatest($most - $half, 0)) "
    "SELECT document, doubt, disagreement, document IN (SELECT document FROM sample) AS sampled FROM worth "
    "WHERE document IN (SELECT document FROM sample) OR document IN (SELECT document FROM best) ORDER BY document"
)
