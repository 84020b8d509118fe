"""Files of other tools as gold: documents with labels that `eval` and `tune` take, and what each annotator said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from labelmill.corpus import Corpus
from labelmill.corpus.fields import is_blank
from labelmill.errors import InputError
from labelmill.formats import Judged
from labelmill.learning.annotators import majority_of
from labelmill.pipelines.exchange.reading import Source, add_reasons, open_source
from labelmill.pipelines.exchange.resolving import Resolver
from labelmill.records import Document
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.writer import write_lines

AGREEMENTS = ("majority", "all", "any")
"""Which labels of several annotators are gold: those of more than half of them, of all, or of any."""

_NAMED = 20
"""Annotators that are listed at most, those of most documents first."""


@dataclass(slots=True)
class ImportedGold:
    """What was written.

    Attributes:
        documents: How many, all with their text.
        labels: How many labels they have together.
        annotators: How many documents each of them labelled.
        disputed: Documents whose annotators do not all say the same.
        without_label: Documents that are left out, since all that was named is outside the taxonomy: no label is not
            what was said of them.
        without_text: Documents that are left out, since neither the file nor the corpus has their text.
        unreadable: Entries that are of no use.
        reasons: Where the first of them are, and why they are not.
        outside: Labels that the taxonomy does not have, and how often they were named.
        examples: Why, of each of them.
    """

    documents: int = 0
    labels: int = 0
    annotators: Counter[str] = field(default_factory=Counter)
    disputed: int = 0
    without_label: int = 0
    without_text: int = 0
    unreadable: int = 0
    reasons: list[str] = field(default_factory=list)
    outside: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in {"outside", "examples"}}
        return plain | {"outside_taxonomy": dict(self.outside.most_common())}


def import_gold(
    path: str | Path,
    to: str | Path,
    taxonomy: Taxonomy,
    format: str,  # noqa: A002 - the user's word
    *,
    corpus: Corpus | None = None,
    annotators: Sequence[str] = (),
    agreement: str = "majority",
    id_field: str = "id",
    text_field: str = "text",
    question: str | None = None,
) -> ImportedGold:
    """Write documents with gold labels out of a file of another tool.

    Each line has ``id``, ``text``, ``labels`` (ids) and, where people are named, ``annotations``: what each of them
    said. Labels are those that the file calls gold, where it does and no annotator is named; else those that
    annotators agree on. What programs predicted is never gold.

    Args:
        path: The file, or the folder of Hugging Face.
        to: The JSONL file to write, perhaps ``.gz``.
        taxonomy: The labels.
        format: One of `labelmill.pipelines.exchange.reading.FORMATS`.
        corpus: Documents with the texts that the file lacks.
        annotators: Whose labels; everybody's by default.
        agreement: One of `AGREEMENTS`.
        id_field: What tasks of Label Studio call the document's id.
        text_field: What these, and records of Argilla, call its text.
        question: Which choices of Label Studio, or which question of Argilla, label documents.

    Raises:
        InputError: The file cannot be read, or no document has gold labels and a text.
    """
    if agreement not in AGREEMENTS:
        raise InputError(f"unknown agreement {agreement!r}", remedy=f"Use one of {', '.join(AGREEMENTS)}.")
    source = open_source(path, format, id_field=id_field, text_field=text_field, question=question)
    resolver, found = Resolver(taxonomy), ImportedGold()
    found.outside, found.examples = resolver.outside, resolver.examples
    there: Counter[str] = Counter()
    rows = list(_rows(source, resolver, taxonomy, found, there, annotators, agreement))
    if unknown := [name for name in annotators if name not in there]:
        known = ", ".join(name for name, _ in there.most_common(_NAMED)) or "none"
        more = f" and {len(there) - _NAMED:,} more" if len(there) > _NAMED else ""
        raise InputError(
            f"there is no annotator {unknown[0]!r}",
            path=path,
            remedy=f"Name one of those who are there: {known}{more}.",
        )
    if not rows and found.reasons:
        message = f"there is nothing to import, for example {found.reasons[0]}"
        raise InputError(message, remedy="Check the format that was named.")
    if not rows and found.without_label:
        worst, _ = resolver.outside.most_common(1)[0]
        raise InputError(f"no label is in the taxonomy, for example {resolver.examples[worst]}")
    if not rows:
        who = f" of {', '.join(map(repr, annotators))}" if annotators else ""
        raise InputError(
            f"no document has gold labels or annotations{who}",
            path=path,
            remedy="What programs predict is no gold: import it as votes, with labelmill votes import.",
        )
    if corpus is not None:
        _add_texts(rows, corpus)
    complete = [row for row in rows if not is_blank(row["text"])]
    found.without_text = len(rows) - len(complete)
    if not complete:
        raise InputError(
            f"none of {len(rows):,} documents has its text in the file" + (" or in the documents" if corpus else ""),
            path=path,
            remedy="Name documents with their ids and texts: --docs.",
        )
    found.documents = len(complete)
    found.labels = sum(len(row["labels"]) for row in complete)
    write_lines((orjson.dumps(row).decode() for row in complete), to, "the gold")
    return found


def _rows(
    source: Source,
    resolver: Resolver,
    taxonomy: Taxonomy,
    found: ImportedGold,
    there: Counter[str],
    annotators: Sequence[str],
    agreement: str,
) -> Iterator[dict[str, Any]]:
    for item in source.documents():
        if not isinstance(item, Judged):
            found.unreadable += 1
            add_reasons(found.reasons, [item])
            continue
        if not source.electors:
            there.update({each.who for each in item.opinions if not each.predicted})
        said = {} if source.electors else _annotations(item, resolver, annotators)
        if not said and (item.gold is None or annotators):
            continue
        labels = _agreed(said, agreement) if said else resolver.positions(item.gold or (), item.source)
        if not labels and not _all_known(item, said, resolver):
            found.without_label += 1
            continue
        found.annotators.update(list(said))
        found.disputed += len({frozenset(each) for each in said.values()}) > 1
        row: dict[str, Any] = {"id": item.document, "text": item.text, "labels": [taxonomy[each].id for each in labels]}
        if said:
            row["annotations"] = {who: [taxonomy[each].id for each in chosen] for who, chosen in said.items()}
        yield row


def _annotations(item: Judged, resolver: Resolver, annotators: Sequence[str]) -> dict[str, tuple[int, ...]]:
    return {
        each.who: resolver.positions((vote.label for vote in each.votes if vote.vote > 0), item.source)
        for each in item.opinions
        if not each.predicted and (not annotators or each.who in annotators)
    }


def _all_known(item: Judged, said: Mapping[str, Sequence[int]], resolver: Resolver) -> bool:
    """Tell whether the taxonomy has every label that was named of a document, by those who count."""
    named = (vote.label for each in item.opinions if each.who in said for vote in each.votes if vote.vote > 0)
    return resolver.knows(named if said else item.gold or ())


def _agreed(said: Mapping[str, Sequence[int]], agreement: str) -> list[int]:
    """List the labels that enough annotators gave, in the order in which they were named."""
    counts = Counter(label for labels in said.values() for label in labels)
    least = {"any": 1, "all": len(said), "majority": majority_of(len(said))}[agreement]
    return [label for label, count in counts.items() if count >= least]


def _add_texts(rows: Sequence[dict[str, Any]], corpus: Corpus) -> None:
    wanted = {row["id"]: row for row in rows if is_blank(row["text"])}
    for document in corpus.documents():
        if isinstance(document, Document) and document.id in wanted:
            wanted.pop(document.id)["text"] = document.text
        if not wanted:
            return
