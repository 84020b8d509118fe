"""Files of other tools as votes: every annotator, every labelling function a voter of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from uuid import uuid4

from labelmill.errors import InputError
from labelmill.formats import Judged, Opinion
from labelmill.pipelines.exchange.reading import Source, open_source
from labelmill.pipelines.exchange.resolving import Resolver
from labelmill.pipelines.voting.importing import Imported
from labelmill.store import Store
from labelmill.store.votes import MOST_FAILURES, VoterRow, VoteWriter
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
    found = Imported(unreadable=survey.unreadable, outside=Counter(resolver.outside), examples=dict(resolver.examples))
    with Store(out, write=True) as store:
        writers = _writers(store, source, survey, taxonomy)
        documents = (item for item in source.documents() if isinstance(item, Judged))
        while batch := list(islice(documents, _BATCH)):
            _write(writers, batch, survey, resolver, taxonomy, found)
            on_progress(found.documents)
        failures = [(survey.voters[0], "", "outside-taxonomy", why) for why in found.examples.values()]
        for place, writer in enumerate(writers):
            if not place and failures:
                writer.fail(failures[:MOST_FAILURES])
            writer.finish()
    return found


class _Survey:
    """What is in a file, of a first reading.

    Attributes:
        voters: Who votes: people, and programs where they are wanted, or where there is nobody else.
        votes: How many votes on labels of the taxonomy they cast.
        predicted: Whether programs vote.
        unreadable: How many entries are of no use.
        reason: Why the first of them is not.
    """

    def __init__(self, source: Source, resolver: Resolver, *, predictions: bool) -> None:
        people: Counter[str] = Counter(dict.fromkeys(source.electors.silence if source.electors else (), 0))
        programs: Counter[str] = Counter()
        outside: tuple[Counter[str], Counter[str]] = Counter(), Counter()
        self.unreadable, self.reason = 0, ""
        for item in source.documents():
            if not isinstance(item, Judged):
                self.unreadable += 1
                self.reason = self.reason or f"{item.source}: {item.message}"
                continue
            for opinion in item.opinions:
                counts = programs if opinion.predicted else people
                counts[opinion.who] += 0
                for vote in opinion.votes:
                    if resolver.position(vote.label, item.source) is None:
                        outside[opinion.predicted][vote.label] += 1
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


def _writers(store: Store, source: Source, survey: _Survey, taxonomy: Taxonomy) -> list[VoteWriter]:
    """Make a writer for all voters where all were shown all, else one for each."""
    silence = source.electors.silence if source.electors else {}
    rows = [VoterRow(who, "imported", str(source.path), silence=silence.get(who, True)) for who in survey.voters]
    groups = [rows] if _together(source, survey) else [[row] for row in rows]
    return [VoteWriter(store, group, taxonomy, uuid4().hex) for group in groups]


def _together(source: Source, survey: _Survey) -> bool:
    """Tell whether all who vote were shown all documents."""
    return (
        source.electors is not None and source.electors.together and len(survey.voters) == len(source.electors.silence)
    )


def _write(
    writers: Sequence[VoteWriter],
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
    if len(writers) < len(survey.voters):
        writers[0].write([document.document for document in batch], [row for rows in votes.values() for row in rows])
        return
    for who, writer in zip(survey.voters, writers, strict=True):
        if who in shown:
            writer.write(shown[who], votes[who])


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
    if survey.reason and not survey.voters:
        remedy = "Check the format that was named."
        return InputError(f"there is nothing to import, for example {survey.reason}", remedy=remedy)
    remedy = next(iter(resolver.examples.values()), "Check the format that was named.")
    return InputError("nobody says anything of a label of the taxonomy", path=source.path, remedy=remedy)
