"""Files of other tools as votes: every annotator, every labelling function a voter of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from uuid import uuid4

from labelmill.errors import InputError
from labelmill.formats import Judged, Opinion
from labelmill.pipelines.exchange.reading import Source, open_source
from labelmill.pipelines.exchange.resolving import Resolver
from labelmill.pipelines.voting.importing import Imported
from labelmill.pipelines.voting.unread import Unread
from labelmill.store import Store
from labelmill.store.vote_writer import MOST_FAILURES, VoteWriter
from labelmill.store.votes import VoterRow
from labelmill.taxonomy import Taxonomy

_BATCH = 2_000


def import_opinions(
    path: str | Path,
    out: str | Path,
    taxonomy: Taxonomy,
    format: str,  # noqa: A002 - the user's word
    *,
    predictions: bool = False,
    id_field: str = "id",
    question: str | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Make whoever speaks in a file of another tool a voter.

    The file is read twice: nothing is written, and nothing of these voters replaced, before all of it was seen.

    Args:
        path: The file, or the folder of Hugging Face.
        out: The DuckDB file of the votes.
        taxonomy: The labels.
        format: One of `labelmill.pipelines.exchange.reading.FORMATS`.
        predictions: Whether what programs said are votes as well; else only where no person said anything.
        id_field: What tasks of Label Studio call the document's id.
        question: Which choices of Label Studio, or which question of Argilla, label documents.
        on_progress: Told how many documents are read.

    Raises:
        InputError: The file cannot be read, or nobody says anything of a label of the taxonomy.
    """
    source = open_source(path, format, id_field=id_field, question=question)
    resolver = Resolver(taxonomy)
    survey = _Survey(source, resolver, predictions=predictions)
    if not survey.votes and (resolver.outside or not survey.voters):
        raise _nothing(source, survey, resolver)
    unread = survey.unread
    found = Imported(
        unread.unreadable, unread.rows, outside=Counter(resolver.outside), examples=dict(resolver.examples)
    )
    with ExitStack() as stack:
        store = stack.enter_context(Store(out, write=True))
        writer = stack.enter_context(_writer(store, source, survey, taxonomy))
        documents = (item for item in source.documents() if isinstance(item, Judged))
        while batch := list(islice(documents, _BATCH)):
            _write(writer, batch, survey, resolver, taxonomy, found)
            on_progress(found.documents)
        for who in survey.voters:
            named = [found.examples[label] for label in survey.strange.get(who, ()) if label in found.examples]
            writer.fail([(who, "", "outside-taxonomy", why) for why in named])
        writer.finish()
    return found


class _Survey:
    """What is in a file, of a first reading.

    Attributes:
        voters: Who votes: people, and programs where they are wanted, or where there is nobody else.
        votes: How many votes on labels of the taxonomy they cast.
        predicted: Whether programs vote.
        unread: Entries that are of no use.
        strange: Of each voter, labels that it names and the taxonomy lacks, as many as are kept.
    """

    def __init__(self, source: Source, resolver: Resolver, *, predictions: bool) -> None:
        people: Counter[str] = Counter(dict.fromkeys(source.electors.silence if source.electors else (), 0))
        programs: Counter[str] = Counter()
        outside: tuple[Counter[str], Counter[str]] = Counter(), Counter()
        self.unread = Unread()
        self.strange: dict[str, dict[str, None]] = {}
        for item in source.documents():
            if not isinstance(item, Judged):
                self.unread.skip(item)
                continue
            for opinion in item.opinions:
                counts = programs if opinion.predicted else people
                counts[opinion.who] += 0
                for vote in opinion.votes:
                    if resolver.position(vote.label, item.source) is None:
                        outside[opinion.predicted][vote.label] += 1
                        named = self.strange.setdefault(opinion.who, {})
                        if len(named) < MOST_FAILURES:
                            named[vote.label] = None
                    else:
                        counts[opinion.who] += 1
        self.predicted = predictions or not people
        counted = people + programs if self.predicted else people
        self.voters = [*people, *(who for who in programs if self.predicted and who not in people)]
        self.votes = counted.total()
        resolver.outside = outside[False] + (outside[True] if self.predicted else Counter())
        resolver.examples = {name: why for name, why in resolver.examples.items() if name in resolver.outside}

    def heard(self, document: Judged) -> Iterator[Opinion]:
        """Give the opinions that count; of a person and a program of one name the person's."""
        heard: dict[str, Opinion] = {}
        for each in document.opinions:
            if self.predicted or not each.predicted:
                heard.setdefault(each.who, each)
        return iter(heard.values())


def _writer(store: Store, source: Source, survey: _Survey, taxonomy: Taxonomy) -> VoteWriter:
    """Make the writer of all voters, who were shown all documents, or each its own."""
    silence = source.electors.silence if source.electors else {}
    rows = [VoterRow(who, "imported", str(source.path), silence=silence.get(who, True)) for who in survey.voters]
    return VoteWriter(store, rows, taxonomy, uuid4().hex, apart=not _together(source, survey))


def _together(source: Source, survey: _Survey) -> bool:
    """Tell whether all who vote were shown all documents."""
    return (
        source.electors is not None and source.electors.together and len(survey.voters) == len(source.electors.silence)
    )


def _write(
    writer: VoteWriter,
    batch: Sequence[Judged],
    survey: _Survey,
    resolver: Resolver,
    taxonomy: Taxonomy,
    found: Imported,
) -> None:
    shown: dict[str, list[str]] = {}
    votes: dict[str, list[tuple[str, str, str, int, float, int]]] = {}
    for document in batch:
        for opinion in survey.heard(document):
            shown.setdefault(opinion.who, []).append(document.document)
            rows = _rows(document.document, opinion, resolver, taxonomy)
            votes.setdefault(opinion.who, []).extend(rows)
            found.votes[opinion.who] += len(rows)
    found.documents += len(batch)
    if not writer.apart:
        writer.write([document.document for document in batch], [row for rows in votes.values() for row in rows])
        return
    for who, documents in shown.items():
        writer.write(documents, votes[who], who)


def _rows(
    document: str, opinion: Opinion, resolver: Resolver, taxonomy: Taxonomy
) -> list[tuple[str, str, str, int, float, int]]:
    """Give an opinion's votes; of several on one label the first counts."""
    rows: dict[int, tuple[str, str, str, int, float, int]] = {}
    for vote in opinion.votes:
        position = resolver.position(vote.label)
        if position is not None:
            row = (opinion.who, document, taxonomy[position].id, vote.vote, vote.confidence, vote.rank)
            rows.setdefault(position, row)
    return list(rows.values())


def _nothing(source: Source, survey: _Survey, resolver: Resolver) -> InputError:
    if survey.unread.rows and not survey.voters:
        first = survey.unread.rows[0]
        remedy = "Check the format that was named."
        return InputError(f"there is nothing to import, for example {first.source}: {first.message}", remedy=remedy)
    remedy = next(iter(resolver.examples.values()), "Check the format that was named.")
    return InputError("nobody says anything of a label of the taxonomy", path=source.path, remedy=remedy)
