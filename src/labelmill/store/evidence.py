"""Reading back what a few documents were given and why, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labelmill.store.database import Store

_GIVEN = (
    "SELECT document, label, name, score, evidence FROM predictions "
    "JOIN (SELECT label, name FROM labels WHERE taxonomy = (SELECT taxonomy FROM runs WHERE run = $run)) USING (label) "
    "WHERE run = $run AND selected AND document IN (SELECT unnest($documents::VARCHAR[])) ORDER BY document, rank"
)


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label of a final set.

    Attributes:
        label: The label's id.
        name: Its name.
        score: Its score.
        queries: What found it, each once, first that of the lane where it stands best; the text itself is none.
    """

    label: str
    name: str
    score: float
    queries: tuple[str, ...]


def read_given(store: Store, run: str, documents: Sequence[str]) -> dict[str, list[GivenLabel]]:
    """Read the final sets of some documents, the best labels first; a document with an empty one is absent."""
    with store.errors():
        rows = store.connection.execute(_GIVEN, {"run": run, "documents": list(documents)}).fetchall()
    found: dict[str, list[GivenLabel]] = {}
    for document, label, name, score, evidence in rows:
        hits = sorted(evidence, key=lambda hit: (hit["rank"], hit["lane"]))
        queries = tuple(dict.fromkeys(hit["query"] for hit in hits if hit["query"]))
        found.setdefault(document, []).append(GivenLabel(label, name, score, queries))
    return found
