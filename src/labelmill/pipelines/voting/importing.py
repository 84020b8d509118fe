"""Votes out of files: runs of a DuckDB file, tables of votes, and documents that a person or a program has labelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

from labelmill.corpus import Corpus, read_documents
from labelmill.errors import GoldError, InputError
from labelmill.pipelines.confidence import claims_probabilities
from labelmill.pipelines.voting.unread import Unread, in_batches
from labelmill.records import Document
from labelmill.store import Store
from labelmill.store.incoming import Incoming
from labelmill.store.reader import choose_run, read_taxonomy
from labelmill.store.standings import read_program
from labelmill.store.vote_writer import MOST_FAILURES, VoteWriter, copy_run
from labelmill.store.votes import VoterRow
from labelmill.taxonomy import Taxonomy

DEPTH = 50
_BATCH = 1000


@dataclass(slots=True)
class Imported(Unread):
    """What was brought in.

    Attributes:
        votes: By voter.
        documents: How many there are.
        outside: Labels that the taxonomy does not have, and on how many votes.
        examples: Why, of each of them.
        same: Rows of a table that say once more what one before them says.
        against: Rows of a table that say the opposite of one before them, which counts.
        example: One of these.
        unshown: Documents of a table that are not among those that voters were said to have been shown.
    """

    votes: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    outside: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    same: int = 0
    against: int = 0
    example: str = ""
    unshown: int = 0


def import_runs(source: str | Path, out: str | Path, runs: Sequence[str] = (), *, depth: int = DEPTH) -> Imported:
    """Make runs voters: for their final sets, and against what they ranked and did not choose. All of them, or none.

    Args:
        source: The DuckDB file of the runs.
        out: The DuckDB file of the votes; may be the same.
        runs: Their names; the newest by default.
        depth: How far down their rankings their votes go.

    Raises:
        StoreError: A file or a run is not there, or they are of another taxonomy than the file's voters.
        InputError: A run is made of votes, or they are of different taxonomies.
    """
    with Store(source) as store:
        names = list(dict.fromkeys(choose_run(store, run) for run in runs)) or [choose_run(store, None)]
        taxonomies = [read_taxonomy(store, name) for name in names]
        programs = [read_program(store, name) for name in names]
    for name, program, taxonomy in zip(names, programs, taxonomies, strict=True):
        if "combine" in program:
            raise InputError(f"run {name!r} is made of votes, and would vote with itself", remedy="Name another run.")
        if taxonomy.key != taxonomies[0].key:
            raise InputError(
                f"runs {names[0]!r} and {name!r} are of different taxonomies, and voters of a file vote on one",
                path=source,
                remedy="Import them into different files.",
            )
    other = None if Path(source).resolve() == Path(out).resolve() else Path(source)
    voters = [VoterRow(name, "run", str(source), silence=True) for name in names]
    with (
        Store(out, write=True) as store,
        VoteWriter(store, voters, taxonomies[0], uuid4().hex, apart=True) as writer,
    ):
        for name, program in zip(names, programs, strict=True):
            copy_run(store, writer, name, other, depth, probabilities=claims_probabilities(program))
        documents = writer.documents()
        votes = writer.count()
        writer.finish()
    return Imported(votes=Counter(votes), documents=documents)


def import_labels(
    paths: Sequence[str | Path],
    out: str | Path,
    taxonomy: Taxonomy,
    voter: str,
    *,
    id_field: str = "id",
    text_field: str = "text",
    labels_field: str = "labels",
) -> Imported:
    """Make whoever labelled documents a voter: for the labels that they have, and by silence against the others.

    Raises:
        CorpusError: A file cannot be read.
        InputError: No document has labels.
    """
    found = Imported()
    items = read_documents(paths, id_field=id_field, text_field=text_field, labels_field=labels_field)
    batches = in_batches((each for each in found.documents_of(items) if each.labels is not None), _BATCH)
    first = next(batches, None)  # before the file is opened: what the voter said is not dropped for nothing
    if first is None:
        raise InputError(
            f"no document has {labels_field!r}", path=paths[0], remedy="Name the field with --labels-field."
        )
    row = VoterRow(voter, "imported", ", ".join(map(str, paths)), silence=True)
    with Store(out, write=True) as store, VoteWriter(store, [row], taxonomy, uuid4().hex) as writer:
        for batch in chain([first], batches):
            _write(writer, voter, batch, taxonomy, found)
        if found.outside and not found.votes[voter]:
            raise InputError("no vote is on a label of the taxonomy", path=paths[0], remedy=_first(found))
        _fail(writer, voter, found)
        writer.finish()
    return found


def _write(writer: VoteWriter, voter: str, batch: Sequence[Document], taxonomy: Taxonomy, found: Imported) -> None:
    rows = []
    for document in batch:
        labels = dict.fromkeys(_resolve(taxonomy, name, found) for name in document.labels or ())
        rows += [(voter, document.id, label, 1, 1.0, 0) for label in labels if label is not None]
    writer.write([document.id for document in batch], rows)
    found.documents += len(batch)
    found.votes[voter] += len(rows)


def _resolve(taxonomy: Taxonomy, name: str, found: Imported) -> str | None:
    try:
        return taxonomy[taxonomy.resolve(name)].id
    except GoldError as reason:
        found.outside[name] += 1
        found.examples.setdefault(name, str(reason))
        return None


def _fail(writer: VoteWriter, voter: str, found: Imported) -> None:
    kept = list(found.examples.items())[:MOST_FAILURES]
    if kept:
        writer.fail([(voter, "", "outside-taxonomy", message) for _, message in kept])


def import_votes(
    path: str | Path,
    out: str | Path,
    taxonomy: Taxonomy,
    *,
    voter: str | None = None,
    own_documents: bool = False,
    shown: Corpus | None = None,
) -> Imported:
    """Read a table of votes: a row for each, with ``document``, ``label``, and, where there are, the others.

    ``voter`` is by default the file's name; ``vote`` is 1 or -1, by default 1; ``confidence`` is in 0..1, by default 1;
    ``rank`` is from 1. Of several rows of one voter, document and label the first counts.

    Args:
        path: CSV, TSV, JSONL or Parquet.
        out: The DuckDB file.
        taxonomy: The labels.
        voter: Who votes where the table does not say.
        own_documents: Whether each voter was shown only what it voted on; else all were shown all of the file.
        shown: The documents that all voters were shown, beside those of the file.

    Raises:
        InputError: The file is none, a row of it cannot be used, or nobody votes on a label of the taxonomy.
        CorpusError: Documents that were shown cannot be read.
    """
    found = Imported()
    with Store(out, write=True) as store, store.errors(Path(path)):
        incoming = Incoming(store, Path(path), voter or Path(path).name.partition(".")[0])
        names: dict[str, str | None] = {name: _resolve(taxonomy, name, found) for name in incoming.labels()}
        incoming.resolve({name: label for name, label in names.items() if label is not None})
        outside = incoming.outside()
        found.outside = Counter()
        for _, label, count in outside:
            found.outside[label] += count
        voters = incoming.voters()
        if not voters:
            raise InputError("no vote is on a label of the taxonomy", path=path, remedy=_first(found))
        if shown is not None:
            found.unshown = incoming.show(each.id for each in found.documents_of(shown.documents()))
        rows = [VoterRow(each, "imported", str(path)) for each in voters]
        with VoteWriter(store, rows, taxonomy, uuid4().hex, apart=own_documents) as writer:
            for group in [[each] for each in voters] if own_documents else [voters]:
                incoming.copy(writer, group, own_documents=own_documents)
            found.votes = Counter(writer.count())
            if incoming.count() > found.votes.total():
                repeated = incoming.repeated()
                found.same, found.against, found.example = repeated.same, repeated.against, repeated.example
            for each in voters:
                named = [label for who, label, _ in outside if who == each][:MOST_FAILURES]
                writer.fail([(each, "", "outside-taxonomy", found.examples[label]) for label in named])
            found.documents = incoming.documents()
            writer.finish()
    return found


def _first(found: Imported) -> str:
    return next(iter(found.examples.values()), "Check that file and taxonomy belong together.")


def is_table_of_votes(path: str | Path) -> bool:
    """Tell a table of votes from documents with labels: it has a column of documents and one of a label."""
    columns: Any = Incoming.columns_of(Path(path))
    return {"document", "label"} <= set(columns)
