"""What goes out to other tools and comes back from them: values that know of no format, no store and no corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from labelmill.records import Label


@dataclass(frozen=True, slots=True)
class Scored:
    """A label of a document as a run has it.

    Attributes:
        label: Position in the taxonomy.
        rank: From 1, within the document.
        score: Higher is better.
        selected: Whether it is in the document's final set.
    """

    label: int
    rank: int
    score: float
    selected: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A document on its way out.

    Attributes:
        document: Its id.
        text: None where no corpus gave it.
        gold: Positions of its gold labels; None where it has none.
        predictions: By rank.
    """

    document: str
    text: str | None
    gold: tuple[int, ...] | None
    predictions: tuple[Scored, ...]


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels that positions mean.

    Attributes:
        labels: By position.
        handles: By position, what to call a label in files that people read: its name where that finds it again, else
            its id.
        paths: Gives the positions from the top of the hierarchy down to a label, itself the last.
    """

    labels: Sequence[Label]
    handles: Sequence[str]
    paths: Callable[[int], Sequence[int]]

    @cached_property
    def has_hierarchy(self) -> bool:
        """Whether any label stands below another one."""
        known = {label.id for label in self.labels}
        return any(parent in known for label in self.labels for parent in label.parents)


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody says of a label: for (1) or against (-1), how confidently, and at which rank; 0 for none."""

    label: str
    vote: int = 1
    confidence: float = 1.0
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one annotator or one program says of a document.

    Attributes:
        who: The annotator's name, or the program's.
        votes: Perhaps none: a person who looked and found no label right.
        predicted: Whether a program said so.
    """

    who: str
    votes: tuple[Vote, ...]
    predicted: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A document on its way in.

    Attributes:
        document: Its id.
        text: Empty where the file has none.
        opinions: Each of somebody else.
        gold: Its gold labels as the file names them; None where it has none.
        source: ``file:line``, or ``file`` and the number of the row.
    """

    document: str
    text: str
    opinions: tuple[Opinion, ...]
    gold: tuple[str, ...] | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Electors:
    """Who speaks in a file that names them all.

    Attributes:
        silence: By name, whether saying nothing of a label is a no.
        together: Whether all of them were shown all documents.
    """

    silence: Mapping[str, bool]
    together: bool
