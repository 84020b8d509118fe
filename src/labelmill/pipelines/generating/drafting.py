"""The drafts while a model makes them: whatever it answers, they stay distinct, named, and within the limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from labelmill.pipelines.generating.drafts import Decision, Draft
from labelmill.pipelines.generating.names import clean_name, clean_text, same_name

_WORDS = ("description", "include", "exclude")

_MOST_LOST = 0.5
"""Share of the labels that one answer may take away: a model that merges all of them has not looked."""

_FEW = 4
"""Labels of which any share may go."""


class Drafting:
    """Labels in the making, changed by answers of a model, which name labels by their number in the list it is shown.

    Args:
        most: How many labels there may be.

    Attributes:
        drafts: In order; names differ in more than case and punctuation.
        decisions: What was merged, renamed, dropped and refused.
    """

    def __init__(self, most: int, drafts: Sequence[Draft] = ()) -> None:
        """Begin with some labels, or with none."""
        self.most = most
        self.drafts = list(drafts)
        self.decisions: list[Decision] = []

    def lines(self) -> list[str]:
        """Describe each label on a line, as models are shown them, but for the number."""
        return [f"{each.name}: {each.description}" if each.description else each.name for each in self.drafts]

    def propose(self, answer: Mapping[str, Any], rows: Sequence[int]) -> None:
        """Take the labels of a first answer.

        Args:
            answer: With ``labels``.
            rows: The documents that the model was shown, by their number from 1.
        """
        self._add(answer.get("labels"), rows)

    def update(self, answer: Mapping[str, Any], rows: Sequence[int]) -> bool:
        """Take an answer to labels and further documents.

        Returns:
            Whether it changed anything that matters: which labels there are, and what they are called.
        """
        numbers = _numbers(answer.get("fits"))[: len(rows)]
        for row, number in zip(rows, numbers, strict=False):
            if 1 <= number <= len(self.drafts):
                self._support(number - 1, [row])
        before = self._names()
        self._leave_out(self._change(answer))
        self._add(answer.get("added"), rows)
        return self._names() != before

    def review(self, answer: Mapping[str, Any]) -> bool:
        """Take an answer to all labels; say whether it changed anything that matters."""
        before = self._names()
        self._leave_out(self._change(answer))
        return self._names() != before

    def merge(self, place: int, into: int, why: str) -> None:
        """Make one label of two: the words of `into`, or of the other where it has none; and both their documents."""
        kept, gone = self.drafts[into], self.drafts[place]
        words = {name: getattr(kept, name) or getattr(gone, name) for name in _WORDS}
        support = tuple(dict.fromkeys([*kept.support, *gone.support]))
        self.drafts[into] = replace(kept, **words, support=support)
        self.decisions.append(Decision("merged", (gone.name,), why, kept.name))
        del self.drafts[place]

    def drop(self, place: int, why: str) -> None:
        """Leave a label out."""
        self.decisions.append(Decision("dropped", (self.drafts.pop(place).name,), why))

    def _names(self) -> set[str]:
        return {same_name(each.name) for each in self.drafts}

    def _find(self, name: str) -> int | None:
        return next((at for at, each in enumerate(self.drafts) if same_name(each.name) == same_name(name)), None)

    def _support(self, place: int, rows: Iterable[int]) -> None:
        draft = self.drafts[place]
        self.drafts[place] = replace(draft, support=tuple(dict.fromkeys([*draft.support, *rows])))

    def _add(self, proposed: object, rows: Sequence[int]) -> None:
        too_many: list[str] = []
        for item in proposed if isinstance(proposed, list) else ():
            given = item if isinstance(item, dict) else {"name": item}
            name = clean_name(given.get("name") or "")
            if not name:
                self.decisions.append(Decision("refused", (clean_text(given.get("name") or ""),), "it is no name"))
                continue
            support = [rows[number - 1] for number in _numbers(given.get("documents")) if 1 <= number <= len(rows)]
            there = self._find(name)
            if there is not None:
                self._support(there, support)
                self.decisions.append(Decision("merged", (name,), "the same name", self.drafts[there].name))
            elif len(self.drafts) >= self.most:
                too_many.append(name)
            else:
                words = {key: clean_text(given.get(key) or "") for key in _WORDS}
                self.drafts.append(Draft(name, **words, support=tuple(dict.fromkeys(support))))
        if too_many:
            self.decisions.append(
                Decision("refused", tuple(too_many[:10]), f"{len(too_many)} beyond {self.most} labels")
            )

    def _change(self, answer: Mapping[str, Any]) -> dict[int, int | None]:
        """Take other words, and find out which labels are to go: into which other one, or out."""
        for item in _dicts(answer.get("changed")):
            place = _number(item.get("label")) - 1
            if 0 <= place < len(self.drafts):
                self._reword(place, item)
        gone: dict[int, int | None] = {}
        for item in _dicts(answer.get("merged")):
            numbers = [n - 1 for n in dict.fromkeys(_numbers(item.get("labels"))) if 1 <= n <= len(self.drafts)]
            if numbers and numbers[0] not in gone:  # what is merged already takes no others
                kept = set(gone.values())
                gone |= {number: numbers[0] for number in numbers[1:] if number not in gone and number not in kept}
        for number in _numbers(answer.get("dropped")):
            if 1 <= number <= len(self.drafts) and number - 1 not in gone and number - 1 not in set(gone.values()):
                gone[number - 1] = None
        if len(gone) > max(_MOST_LOST * len(self.drafts), 0 if len(self.drafts) > _FEW else len(self.drafts) - 1):
            names = tuple(self.drafts[place].name for place in gone)
            self.decisions.append(Decision("refused", names[:10], f"{len(gone)} of {len(self.drafts)} labels at once"))
            return {}
        return gone

    def _leave_out(self, gone: Mapping[int, int | None]) -> None:
        """Merge and drop, from the end on, so that the other numbers stay true."""
        for place in sorted(gone, reverse=True):
            into = gone[place]
            if into is None:
                self.drop(place, "of no use for the purpose")
            else:
                self.merge(place, into, "they mean the same")
            gone = {key: None if to is None else to - (to > place) for key, to in gone.items()}

    def _reword(self, place: int, item: Mapping[str, Any]) -> None:
        draft = self.drafts[place]
        name = clean_name(item.get("name") or "")
        there = self._find(name) if name else None
        if name and there not in {None, place}:
            self.decisions.append(Decision("refused", (draft.name,), f"another label is called {name}"))
            name = ""
        words: Any = {key: text for key in _WORDS if (text := clean_text(item.get(key) or ""))}
        if name and name != draft.name:
            words["name"] = name
            self.decisions.append(Decision("renamed", (draft.name,), "a better name", name))
        self.drafts[place] = replace(draft, **words)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _numbers(value: object) -> list[int]:
    return [_number(item) for item in value] if isinstance(value, list) else []


def _number(value: object) -> int:
    """Read a number; 0, which is no label's and no document's, for anything else."""
    return value if type(value) is int else 0
