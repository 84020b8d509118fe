"""Values for files of other tools: hostile names, documents, predictions; and what a property test draws."""

from __future__ import annotations

from hypothesis import strategies as st

from labelmill.formats import Item, Labels, Scored
from labelmill.pipelines.exchange.resolving import handles
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy

# NUL and halves of surrogate pairs never get as far as here: reading documents and taxonomies replaces or refuses them.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12).filter(
    lambda text: bool(text.strip())
)
HOSTILE = [
    'salt, pepper; the "basics"',
    "two\nlines\r\nand\ttab",
    "\x01\x1b[31m control \x7f \x85 \u2028",
    "🥖🏽 東京 خبز e\u0301 \ufeff",
    " blank around ",
    "</Choice>&amp;<x a='1'>",
    "| cell | `code` [link](http://x) <b>",
    "'); DROP TABLE runs; --",
    '{"json": [1, null]}',
    "NULL",
]
"""Names that a careless format would change."""


def taxonomy_of(names: list[str], *, tree: bool = False) -> Taxonomy:
    """Make labels of names; some have another name than id, two share one, and in a tree each has the one before above it."""
    labels = [
        Label(f"id {name}" if place % 2 else name, name, parents=(f"id {names[0]}",) if tree and place else ())
        for place, name in enumerate(names)
    ]
    if tree:
        labels[0] = Label(f"id {names[0]}", names[0])
    return Taxonomy(tuple(labels))


def labels_of(taxonomy: Taxonomy) -> Labels:
    """Make what writers take of a taxonomy."""
    return Labels(taxonomy.labels, handles(taxonomy), taxonomy.path)


@st.composite
def taxonomies(draw: st.DrawFn, *, tree: bool | None = None) -> Taxonomy:
    """Draw a taxonomy: ids differ, names may not."""
    ids = draw(st.lists(TEXTS, min_size=1, max_size=6, unique=True))
    names = draw(st.lists(TEXTS, min_size=len(ids), max_size=len(ids)))
    branching = draw(st.booleans()) if tree is None else tree
    labels = [
        Label(name, called, parents=(ids[draw(st.integers(0, place - 1))],) if branching and place else ())
        for place, (name, called) in enumerate(zip(ids, names, strict=True))
    ]
    return Taxonomy(tuple(labels))


@st.composite
def items(draw: st.DrawFn, taxonomy: Taxonomy, *, probabilities: bool = False) -> list[Item]:
    """Draw documents with predictions of a run."""
    ids = draw(st.lists(TEXTS, max_size=4, unique=True))
    # JSON and Parquet keep every double, and cleanlab's are probabilities.
    scores = st.floats(0, 1) if probabilities else st.floats(-2, 3, allow_nan=False)
    found = []
    for name in ids:
        chosen = draw(st.lists(st.integers(0, len(taxonomy) - 1), unique=True))
        ranked = tuple(Scored(label, rank, draw(scores), draw(st.booleans())) for rank, label in enumerate(chosen, 1))
        gold = draw(st.none() | st.lists(st.integers(0, len(taxonomy) - 1), unique=True).map(tuple))
        found.append(Item(name, draw(st.none() | TEXTS), gold, ranked))
    return found


def chosen(item: Item) -> list[Scored]:
    """List the final set."""
    return [each for each in item.predictions if each.selected]
