"""Rules out of a file: words and regular expressions that speak for a label, or against it.

TOML has a table ``[[rules]]`` for each, JSONL an object a line, CSV and TSV a row. Rules of one voter are one voter; a
rule that names none belongs to that of the file.
"""

from __future__ import annotations

import csv
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmill.corpus.fields import split_labels
from labelmill.errors import InputError

_FIELDS = {"label", "words", "regex", "against", "voter", "confidence"}
_SPACES = r"\s+"
_TOLD = 120
_TRUE, _FALSE = {"true", "yes", "1", "y"}, {"", "false", "no", "0", "n"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What speaks for a label, or against it.

    Attributes:
        label: An id or a unique name.
        words: Words or phrases, found as whole words in any case.
        regex: Regular expressions, found anywhere, in any case.
        against: Whether it votes against the label.
        voter: Whose vote it is.
        confidence: In 0..1.
        line: Of the file; 0 where it is not known.
    """

    label: str
    words: tuple[str, ...] = ()
    regex: tuple[str, ...] = ()
    against: bool = False
    voter: str = ""
    confidence: float = 1.0
    line: int = 0

    def __str__(self) -> str:
        """Say in a few words which one it is."""
        where = f" in line {self.line}" if self.line else ""
        told = " ".join(f"the rule of {self.label!r}{where}, {', '.join((*self.words, *self.regex))}".split())
        return told if len(told) <= _TOLD else f"{told[: _TOLD - 1]}…"


@dataclass(frozen=True, slots=True)
class RuleVoter:
    """Rules that vote together: on a label as the first of them says that holds."""

    name: str
    rules: Sequence[tuple[Sequence[re.Pattern[str]], Rule]]

    @classmethod
    def of(cls, name: str, rules: Sequence[Rule]) -> RuleVoter:
        """Compile rules that were read."""
        return cls(name, [(_compile(rule), rule) for rule in rules])

    def vote(self, text: str, at: Callable[[int], None] = lambda _: None) -> dict[str, float]:
        """Say for each label that a rule speaks of what it is worth.

        Args:
            text: Of the document.
            at: Told before each rule which one it is.
        """
        found: dict[str, float] = {}
        for number, (patterns, rule) in enumerate(self.rules):
            at(number)
            if rule.label not in found and any(pattern.search(text) for pattern in patterns):
                found[rule.label] = -rule.confidence if rule.against else rule.confidence
        return found


def read_rules(path: str | Path) -> dict[str, list[Rule]]:
    """Read the rules of a file, by voter.

    Raises:
        InputError: The file or a rule of it cannot be used; the message names the line.
    """
    path = Path(path)
    readers = {".toml": _read_toml, ".jsonl": _read_jsonl, ".csv": _read_table, ".tsv": _read_table}
    if path.suffix.lower() not in readers:
        raise InputError(f"rules are not read from {path.suffix or 'such a file'}", path=path, remedy=_FORMATS)
    found: dict[str, list[Rule]] = {}
    try:
        for line, record in readers[path.suffix.lower()](path):
            rule = _rule(record, path, line)
            found.setdefault(rule.voter, []).append(rule)
    except OSError as reason:
        raise InputError(f"it cannot be read ({reason.strerror})", path=path, remedy="Check the path.") from None
    except (RecursionError, csv.Error) as reason:
        raise InputError(f"it cannot be read ({reason})", path=path, remedy=_FORMATS) from None
    except UnicodeDecodeError:
        raise InputError("it is not UTF-8", path=path, remedy="Save it as UTF-8.") from None
    if not found:
        raise InputError("it has no rules", path=path, remedy=_FORMATS)
    return found


_FORMATS = "Use .toml with [[rules]], .jsonl, .csv or .tsv; each rule has a label, and words or regex."


def _read_toml(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        raise InputError(f"it is not TOML: {reason}", path=path, remedy="Mend it.") from None
    rules = content.get("rules")
    if set(content) != {"rules"} or not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
        raise InputError("it is not a list of [[rules]]", path=path, remedy=_FORMATS)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("[[rules]]")]
    yield from zip(lines if len(lines) == len(rules) else [0] * len(rules), rules, strict=True)


def _read_jsonl(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    record = json.loads(line)
                except ValueError as reason:
                    raise InputError(f"the line is not JSON ({reason})", path=path, line=number) from None
                if not isinstance(record, dict):
                    raise InputError("the line is not a JSON object", path=path, line=number, remedy=_FORMATS)
                yield number, record


def _read_table(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        for row in rows:
            record: dict[str, Any] = {key: value for key, value in row.items() if key is not None and value}
            if None in row:
                raise InputError("the row has more cells than the header", path=path, line=rows.line_num)
            for several in ("words", "regex"):
                if several in record:  # an expression may hold any separator
                    cell = record[several]
                    record[several] = split_labels(cell) if several == "words" or cell.startswith('["') else [cell]
            yield rows.line_num, record


def _rule(record: Mapping[str, Any], path: Path, line: int) -> Rule:
    def wrong(message: str, remedy: str = _FORMATS) -> InputError:
        return InputError(message, path=path, line=line or None, remedy=remedy)

    if unknown := sorted(set(record) - _FIELDS):
        raise wrong(f"a rule has no field {unknown[0]!r}", f"The fields are {', '.join(sorted(_FIELDS))}.")
    label, voter = record.get("label"), record.get("voter", path.stem)
    if not isinstance(label, str) or not label.strip() or not isinstance(voter, str) or not voter.strip():
        raise wrong("a rule needs a label, and a voter is a text")
    try:
        words, regex = _texts(record.get("words", ())), _texts(record.get("regex", ()))
        confidence = float(record.get("confidence", 1))
    except (TypeError, ValueError):
        raise wrong("words and regex are lists of texts, and confidence is a number") from None
    if not words and not regex:
        raise wrong(f"the rule of {label!r} has neither words nor regex")
    if not 0 < confidence <= 1:
        raise wrong(f"confidence {confidence} is not above 0 and at most 1", "Leave it out for 1.")
    for expression in regex:
        try:
            re.compile(expression)
        except (re.error, OverflowError, RecursionError) as reason:
            raise wrong(f"the expression {expression!r} cannot be used: {reason}", "Mend it.") from None
    return Rule(label, words, regex, _yes(record.get("against", False), wrong), voter, confidence, line)


def _texts(value: Any) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(item, str) and item.strip() for item in items):
        raise TypeError
    return items


def _yes(value: Any, wrong: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise wrong(f"against is {value!r}, not true or false")
    return word in _TRUE


def _compile(rule: Rule) -> tuple[re.Pattern[str], ...]:
    """Make one expression of a rule's words, and one of each of its expressions."""
    phrases = [_SPACES.join(map(re.escape, words.split())) for words in rule.words]
    words = [rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)"] if phrases else []
    return tuple(re.compile(each, re.IGNORECASE) for each in (*words, *rule.regex))
