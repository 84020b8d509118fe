"""From the gold labels that a corpus names to positions in a taxonomy; what cannot be resolved is kept and reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labelmill.errors import GoldError
from labelmill.eval.rankings import PADDING, Gold

if TYPE_CHECKING:
    from labelmill.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A gold label that the taxonomy does not have, or has more than once.

    Attributes:
        text: What the corpus says.
        message: Why it has no position, one line.
        documents: How many documents name it.
        first: The id of the first of them.
    """

    text: str
    message: str
    documents: int
    first: str


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedGold:
    """Gold labels as positions, and what could not be resolved.

    Attributes:
        documents: Ids, in the order given; row i of `gold` belongs to ``documents[i]``.
        gold: The gold labels; an unresolved one is a number below -1, one for each distinct text.
        unresolved: The distinct unresolved labels, most frequent first.
        missing: Their texts in order of appearance; number -2 - i in `gold` stands for ``missing[i]``.
    """

    documents: tuple[str, ...]
    gold: Gold
    unresolved: tuple[Unresolved, ...]
    missing: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line on what is unresolved, for a warning; empty where all is well."""
        return self._said(" and counts as missed", " and count as missed")

    @property
    def outside(self) -> str:
        """The same, where nothing is measured: what is not in the taxonomy."""
        return self._said("", "")

    def _said(self, of_one: str, of_several: str) -> str:
        if not self.unresolved:
            return ""
        count, worst = len(self.unresolved), self.unresolved[0]
        labels = (
            f"1 gold label is not in the taxonomy{of_one}"
            if count == 1
            else f"{count} gold labels are not in the taxonomy{of_several}"
        )
        return f"{labels}, for example {worst.text!r}: {worst.message.rstrip('.')}"


def resolve_gold(documents: Iterable[tuple[str, Sequence[str] | None]], taxonomy: Taxonomy) -> ResolvedGold:
    """Resolve ids or unique names to positions.

    A gold label without a position (a misspelling, a label that a restriction removed, a name that two labels share)
    stays in its document's gold set, where no prediction can match it. It counts against recall, F1, and every metric
    that divides by the number of gold labels. Leaving it out would reward a taxonomy for what it lacks: the fewer of
    the hard labels it had, the better a run would look.

    Args:
        documents: Pairs of a document's id and its gold labels; None or empty where it has none.
        taxonomy: Where to look them up.

    Raises:
        GoldError: If there are gold labels and not one of them resolves.
    """
    resolver = _Resolver(taxonomy)
    ids: list[str] = []
    rows: list[list[int]] = []
    for document, labels in documents:
        ids.append(document)
        rows.append([resolver.position(text, document) for text in dict.fromkeys(labels or ())])
    unresolved = resolver.unresolved()
    if unresolved and len(unresolved) == resolver.seen:
        raise GoldError(
            f"none of the {resolver.seen} distinct gold labels is in the taxonomy, for example "
            f"{unresolved[0].text!r} of document {unresolved[0].first!r}",
            remedy="Gold names labels by id or by unique name: check that corpus and taxonomy belong together.",
        )
    return ResolvedGold(tuple(ids), Gold.from_lists(rows), unresolved, resolver.missing)


class _Resolver:
    """Looks each distinct text up once, and numbers those without a position -2, -3, ..."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._positions: dict[str, int] = {}
        self._missing: dict[str, tuple[str, str]] = {}
        self._documents: dict[str, int] = {}

    @property
    def seen(self) -> int:
        return len(self._positions)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(self._missing)

    def position(self, text: str, document: str) -> int:
        """Look a text up that a document names once."""
        if text not in self._positions:
            try:
                self._positions[text] = self._taxonomy.resolve(text)
            except GoldError as error:
                self._positions[text] = PADDING - 1 - len(self._missing)
                self._missing[text] = str(error), document
        if text in self._missing:
            self._documents[text] = self._documents.get(text, 0) + 1
        return self._positions[text]

    def unresolved(self) -> tuple[Unresolved, ...]:
        """Report what had no position, most frequent first, then in order of appearance."""
        found = [
            Unresolved(text, message, self._documents[text], first) for text, (message, first) in self._missing.items()
        ]
        return tuple(sorted(found, key=lambda label: -label.documents))
