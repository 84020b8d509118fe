"""The card of a data set: what is in it, where it comes from and how good it is, as a nutrition label says of food.

https://huggingface.co/docs/hub/datasets-cards. Names and texts of others stand in it as text, whatever they hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_SIZES = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
    (1e8, "10M<n<100M"),
    (1e9, "100M<n<1B"),
)
"""The hub's words for sizes; beyond them no run goes."""

_WHAT = """Documents with labels that a program chose, written by labelmill. `labels` is the final set of each document,
`predictions` its ranking with scores, `gold` what people said, where that is known. The configuration `labels` says
what the labels mean."""
_SPECIAL = str.maketrans({each: f"\\{each}" for each in "\\`*_[]<>#|~&$"})


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured quality, as it is to be shown: its name, its value, and the 95% interval around it."""

    name: str
    value: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Card:
    """What a card says.

    Attributes:
        title: The run's name.
        documents: How many there are.
        texts: How many of them have their text.
        origin: Where it comes from, by name.
        counts: What is in it, by name.
        frequent: The labels that documents have most: name, and in how many.
        quality: Figures against gold labels; empty where there is no gold.
        judged: Documents with gold that these figures are of.
        notes: What a reader should know, in lines.
    """

    title: str
    documents: int
    texts: int
    origin: Mapping[str, str]
    counts: Mapping[str, str]
    frequent: Sequence[tuple[str, int]] = ()
    quality: Sequence[Figure] = ()
    judged: int = 0
    notes: Sequence[str] = field(default_factory=tuple)


def render_card(card: Card) -> str:
    """Write the card: a header in YAML for machines, and the rest for people."""
    size = next((name for most, name in _SIZES if card.documents < most), "1B<n<10B")
    header = [
        "---",
        f"pretty_name: {json.dumps(_one_line(card.title), ensure_ascii=False)}",
        "task_categories:\n- text-classification",
        "task_ids:\n- multi-label-classification",
        f"size_categories:\n- {size}",
        "tags:\n- labelmill\n- machine-generated-labels",
        "configs:",
        "- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*.parquet\n  default: true",
        "- config_name: labels\n  data_files:\n  - split: train\n    path: labels/train-*.parquet",
        "---",
    ]
    parts = [
        f"# {plain(card.title)}",
        _WHAT,
        "## Where it comes from\n\n" + _table(("", ""), list(card.origin.items())),
        "## What is in it\n\n" + _table(("", ""), list(card.counts.items())),
    ]
    if card.frequent:
        rows = [(name, f"{count:,}") for name, count in card.frequent]
        parts.append("### Labels that documents have most\n\n" + _table(("label", "documents"), rows))
    parts.append(_quality(card))
    notes = [f"- {plain(note)}" for note in card.notes]
    if card.texts < card.documents:
        notes.insert(0, f"- {card.documents - card.texts:,} documents are here without their text.")
    if notes:
        parts.append("## What to know\n\n" + "\n".join(notes))
    return "\n".join(header) + "\n\n" + "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Make a text one line that means nothing to Markdown or HTML."""
    return _one_line(text).translate(_SPECIAL)


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _quality(card: Card) -> str:
    if not card.quality:
        return "## How good it is\n\nNot known: no gold labels were given. Look at some documents before you use it."
    rows = [(each.name, each.value, f"{each.low} to {each.high}") for each in card.quality]
    told = (
        f"Of the run, on the {card.judged:,} documents that have gold labels; percent, with 95% intervals of a "
        "bootstrap over documents."
    )
    return f"## How good it is\n\n{told}\n\n" + _table(("metric", "value", "95% interval"), rows)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles)]
    lines += [[plain(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
