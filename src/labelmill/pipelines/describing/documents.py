"""Which documents have which labels: by gold, or by what a run has given them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import orjson

from labelmill.corpus import Corpus
from labelmill.errors import GoldError, InputError
from labelmill.eval.gold import resolve_gold
from labelmill.pipelines.todo import document_key
from labelmill.records import Document, Label
from labelmill.store import Store
from labelmill.store.migration import MIGRATED, migrated_key
from labelmill.store.reader import choose_run, read_taxonomy
from labelmill.taxonomy import Taxonomy


@dataclass(frozen=True)
class LabelledDocuments:
    """Documents in memory, some hundred thousand at most, each with the positions of its labels; none is without.

    Attributes:
        documents: In order, each text once.
        labels: Of each document.
        notes: What was left out, one line each.
    """

    documents: tuple[Document, ...] = ()
    labels: tuple[frozenset[int], ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of_gold(cls, corpus: Corpus, taxonomy: Taxonomy) -> LabelledDocuments:
        """Read documents with gold labels.

        Raises:
            GoldError: None of them has a label of the taxonomy.
        """
        documents, unreadable = _read(corpus)
        resolved = resolve_gold(((document.id, document.labels) for document in documents), taxonomy)
        rows = pairwise(resolved.gold.indptr.tolist())
        labels = [frozenset(int(each) for each in resolved.gold.labels[start:end] if each >= 0) for start, end in rows]
        if not any(labels):
            raise GoldError(
                f"none of the {len(documents):,} documents has a gold label of the taxonomy",
                path=corpus.paths[0],
                remedy="Give documents with gold labels, ids or unique names, in the field of --labels-field.",
            )
        notes = [resolved.outside] if resolved.unresolved else []
        return cls._of(documents, labels, [*unreadable, *notes])

    @classmethod
    def of_run(
        cls,
        path: str | Path,
        run: str | None,
        taxonomy: Taxonomy,
        docs: Sequence[str | Path] | None = None,
        read: Callable[[Sequence[str | Path]], Corpus] = Corpus,
    ) -> LabelledDocuments:
        """Read the documents of a run, with the labels of their final sets.

        A run's file does not have their texts: these are read again, and those that have changed since are left out.

        Args:
            path: The DuckDB file.
            run: The run; the newest by default.
            taxonomy: Labels that it does not have do not count.
            docs: Where the texts are; by default where the run found them.
            read: Makes the corpus of such paths, where its fields are called otherwise than usual.

        Raises:
            GoldError: No document with a label is left.
            InputError: The run was made from standard input, and no `docs` are given; or they are not there.
        """
        with Store(path) as store:
            name = choose_run(store, run)
            run_keys = _run_keys(store, name)
            row = store.first("SELECT corpus, taxonomy FROM runs WHERE run = ?", [name])
            assert row is not None
            other = "" if row[1] == taxonomy.key else _differences(read_taxonomy(store, name), taxonomy, name)
            keys = dict(
                store.connection.execute("SELECT document, key FROM documents WHERE run = ?", [name]).fetchall()
            )
            pairs = store.connection.execute(
                "SELECT document, label FROM predictions WHERE run = ? AND selected ORDER BY document, rank", [name]
            ).fetchall()
        place = {label.id: position for position, label in enumerate(taxonomy)}
        given: dict[str, set[int]] = {}
        for document, label in pairs:
            if label in place:
                given.setdefault(document, set()).add(place[label])
        corpus = read(docs or _paths_of(row[0], name))
        documents, unreadable = _read(corpus)
        same = [each for each in documents if each.id in given and _key(run_keys, each) == keys[each.id]]
        if not same:
            raise GoldError(
                f"none of the {len(documents):,} documents has a label in run {name!r}, with the text that it had then",
                path=corpus.paths[0],
                remedy="Give the corpus that was labelled with --docs, and the same --id-field.",
            )
        gone = len(given) - len(same)
        notes = [f"{gone:,} documents of the run are not there any more, or have another text"] if gone else []
        notes += [other] if other else []
        return cls._of(same, [frozenset(given[each.id]) for each in same], [*unreadable, *notes])

    @classmethod
    def _of(
        cls, documents: Sequence[Document], labels: Sequence[frozenset[int]], notes: Sequence[str]
    ) -> LabelledDocuments:
        """Leave out what has no label, and what says the same as another; the labels of both count."""
        places: dict[str, int] = {}
        kept: list[Document] = []
        merged: list[set[int]] = []
        for document, own in zip(documents, labels, strict=True):
            if not own:
                continue
            at = places.setdefault(document.text, len(kept))
            if at == len(kept):
                kept.append(document)
                merged.append(set())
            merged[at] |= own
        return cls(tuple(kept), tuple(frozenset(each) for each in merged), tuple(notes))

    def only(self, chosen: frozenset[int]) -> LabelledDocuments:
        """Keep the documents that have one of some labels; their other labels do not count."""
        rows = [(document, own & chosen) for document, own in zip(self.documents, self.labels, strict=True)]
        kept = [(document, own) for document, own in rows if own]
        return LabelledDocuments(tuple(each for each, _ in kept), tuple(own for _, own in kept), self.notes)

    def of(self, label: int) -> list[int]:
        """List the places of the documents that have a label."""
        return self._places.get(label, [])

    @cached_property
    def _places(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for place, own in enumerate(self.labels):
            for label in own:
                found.setdefault(label, []).append(place)
        return found


def _read(corpus: Corpus) -> tuple[list[Document], list[str]]:
    items = list(corpus.documents())
    failed = [item for item in items if not isinstance(item, Document)]
    said = f"{len(failed):,} rows cannot be read, the first one: {failed[0].message}" if failed else ""
    return [item for item in items if isinstance(item, Document)], [said] if said else []


def _run_keys(store: Store, run: str) -> list[str]:
    """List the key of the run that labelled, and those of the migrations from there to this one."""
    row = store.first("SELECT key, program FROM runs WHERE run = ?", [run])
    if row is None:
        return []
    origin = orjson.loads(row[1]).get(MIGRATED)
    return [*(_run_keys(store, origin["run"]) if origin else []), row[0]]


def _key(run_keys: Sequence[str], document: Document) -> str:
    """Make the key that a document has in a run; a migration makes one of the key that it had before."""
    labelled, *migrations = run_keys
    key = document_key(labelled, document)
    for each in migrations:
        key = migrated_key(each, key)
    return key


def _differences(theirs: Taxonomy, ours: Taxonomy, run: str) -> str:
    """Say how far a run's labels are others than these."""
    here = {label.id: label for label in ours}
    gone = sum(label.id not in here for label in theirs)
    changed = sum(label.id in here and not _same(label, here[label.id]) for label in theirs)
    added = len(ours) - len(theirs) + gone
    said = {
        "of its labels are not in this one and do not count": gone,
        "are described otherwise here": changed,
        "of this one it did not know": added,
    }
    counts = ", ".join(f"{count:,} {what}" for what, count in said.items() if count)
    return f"run {run!r} was labelled with another version or part of the taxonomy{f': {counts}' if counts else ''}"


def _same(one: Label, other: Label) -> bool:
    fields = ("name", "aliases", "description", "parents")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


def _paths_of(paths: Sequence[str], run: str) -> Sequence[str]:
    if "-" in paths:
        raise InputError(f"run {run!r} was made from standard input", remedy="Give its documents with --docs.")
    if gone := [path for path in paths if not Path(path).exists()]:
        remedy = "Say where the documents are now with --docs."
        raise InputError(f"run {run!r} was made from this path, where nothing is", path=gone[0], remedy=remedy)
    return paths
