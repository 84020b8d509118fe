"""Where labels probably went whose ids vanished, or now mean something else: proposals with evidence, for a person.

Spellings (names and aliases, up to case and space) tell most of it: of a label that vanished, the name is now that of a
label which did not bear it before, or an alias of one; of a label that appeared, the name was an alias before.
Where spellings say nothing, equal descriptions do, and then the likeness of names. What two labels answer to alike is
left alone: no proposal is better than a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from labelmill.records import Label
from labelmill.taxonomy.diff import Targets
from labelmill.taxonomy.model import Taxonomy
from labelmill.taxonomy.names import dice, normalise, trigrams
from labelmill.taxonomy.problems import quote

_LEAST_SIMILAR = 0.7
"""Of the trigrams of two names. Names of two words that share one ("Pike Development", "Rust Development") stay below
it; forms of one word, or one more word, do not."""

_RAREST = 5
_MOST_POSTINGS = 60
"""Names are compared that share one of the rarest trigrams, so that 100,000 labels of new ids take a minute at most."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Where a label probably went, for a person to confirm.

    Attributes:
        source: The label in the old version.
        into: The labels of the new version that it became.
        why: The evidence, as a clause about `source`.
    """

    source: Label
    into: tuple[Label, ...]
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        into = [{"id": label.id, "name": label.name} for label in self.into]
        return {"id": self.source.id, "name": self.source.name, "into": into, "why": self.why}


def detect(old: Taxonomy, new: Taxonomy, known: Targets | None = None) -> tuple[Proposal, ...]:
    """Propose where labels went; at most one proposal a label, in the order of the old version.

    Args:
        old: The version before.
        new: The version after.
        known: Where labels went for certain: of these nothing is proposed.
    """
    return _Detection(old, new, known or {}).proposals()


class _Detection:
    """What vanished, what appeared, and which labels bear a spelling that they did not bear before."""

    def __init__(self, old: Taxonomy, new: Taxonomy, known: Targets) -> None:
        self._old, self._new = {label.id: label for label in old}, {label.id: label for label in new}
        reached = {target for targets in known.values() for target in targets}
        self._vanished = [label for label in old if label.id not in self._new and label.id not in known]
        self._kept = [label for label in old if label.id in self._new and label.id not in known]
        self._appeared = [label for label in new if label.id not in self._old and label.id not in reached]
        self._found: dict[str, Proposal] = {}
        self._reached: set[str] = set()

    def proposals(self) -> tuple[Proposal, ...]:
        self._take(self._vanished, self._by_name)
        self._take(self._strangers(), self._by_name)
        self._take(self._strangers(), self._by_alias)
        self._take(self._vanished, self._by_alias)
        self._take(self._vanished, self._by_former_alias)
        self._take(self._kept, self._by_lost_alias)
        self._take(self._vanished, self._by_old_alias)
        self._take(self._vanished, self._by_description)
        self._take(self._vanished, self._by_spellings)
        self._by_likeness()
        return tuple(self._found[label] for label in self._old if label in self._found)

    def _take(self, labels: Iterable[Label], find: Callable[[Label], Proposal | None]) -> None:
        for label in labels:
            if label.id not in self._found and (proposal := find(label)):
                self._found[label.id] = proposal
                self._reached.update(each.id for each in proposal.into)

    def _strangers(self) -> list[Label]:
        """Find labels whose id is now that of a label which bears none of their names: ids were given anew."""
        pairs = ((label, self._new[label.id]) for label in self._kept)
        return [
            label for label, now in pairs if label.name != now.name and normalise(label.name) not in _spellings(now)
        ]

    def _by_name(self, label: Label) -> Proposal | None:
        name = normalise(label.name)
        bearers = [each for each in self._gained.get(name, ()) if normalise(each.name) == name]
        one = self._closest(label, bearers)
        return Proposal(label, (one,), f"{quote(one.id)} has its name now") if one else None

    def _by_alias(self, label: Label) -> Proposal | None:
        one = self._closest(label, self._gained.get(normalise(label.name), []))
        return Proposal(label, (one,), f"its name is now an alias of {quote(one.name)}") if one else None

    def _by_former_alias(self, label: Label) -> Proposal | None:
        """Find labels that appeared under aliases of one that vanished: it was renamed, or split."""
        into = self._called(_spellings(label))
        if not into or any(self._other_claims(each, label) for each in into):
            return None
        shown = ", ".join(quote(each.name) for each in into[:3])
        said = f"its alias {shown} is now a name" if len(into) == 1 else f"its aliases {shown} are now labels"
        return Proposal(label, into, said)

    def _by_lost_alias(self, label: Label) -> Proposal | None:
        """Find labels that appeared under aliases which one that stayed has lost: they were split off."""
        now = self._new[label.id]
        if label.aliases == now.aliases:
            return None
        into = tuple(
            each for each in self._called(_spellings(label) - _spellings(now)) if not self._other_claims(each, label)
        )
        shown = ", ".join(quote(each.name) for each in into[:3])
        return Proposal(label, (now, *into), f"it lost {shown}, now of an id of its own") if into else None

    def _by_old_alias(self, label: Label) -> Proposal | None:
        """Find the one label that has the name of one that vanished for an alias, as it had before."""
        name = normalise(label.name)
        namesakes = [self._new[each.id] for each in self._bearers.get(name, ()) if normalise(each.name) != name]
        one = self._closest(label, namesakes)
        return Proposal(label, (one,), f"its name is an alias of {quote(one.name)}, as before") if one else None

    def _by_description(self, label: Label) -> Proposal | None:
        alike = self._described.get(label.description, ()) if label.description.strip() else ()
        free = [each for each in alike if each.id not in self._reached]
        return Proposal(label, (free[0],), f"{quote(free[0].name)} has its description") if len(free) == 1 else None

    def _by_spellings(self, label: Label) -> Proposal | None:
        """Find the label that took over half of the spellings, two at least."""
        own = _spellings(label)
        shares: dict[str, int] = {}
        for spelling in own:
            for each in self._gained.get(spelling, ()):
                shares[each.id] = shares.get(each.id, 0) + 1
        best = sorted(shares, key=lambda each: -shares[each])[:2]
        if not best or shares[best[0]] < max(2, len(own) / 2) or (len(best) > 1 and shares[best[0]] == shares[best[1]]):
            return None
        one = self._new[best[0]]
        return Proposal(label, (one,), f"{shares[one.id]} of its {len(own)} names are now those of {quote(one.name)}")

    def _by_likeness(self) -> None:
        """Pair what is left by the likeness of names, where each is the other's nearest and no other is as near."""
        lost = [label for label in self._vanished if label.id not in self._found]
        free = [label for label in self._appeared if label.id not in self._reached]
        there, back = _Nearest(), _Nearest()
        for likeness, label, other in _alike(lost, free):
            there.see(label, other, likeness)
            back.see(other, label, likeness)
        for label in lost:
            nearest = there.of(label)
            if nearest and back.of(nearest) is label:
                why = f"{quote(nearest.name)} is similar ({there.likeness[label.id]:.2f})"
                self._found[label.id] = Proposal(label, (nearest,), why)

    def _closest(self, label: Label, bearers: Sequence[Label]) -> Label | None:
        """Choose the one that bears a name, or that of several which has most else in common, if it is one."""
        others = [each for each in bearers if each.id != label.id]
        if len(others) < 2:
            return others[0] if others else None
        own = _spellings(label)

        def common(each: Label) -> tuple[bool, int, bool, bool]:
            same = each.description == label.description and bool(label.description.strip())
            return same, len(own & _spellings(each)), each.parents == label.parents, each.fields == label.fields

        first, second = sorted(others, key=common, reverse=True)[:2]
        return first if common(first) > common(second) else None

    def _called(self, spellings: set[str]) -> tuple[Label, ...]:
        """List the labels that appeared under one of these names, which no label was called before."""
        found = {
            each.id: each
            for spelling in sorted(spellings - self._names_before)
            for each in self._gained.get(spelling, ())
            if each.id not in self._old and normalise(each.name) == spelling and each.id not in self._reached
        }
        return tuple(found.values())

    def _other_claims(self, appeared: Label, label: Label) -> bool:
        """Tell whether another label had that name for an alias as well."""
        name = normalise(appeared.name)
        return any(other.id != label.id for other in self._borne_before.get(name, ()))

    @cached_property
    def _gained(self) -> dict[str, list[Label]]:
        """The labels of the new version by each spelling that they did not bear before."""
        found: dict[str, list[Label]] = {}
        for label in self._new.values():
            before = self._old.get(label.id)
            if before is not None and (before.name, before.aliases) == (label.name, label.aliases):
                continue
            for spelling in sorted(_spellings(label) - (_spellings(before) if before else set())):
                found.setdefault(spelling, []).append(label)
        return found

    @cached_property
    def _bearers(self) -> dict[str, list[Label]]:
        """The labels that stayed, by what of the names of those that vanished they bore before and still bear."""
        wanted = {normalise(label.name) for label in self._vanished}
        found: dict[str, list[Label]] = {}
        for label in self._kept if wanted else ():
            for spelling in _spellings(label) & wanted & _spellings(self._new[label.id]):
                found.setdefault(spelling, []).append(label)
        return found

    @cached_property
    def _borne_before(self) -> dict[str, list[Label]]:
        """The labels of the old version by spelling, as far as labels that appeared are called so."""
        wanted = {normalise(label.name) for label in self._appeared}
        found: dict[str, list[Label]] = {}
        for label in self._old.values():
            for spelling in _spellings(label) & wanted:
                found.setdefault(spelling, []).append(label)
        return found

    @cached_property
    def _names_before(self) -> set[str]:
        return {normalise(label.name) for label in self._old.values()}

    @cached_property
    def _described(self) -> dict[str, list[Label]]:
        found: dict[str, list[Label]] = {}
        for label in self._appeared:
            found.setdefault(label.description, []).append(label)
        return found


