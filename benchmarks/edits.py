"""A taxonomy changed as a month's work changes one: labels added, renamed and merged at random, and what was done."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from labelmill import Label, Taxonomy


@dataclass(frozen=True, slots=True)
class Edit:
    """A new version, and the truth about it.

    Attributes:
        taxonomy: The new version.
        added: Ids that are new.
        renamed: For the id of a renamed label its new name.
        merged: For the id of a label that is gone, the id of the one that took it in.
    """

    taxonomy: Taxonomy
    added: frozenset[str]
    renamed: dict[str, str]
    merged: dict[str, str]


def edited(old: Taxonomy, *, added: int = 100, renamed: int = 50, merged: int = 20, seed: int = 0) -> Edit:
    """Change a taxonomy: additions get a name of two halves of others, a merged label's names become aliases."""
    chance = random.Random(seed)
    drawn = chance.sample(range(len(old)), renamed + 2 * merged)
    names = {old[place].id: f"{old[place].name} (revised)" for place in drawn[:renamed]}
    gone = {
        old[place].id: old[other].id for place, other in zip(drawn[renamed::2], drawn[renamed + 1 :: 2], strict=True)
    }
    takes_in = {into: old[old.position(source)] for source, into in gone.items()}
    labels = [_changed(label, names, takes_in, gone) for label in old if label.id not in gone]
    new = [_new(number, old, chance) for number in range(added)]
    for label in new:
        labels.insert(chance.randrange(len(labels) + 1), label)
    return Edit(Taxonomy.from_labels(labels), frozenset(label.id for label in new), names, gone)


def _changed(label: Label, names: dict[str, str], takes_in: dict[str, Label], gone: dict[str, str]) -> Label:
    parents = tuple(dict.fromkeys(gone.get(parent, parent) for parent in label.parents if gone.get(parent) != label.id))
    aliases = label.aliases
    if label.id in names:
        aliases = (*aliases, label.name)
    elif label.id in takes_in:
        aliases = tuple(dict.fromkeys((*aliases, takes_in[label.id].name, *takes_in[label.id].aliases)))
    return replace(label, name=names.get(label.id, label.name), aliases=aliases, parents=parents)


def _new(number: int, old: Taxonomy, chance: random.Random) -> Label:
    first, second = (old[chance.randrange(len(old))].name.split() for _ in range(2))
    name = " ".join([*first[: len(first) // 2 + 1], *second[len(second) // 2 :]])
    return Label(f"added-{number}", f"{name} {number}", fields={"kind": "skill"})
