"""What can become of a gold label on its way through the stages, and the line that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Fate(StrEnum):
    """What became of a gold label, in the order of the stages; each but the last is a loss."""

    outside = "outside the taxonomy"
    failed = "its document failed"
    not_proposed = "not proposed"
    not_retrieved = "proposed, not retrieved"
    ranked_low = "ranked too low"
    cut = "cut by the decision"
    found = "found"


STAGES = {
    "in the taxonomy": Fate.outside,
    "read": Fate.failed,
    "proposed": Fate.not_proposed,
    "retrieved": Fate.not_retrieved,
    "ranked": Fate.ranked_low,
    "decided": Fate.cut,
}
"""What a gold label is after each stage that does not lose it, and the fate of those that the stage loses."""

Proposer = Literal["queries", "votes", "student"]
"""What proposes labels: queries, which have words that may be near to a label's; or votes, or a student alone."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A gold label of a document and what became of it.

    Attributes:
        document: The document's id.
        label: The label's id; what the corpus says, where the taxonomy does not have it.
        name: Its name.
        fate: What became of it.
        query: The query that hit it, where it was retrieved; else the one that comes nearest to a name of it, or empty.
        similarity: How near, from 0 to 1; None where that was not computed, because it was retrieved or could not be.
        retrieval_rank: Its rank before the Rank stage; None where it was not retrieved.
        rank: Its final rank; None where it was not retrieved.
        proposer: What could have proposed it.
    """

    document: str
    label: str
    name: str
    fate: Fate
    query: str = ""
    similarity: float | None = None
    retrieval_rank: int | None = None
    rank: int | None = None
    proposer: Proposer = "queries"

    def explain(self) -> str:
        """Say in one line what became of the label.

        >>> LedgerEntry("ad-1", "L7", "bake bread", Fate.not_proposed, "repair ovens", 0.125).explain()
        "gold label 'bake bread' was never proposed; the nearest phrase was 'repair ovens'"
        """
        return f"gold label {self.name!r} {_EXPLANATIONS[self.fate](self)}"

    def as_dict(self) -> dict[str, str | float | int | None]:
        """Give plain values for JSON, the line that explains them at the end."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"fate": self.fate.name, "explanation": self.explain()}


def _nearest(entry: LedgerEntry) -> str:
    if entry.proposer != "queries":
        return ": no voter put it forward" if entry.proposer == "votes" else ": the student does not rank it"
    return f"; the nearest phrase was {entry.query!r}" if entry.query else "; no phrase came near to it"


def _ranked(entry: LedgerEntry) -> str:
    if entry.proposer != "queries":
        return f"at rank {entry.rank}"
    by = f" by {entry.query!r}" if entry.query else ""
    if entry.retrieval_rank is None:
        return f"at rank {entry.rank} (named by the model, not retrieved)"
    return f"at rank {entry.rank} (retrieved at rank {entry.retrieval_rank}{by})"


_EXPLANATIONS: dict[Fate, Callable[[LedgerEntry], str]] = {
    Fate.outside: lambda _: "is not in the taxonomy",
    Fate.failed: lambda _: "was lost with its document, which failed",
    Fate.not_proposed: lambda entry: f"was never proposed{_nearest(entry)}",
    Fate.not_retrieved: lambda entry: f"was never retrieved{_nearest(entry)}",
    Fate.ranked_low: lambda entry: f"was ranked too low, {_ranked(entry)}",
    Fate.cut: lambda entry: f"was cut by the decision, {_ranked(entry)}",
    Fate.found: lambda entry: f"was found {_ranked(entry)}",
}
