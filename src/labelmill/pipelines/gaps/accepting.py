"""From accepted proposals to the next version of a taxonomy: valid, whatever a person wrote into the proposals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from labelmill.errors import InputError
from labelmill.pipelines.gaps.proposals import Proposal
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.names import normalise


@dataclass(frozen=True, slots=True)
class NextVersion:
    """A taxonomy with what was accepted.

    Attributes:
        taxonomy: It.
        labels: How many labels were added.
        aliases: How many aliases were added.
        notes: What was passed over, one line each.
    """

    taxonomy: Taxonomy
    labels: int
    aliases: int
    notes: tuple[str, ...]


def accept(taxonomy: Taxonomy, proposals: Sequence[tuple[int, Proposal]], source: str = "") -> NextVersion:
    """Add accepted proposals to a taxonomy.

    A new label's id is the one given, or its name, with a number behind it where that is taken. Its phrases become
    aliases, and it takes over the fields that the labels nearest to it have in common, such as ``kind``. A label that
    is split stays, with the parts below it. Nothing of the old version is changed but for aliases that are added.

    Args:
        taxonomy: The version to add to: the whole, not the part that a run was restricted to.
        proposals: With the lines on which they stand.
        source: The file that they come from, for messages.

    Raises:
        InputError: A proposal has no name, or names a label that the taxonomy does not have.
    """
    draft = _Draft(taxonomy, source)
    for line, proposal in proposals:
        if proposal.kind == "alias":
            draft.add_alias(line, proposal)
        elif proposal.kind == "split":
            draft.split(line, proposal)
        else:
            alike = [near.label for near in proposal.nearest]
            draft.add(line, proposal.name, proposal.id, proposal.phrases, proposal.parents, alike)
    return NextVersion(Taxonomy.from_labels(draft.labels), draft.added, draft.aliases, tuple(draft.notes))


class _Draft:
    """The labels so far, and the names that are taken."""

    def __init__(self, taxonomy: Taxonomy, source: str) -> None:
        self.labels = list(taxonomy.labels)
        self.added = self.aliases = 0
        self.notes: list[str] = []
        self._source = source or None
        self._places = {label.id: place for place, label in enumerate(self.labels)}
        self._taken = {normalise(name) for label in self.labels for name in (label.name, *label.aliases)}

    def add(
        self,
        line: int,
        name: str,
        wanted: str,
        phrases: Iterable[str],
        parents: Sequence[str],
        alike: Sequence[str],
    ) -> None:
        name, wanted = self._name(line, name), wanted.strip()
        if normalise(name) in self._taken:
            self.notes.append(f"{self._at(line)}a label has the name or alias {name!r} already")
            return
        if unknown := [parent for parent in parents if parent not in self._places]:
            raise InputError(
                f"no label has the id {unknown[0]!r}, which is a parent of {name!r}",
                path=self._source,
                line=line,
                remedy="Correct its parents, or leave them out.",
            )
        if wanted in self._places:
            raise InputError(
                f"another label has the id {wanted!r}",
                path=self._source,
                line=line,
                remedy="Give another one, or none: it is then the name.",
            )
        label = Label(
            wanted or self._free_id(name), name, (), "", tuple(dict.fromkeys(parents)), None, self._common(alike)
        )
        self._places[label.id] = len(self.labels)
        self.labels.append(label)
        self._taken.add(normalise(name))
        self._extend(label.id, phrases)
        self.added += 1

    def add_alias(self, line: int, proposal: Proposal) -> None:
        self._known(line, proposal.label)
        if not self._extend(proposal.label, [self._name(line, proposal.name)]):
            self.notes.append(f"{self._at(line)}a label has the name or alias {proposal.name!r} already")

    def split(self, line: int, proposal: Proposal) -> None:
        self._known(line, proposal.label)
        for part in proposal.parts:
            self.add(line, part.name, part.id, part.phrases, [proposal.label], [proposal.label])

    def _extend(self, label_id: str, phrases: Iterable[str]) -> int:
        """Add aliases that no label has yet; tell how many."""
        fresh = list[str]()
        for phrase in (" ".join(phrase.split()) for phrase in phrases):
            if phrase and normalise(phrase) not in self._taken:
                self._taken.add(normalise(phrase))
                fresh.append(phrase)
        place = self._places[label_id]
        self.labels[place] = replace(self.labels[place], aliases=(*self.labels[place].aliases, *fresh))
        self.aliases += len(fresh)
        return len(fresh)

    def _common(self, alike: Sequence[str]) -> dict[str, str]:
        """Find the fields that labels have in common; those of one label alone are its own."""
        near = [self.labels[self._places[each]].fields for each in alike if each in self._places]
        if not near:
            return {}
        return {key: value for key, value in near[0].items() if all(each.get(key) == value for each in near)}

    def _free_id(self, name: str) -> str:
        number, found = 1, name
        while found in self._places:
            number += 1
            found = f"{name} ({number})"
        return found

    def _name(self, line: int, name: str) -> str:
        if folded := " ".join(name.split()):
            return folded
        raise InputError(
            "this proposal has no name", path=self._source, line=line, remedy="Give it one, or do not accept it."
        )

    def _known(self, line: int, label_id: str) -> None:
        if label_id not in self._places:
            raise InputError(
                f"no label has the id {label_id!r}",
                path=self._source,
                line=line,
                remedy="Correct it, or give --taxonomy the file that the proposals were made for.",
            )

    def _at(self, line: int) -> str:
        return f"{self._source}:{line}: " if self._source else ""
