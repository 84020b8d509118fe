"""The taxonomy itself: labels in a fixed order, found by position, id or name, and the hierarchy over them."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from labelmill.errors import GoldError, TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy.integrity import faults
from labelmill.taxonomy.lineage import Lineage
from labelmill.taxonomy.names import NameIndex
from labelmill.taxonomy.problems import Problem, Row, quote
from labelmill.taxonomy.readers import read_entries

_MOST_CANDIDATES = 3


@dataclass(frozen=True, eq=False, repr=False)
class Taxonomy:
    """Labels in a fixed order, up to a million of them; what is looked up is indexed at the first look.

    Make one with `read`, `from_labels` or `from_names`: they check, the constructor does not.

    >>> taxonomy = Taxonomy.from_names(["sour dough", "rye bread"])
    >>> taxonomy[taxonomy.resolve("Rye  Bread")].id
    'rye bread'

    Attributes:
        labels: The labels, by position.
        source: The file that they come from, for messages.
        whole: What these are a part of, where labels were left out: the hierarchy is that of the whole.
    """

    labels: tuple[Label, ...]
    source: str = ""
    whole: Taxonomy | None = None

    @classmethod
    def read(
        cls, path: str | Path, *, where: str | None = None, under: Sequence[str] = (), language: str = "en"
    ) -> Taxonomy:
        """Read a taxonomy from JSONL, CSV, TSV, plain text or SKOS, by the file's suffix.

        Args:
            path: The file; ``.gz`` after the suffix is understood.
            where: An SQL condition over the labels' columns; see `where`.
            under: Ids or unique names of the labels whose branches to keep; see `under`.
            language: The language of the names, for SKOS.

        Raises:
            TaxonomyError: The file has errors, of which the first is told, and how many more there are; or nothing is
                kept.
            MissingExtraError: SKOS without rdflib.
        """
        entries = list(read_entries(Path(path), language=language))
        rows = [entry for entry in entries if isinstance(entry, Row)]
        problems = [entry for entry in entries if isinstance(entry, Problem)]
        _raise_first(sorted([*problems, *faults(rows)], key=lambda problem: problem.line or 0), str(path))
        taxonomy = cls(tuple(row.label for row in rows), str(path))
        if under:
            taxonomy = taxonomy.under(under)
        return taxonomy if where is None else taxonomy.where(where)

    @classmethod
    def from_labels(cls, labels: Iterable[Label]) -> Taxonomy:
        """Make a taxonomy of labels.

        Raises:
            TaxonomyError: No labels, an empty or repeated id, an empty name, a cycle of parents.
        """
        kept = tuple(labels)
        if not kept:
            raise TaxonomyError("a taxonomy needs at least one label")
        _raise_first(list(faults([Row(label) for label in kept])), None)
        return cls(kept)

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Taxonomy:
        """Make a taxonomy of names, each of which is the label's id as well; raises as `from_labels` does."""
        return cls.from_labels(Label(id=name, name=name) for name in names)

    def where(self, expression: str) -> Taxonomy:
        """Keep the labels for which an SQL condition holds, in order.

        A parent that is not kept stays among the ``parents`` of its children and is passed over by `ancestors`.

        Args:
            expression: A condition in DuckDB's SQL over ``id``, ``name``, ``description``, ``prior``, ``aliases`` and
                ``parents`` (both lists of text) and every field, such as ``kind = 'skill' AND len(aliases) > 0``.

        Raises:
            TaxonomyError: The condition is no condition over these columns, or it holds for no label.
        """
        from labelmill.taxonomy.restriction import restrict

        kept = restrict(self.labels, expression)
        if not kept:
            raise TaxonomyError(
                f"none of {len(self)} labels meets the condition {quote(expression)}", remedy="Widen it."
            )
        return self._part(kept)

    def under(self, roots: Sequence[str]) -> Taxonomy:
        """Keep some labels and all that is below them, in order, whatever lies between: see `Lineage.branch`.

        Args:
            roots: Ids or unique names, also of labels of the whole that are not kept themselves.

        Raises:
            TaxonomyError: There is no such label, or several, or none of its branch is kept.
        """
        whole = self.whole or self
        branch = whole.lineage.branch(whole.find(root) for root in roots)
        ids = {whole[position].id for position in branch}
        kept = [position for position, label in enumerate(self.labels) if label.id in ids]
        if not kept:
            named = ", ".join(map(quote, roots))
            raise TaxonomyError(f"none of {len(self)} labels is under {named}", remedy="Name another label.")
        return self._part(kept)

    def _part(self, kept: Sequence[int]) -> Taxonomy:
        return Taxonomy(tuple(self.labels[position] for position in kept), self.source, self.whole or self)

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    def __getitem__(self, position: int) -> Label:
        return self.labels[position]

    def __repr__(self) -> str:
        return f"<Taxonomy of {len(self)} labels{f' from {self.source}' if self.source else ''}>"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names, by position."""
        return tuple(label.name for label in self.labels)

    @cached_property
    def key(self) -> str:
        """The SHA-256 of what the labels say, in their order: id, name, aliases, description, parents.

        It changes with every edit that could change a vector or a prompt, and with nothing else: not with the file's
        format, nor with the order of its fields.
        """
        digest = hashlib.sha256()
        for label in self.labels:
            content = (label.id, label.name, label.aliases, label.description, label.parents)
            digest.update(json.dumps(content).encode() + b"\n")  # unambiguous: JSON quotes every separator
        return digest.hexdigest()

    def has(self, label_id: str) -> bool:
        """Tell whether a label has this id."""
        return label_id in self._positions

    def position(self, label_id: str) -> int:
        """Find the position of an id.

        Raises:
            TaxonomyError: No label has it.
        """
        try:
            return self._positions[label_id]
        except KeyError:
            raise TaxonomyError(f"no label has the id {quote(label_id)}", path=self.source or None) from None

    def resolve(self, text: str) -> int:
        """Find the position that a gold label means: by id, else by name, else by name up to case and whitespace.

        Raises:
            GoldError: No label or several labels answer to it.
        """
        if (position := self._positions.get(text)) is not None:
            return position
        found = self._name_index.find(text)
        if len(found) == 1:
            return found[0]
        if not found:
            closest = self._name_index.closest(text)
            remedy = f"Did you mean {quote(closest)}?" if closest else "Name labels by id or by name."
            raise GoldError(f"no label has the id or the name {quote(text)}", remedy=remedy)
        ids = ", ".join(quote(self.labels[position].id) for position in found[:_MOST_CANDIDATES])
        more = f" and {len(found) - _MOST_CANDIDATES} more" if len(found) > _MOST_CANDIDATES else ""
        raise GoldError(f"{len(found)} labels are named {quote(text)}", remedy=f"Name it by its id: {ids}{more}.")

    def find(self, text: str) -> int:
        """Find a label that a person names, as `resolve` does.

        Raises:
            TaxonomyError: No label or several labels answer to it.
        """
        try:
            return self.resolve(text)
        except GoldError as error:
            message = str(error).removesuffix(f" {error.remedy}").rstrip(".")
            raise TaxonomyError(message, path=self.source or None, remedy=error.remedy) from None

    @cached_property
    def lineage(self) -> Lineage:
        """What stands above and below each of these labels, as far as it is one of them."""
        return Lineage(self.labels)

    def children(self, position: int) -> tuple[int, ...]:
        """List the positions of the labels whose parent this is, in order."""
        return self.lineage.children[position]

    def ancestors(self, position: int) -> tuple[int, ...]:
        """List the positions of all broader labels, each once, the nearest first."""
        return self.lineage.ancestors(position)

    def path(self, position: int) -> tuple[int, ...]:
        """List the positions from the top of the hierarchy down to this label, by the first parent that is a label."""
        return self.lineage.path(position)

    def title(self, position: int, parents: int) -> str:
        """Name a label, with the names of so many labels above it, the nearest first: ``rye bread (bread > food)``.

        Labels of the whole count that are not kept; of several parents the first one.
        """
        name = self.labels[position].name
        if not parents:
            return name
        whole = self.whole or self
        above = whole.lineage.path(whole.position(self.labels[position].id))[-2::-1][:parents]
        return f"{name} ({' > '.join(whole[each].name for each in above)})" if above else name

    def most_specific(self, positions: Sequence[int]) -> set[int]:
        """Leave out of some labels each that stands above another of them, by way of any labels of the whole."""
        whole = self.whole or self
        places = {whole.position(self.labels[position].id): position for position in positions}
        return {places[place] for place in whole.lineage.most_specific(places)}

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {label.id: position for position, label in enumerate(self.labels)}

    @cached_property
    def _name_index(self) -> NameIndex:
        return NameIndex(self.names)


def _raise_first(problems: Sequence[Problem], path: str | None) -> None:
    for problem in islice(problems, 1):
        remedy = problem.remedy
        if others := len(problems) - 1:
            advice = f"; run `labelmill taxonomy check {shlex.quote(path)}`" if path else ""
            remedy = f"{remedy} And {others} more error{'s' if others > 1 else ''}{advice}."
        raise TaxonomyError(problem.message, path=path, line=problem.line, remedy=remedy)
