"""What a SKOS vocabulary says of its concepts, gathered triple by triple; nothing else of the graph is kept.

Of each concept that is its best name and description so far, its aliases and the concepts above it, as plain text:
a vocabulary in 24 languages takes little more room than its part in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labelmill.records import Label

Text = tuple[str, str]
"""A text and its language, folded; empty for none."""

_ALIASES = ("altLabel", "hiddenLabel")
_DESCRIPTIONS = ("definition", "scopeNote")
_BEST = ("prefLabel", *_DESCRIPTIONS)
_FOREIGN = 3


@dataclass(slots=True)
class _Draft:
    """What is known of one subject so far.

    Attributes:
        best: The best text of each relation that has one.
        aliases: By relation and language.
        broader: Ids of what is above it.
        notations: Its codes.
    """

    best: dict[str, Text] = field(default_factory=dict)
    aliases: dict[Text, set[str]] = field(default_factory=dict)
    broader: set[str] = field(default_factory=set)
    notations: set[str] = field(default_factory=set)


class Concepts:
    """Gathers concepts, in any order of triples.

    Args:
        language: Of the names that are wanted.

    Attributes:
        found: Ids of the subjects that are concepts; True for those that have a URI.
    """

    def __init__(self, language: str) -> None:
        """Know nothing yet."""
        self.found: dict[str, bool] = {}
        self._wanted = language.casefold()
        self._drafts: dict[str, _Draft] = {}
        self._ids: dict[str, str] = {}

    def is_concept(self, subject: str, *, named: bool) -> None:
        """Take note that a subject is a concept, and whether it has a URI."""
        self.found[self._id(subject)] = named

    def says(self, subject: str, relation: str, text: str, language: str) -> None:
        """Take note of a text: the relation is that of SKOS, without its namespace."""
        draft, spoken = self._draft(subject), language.casefold()
        if relation in _BEST:
            old = draft.best.get(relation)
            if old is None or self._order((text, spoken)) < self._order(old):
                draft.best[relation] = text, spoken
                if relation == "prefLabel" and spoken == self._wanted:
                    draft.aliases = {key: texts for key, texts in draft.aliases.items() if key[1] in {"", spoken}}
        elif relation in _ALIASES:
            # Aliases of other languages are of use only where there is no name in the wanted one.
            if spoken in {"", self._wanted} or draft.best.get("prefLabel", ("", ""))[1] != self._wanted:
                draft.aliases.setdefault((relation, spoken), set()).add(text)
        elif relation == "notation":
            draft.notations.add(text)

    def is_below(self, subject: str, above: str) -> None:
        """Take note that one concept is narrower than another."""
        self._draft(subject).broader.add(self._id(above))

    def label(self, concept: str) -> Label:
        """Make a label of all that was said of a concept."""
        draft = self._drafts.get(concept) or _Draft()
        name, spoken = draft.best.get("prefLabel", ("", ""))
        languages = {"", spoken, self._wanted}
        aliases = [
            text
            for relation in _ALIASES
            for language in sorted(languages)
            for text in sorted(draft.aliases.get((relation, language), ()))
        ]
        description = next((draft.best[each][0] for each in _DESCRIPTIONS if each in draft.best), "")
        fields: Mapping[str, str] = {"notation": " | ".join(sorted(draft.notations))} if draft.notations else {}
        return Label(
            concept, name, tuple(dict.fromkeys(aliases)), description, tuple(sorted(draft.broader)), None, fields
        )

    def foreign(self, concept: str) -> str:
        """Give the language of a concept's name where it is not the wanted one of any region; else nothing."""
        draft = self._drafts.get(concept)
        text = draft.best.get("prefLabel") if draft else None
        return text[1] if text and self._order(text)[0] == _FOREIGN else ""

    def _order(self, text: Text) -> tuple[int, str, str]:
        """Put first what is in the wanted language, then a region's variant of it, then none, then any."""
        spoken = text[1]
        regional = spoken.startswith(f"{self._wanted}-")
        return (0 if spoken == self._wanted else 1 if regional else 2 if not spoken else _FOREIGN), spoken, text[0]

    def _draft(self, subject: str) -> _Draft:
        return self._drafts.setdefault(self._id(subject), _Draft())

    def _id(self, subject: str) -> str:
        """Keep one copy of each id, as plain text."""
        return self._ids.setdefault(str(subject), str(subject))
