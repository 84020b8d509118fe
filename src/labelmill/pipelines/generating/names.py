"""Names and texts of generated labels: what is taken of a model's words, and names by class-based TF-IDF."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence

from labelmill.corpus.fields import clean
from labelmill.pipelines.windows import windows

LONGEST_NAME = 80
LONGEST_TEXT = 400

_LONGEST_TERM = 3
"""Words of a term."""

_TERMS_OF_A_NAME = 3
_MORE_TERMS = 5
_CHARACTERS_READ = 4000
_LEADING = re.compile(r"^\s*(?:\d+\s*[.):]|[-*•#]+)\s+")
_QUOTES = " \t\"'`“”„«»*_.:;,"
_EMPTY = ("other", "others", "miscellaneous", "misc", "none", "unknown", "n/a", "na", "null", "label", "name")
_EMPTY_WORDS = """
i me my mine we us our you your he him his she her it its they them their this that these those who whom whose
which what when where why how do does did doing done have has had having can could will would should shall may
might must am is are was were be been being not no yes and or but if so too very just still from to of for in on
at by with about into out up some any there here then than also please hi hello hey thanks thank ok okay dear
want wants wanted need needs like know get gets got getting go going make made let lets
"""
_SAY_NOTHING = frozenset(_EMPTY_WORDS.split())
"""Words that no term of a name begins or ends with, beside the function words of its language."""


def clean_name(text: object) -> str:
    """Take a name out of what a model wrote: one line, no list's number, no quotes; empty where it names nothing."""
    line = _LEADING.sub("", " ".join(clean(str(text)).replace("\ufffd", " ").split())).strip(_QUOTES)
    line = cut(line, LONGEST_NAME)
    named = any(sign.isalnum() for sign in line) and line.casefold() not in _EMPTY
    return line if named else ""


def clean_text(text: object) -> str:
    """Take a description or a criterion: one line, not too long."""
    return cut(" ".join(clean(str(text)).split()), LONGEST_TEXT)


def cut(line: str, longest: int) -> str:
    """Cut a line at a word, with an ellipsis."""
    if len(line) <= longest:
        return line
    head = line[: longest - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[longest // 2 :] else head).rstrip() + "…"


def same_name(name: str) -> str:
    """Give what is equal of names that differ in case, blanks, punctuation and the order of an enumeration alone."""
    folded = unicodedata.normalize("NFC", name).casefold()
    parts = sorted("".join(filter(str.isalnum, part)) for part in folded.split(","))
    return "".join(parts) or folded


def terms_by_class(texts: Sequence[str], classes: Sequence[int], count: int) -> list[list[str]]:
    """List the terms of each class, the most telling first: class-based TF-IDF (Grootendorst 2022, section 3.3).

    A term is a run of one to three words that neither begins nor ends with a function word. A document counts a term
    once. A term of one word is passed over where a longer one has it and is nearly as frequent.

    Args:
        texts: Of the documents.
        classes: The class of each.
        count: How many classes there are.
    """
    frequent: list[Counter[str]] = [Counter() for _ in range(count)]
    for text, of in zip(texts, classes, strict=True):
        found = {_term(term) for term in windows(text[:_CHARACTERS_READ], _LONGEST_TERM)}
        frequent[of].update(term for term in found if _says_something(term))
    everywhere = Counter[str]()
    for own in frequent:
        everywhere.update(own)
    average = sum(everywhere.values()) / max(1, count)
    sizes = [sum(1 for of in classes if of == number) for number in range(count)]
    return [_best(own, everywhere, average, size) for own, size in zip(frequent, sizes, strict=True)]


def narrower_first(terms: Sequence[str], above: Sequence[str]) -> list[str]:
    """Put the terms of which the names of broader labels are made last: they tell a narrower one of no other.

    >>> narrower_first(["money", "refund"], ["account, money"])
    ['refund', 'money']
    """
    said = {term for name in above for term in name.split(", ")}
    return sorted(terms, key=said.__contains__)


def name_of(terms: Sequence[str], taken: Collection[str], fallback: str) -> str:
    """Make a name of terms, and lengthen it until no other label has it."""
    words = [*terms, *([fallback] if fallback not in terms else [])]
    for length in range(min(_TERMS_OF_A_NAME, max(1, len(terms))), len(words) + 1):
        name = cut(", ".join(words[:length]), LONGEST_NAME)
        if name and same_name(name) not in taken:
            return name
    return distinct(cut(", ".join(words[:_TERMS_OF_A_NAME]) or fallback, LONGEST_NAME), taken)


def distinct(name: str, taken: Collection[str]) -> str:
    """Number a name where another label has it."""
    number, tried = 2, name
    while same_name(tried) in taken:
        tried, number = f"{name} {number}", number + 1
    return tried


def _term(window: str) -> str:
    return " ".join(window.split()).casefold()


def _says_something(term: str) -> bool:
    """Tell a term from one that begins or ends with a pronoun, an auxiliary or a courtesy, or has no letters."""
    words = term.replace("\u2019", "'").split()
    ends = (words[0], words[-1])
    shortened = any(word.endswith(("n't", "'m", "'ve", "'d", "'ll", "'re")) for word in ends)
    said = {word.partition("'")[0] for word in ends}
    return not shortened and not said & _SAY_NOTHING and any(sign.isalpha() for sign in term)


def _best(own: Counter[str], everywhere: Counter[str], average: float, documents: int) -> list[str]:
    """Order a class's terms, without those that say nothing new."""
    least = 2 if documents > 3 else 1
    weights = {
        term: count * math.log(1 + average / everywhere[term]) * (1 + 0.2 * term.count(" "))
        for term, count in own.items()
        if count >= least
    }
    chosen: list[str] = []
    for term in sorted(weights, key=lambda term: (-round(weights[term], 9), term)):
        words = set(term.split())
        if not any(_alike(words, set(other.split())) for other in chosen):
            chosen.append(term)
        if len(chosen) == _TERMS_OF_A_NAME + _MORE_TERMS:
            break
    return chosen


def _alike(words: set[str], others: set[str]) -> bool:
    """Tell whether most of the shorter term's words are in the other, up to their endings."""
    stems, known = {word[:5] for word in words}, {word[:5] for word in others}
    return 2 * len(stems & known) >= min(len(stems), len(known)) + (len(stems) > 1 and len(known) > 1)