class _Nearest:
    """For each label the one that is most like it; none where two are."""

    def __init__(self) -> None:
        self.likeness: dict[str, float] = {}
        self._nearest: dict[str, Label | None] = {}

    def see(self, label: Label, other: Label, likeness: float) -> None:
        best = self.likeness.get(label.id, 0.0)
        if likeness >= best:
            self._nearest[label.id] = other if likeness > best else None
            self.likeness[label.id] = likeness

    def of(self, label: Label) -> Label | None:
        return self._nearest.get(label.id)


def _spellings(label: Label) -> set[str]:
    return set(map(normalise, (label.name, *label.aliases)))


def _alike(left: Sequence[Label], right: Sequence[Label]) -> Iterator[tuple[float, Label, Label]]:
    """Compare names that share a rare trigram; give those that are similar."""
    grams = [trigrams(normalise(label.name)) for label in right]
    postings: dict[str, list[int]] = {}
    for place, own in enumerate(grams):
        for gram in sorted(own):
            postings.setdefault(gram, []).append(place)
    for label in left:
        wanted = trigrams(normalise(label.name))
        rare = sorted((gram for gram in wanted if gram in postings), key=lambda gram: (len(postings[gram]), gram))
        near = {place for gram in rare[:_RAREST] for place in postings[gram][:_MOST_POSTINGS]}
        for place in sorted(near):
            likeness = dice(wanted, grams[place])
            if likeness >= _LEAST_SIMILAR:
                yield likeness, label, right[place]
