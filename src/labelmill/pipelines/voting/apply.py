"""Having voters vote on a corpus: functions and rules in worker processes, questions by a model, the others here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from uuid import uuid4

from labelmill.corpus import Corpus, chunk
from labelmill.errors import GoldError, InputError
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.questions import Cost
from labelmill.pipelines.voting.aliases import AliasMatches
from labelmill.pipelines.voting.interviewing import Interviewer, Prompting
from labelmill.pipelines.voting.pool import STRIKES, Cast, Worker, list_voters
from labelmill.pipelines.voting.questioning import Questioning
from labelmill.pipelines.voting.questionnaire import Questionnaire
from labelmill.pipelines.voting.unread import Unread, in_batches
from labelmill.records import Document
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.neighbours import Neighbours
from labelmill.store import Store
from labelmill.store.answers import KeptAnswers
from labelmill.store.vote_writer import MOST_FAILURES, VoteWriter
from labelmill.store.votes import VoterRow
from labelmill.taxonomy import Taxonomy

LIMIT_SECONDS = 5.0

_BATCH, _BATCH_TO_ASK = 256, 32
"""Documents of a commit; fewer where a model is asked, which takes longer."""

_CHUNK_CHARACTERS, _CHUNK_OVERLAP = 1200, 100
_MOST_CHUNKS = 32
"""Of a document that is compared with others; of a longer one as many stretches, from its beginning to its end."""

_NEIGHBOURS_DEPTH = 10
_LEAST_SHARE = 0.25
"""Of the neighbours' votes, for a vote for a label."""

Row = tuple[str, str, str, int, float, int]


@dataclass(frozen=True, slots=True)
class Electorate:
    """Who is to vote.

    Attributes:
        functions: Modules of labelling functions.
        rules: Files of rules.
        aliases: Whether the names of labels in a text vote for them.
        neighbours: Documents with gold labels, of which the nearest vote.
        embedder: What tells which are near.
        prompts: Files of questions that a model answers, whose answers are votes.
        prompting: The model.
    """

    functions: Sequence[Path] = ()
    rules: Sequence[Path] = ()
    aliases: bool = False
    neighbours: Sequence[Path] = ()
    embedder: Embedder | None = None
    prompts: Sequence[Path] = ()
    prompting: Prompting = field(default_factory=Prompting)


@dataclass(slots=True)
class VotingProgress(Unread):
    """How far voting is.

    Attributes:
        documents: Shown to all voters.
        total: How many there are, where that is known.
        votes: Cast, by voter.
        failed: Failures by voter and kind.
        examples: A failure's document and message, by voter and kind.
        given_up: Voters that hung or crashed too often.
        requests: Put to a model.
        tokens: That it read and wrote for them.
        started: On the monotonic clock.
    """

    documents: int = 0
    total: int | None = None
    votes: Counter[str] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)
    requests: int = 0
    tokens: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Documents a second."""
        return self.documents / max(self.seconds, 1e-9)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go; None where the number of documents is not known, or nothing is done yet."""
        if self.total is None or not self.documents:
            return None
        return max(self.total - self.documents, 0) / self.rate

    def add(self, cost: Cost) -> None:
        """Add what a request to a model cost."""
        self.requests += cost.requests
        self.tokens += cost.tokens


def apply_votes(
    corpus: Corpus,
    out: str | Path,
    taxonomy: Taxonomy,
    electorate: Electorate,
    *,
    limit_seconds: float = LIMIT_SECONDS,
    jobs: int = 2,
    on_progress: Callable[[VotingProgress], None] = lambda _: None,
) -> VotingProgress:
    """Have voters vote on the documents of a corpus; what they said before is replaced once all have voted.

    A function that raises, or takes too long, or names a label that is not there, has a failure for that document, and
    everything else goes on. One that hangs or crashes three times is given up. A model's answers to questions are kept
    in the file as they come: the same call asks nothing twice, whatever ended it.

    Args:
        corpus: The documents.
        out: The DuckDB file.
        taxonomy: The labels.
        electorate: Who votes.
        limit_seconds: Of work that a function or a rule may take for a document.
        jobs: Processes that have functions and rules vote.
        on_progress: Told after every batch.

    Raises:
        InputError: Nobody is to vote, or a module or file of voters cannot be used.
        CorpusError: The corpus cannot be read.
        StoreError: The file cannot be written.
        ModelError: There is no model to answer questions, or it does not answer any more.
    """
    sources = [{"kind": "function", "path": str(path)} for path in electorate.functions]
    sources += [{"kind": "rules", "path": str(path)} for path in electorate.rules]
    listed = list_voters(sources, limit_seconds)
    voters = [VoterRow(name, kind, source) for name, kind, source in listed]
    progress = VotingProgress(total=corpus.count())
    here = _voters_here(taxonomy, electorate, progress)
    voters += [voter for voter, _ in here]
    asked = [Questionnaire.read(path, taxonomy) for path in electorate.prompts]
    voters += [VoterRow(each.name, "prompt", form.source) for form in asked for each in form.questions]
    if not voters:
        raise InputError("nobody is to vote", remedy="Give --functions, --rules, --prompts, --aliases or --neighbours.")
    strikes: Counter[str] = Counter()
    names = [name for name, _, _ in listed]
    with ExitStack() as stack:
        store = stack.enter_context(Store(out, write=True))
        interviewer = None
        if asked:
            kept = KeptAnswers(store, f"votes of {', '.join(form.source for form in asked)}")
            stack.callback(kept.close)
            programs = [Questioning(form) for form in asked]
            interviewer = stack.enter_context(Interviewer(programs, electorate.prompting, kept, progress.add))
        writer = stack.enter_context(VoteWriter(store, voters, taxonomy, uuid4().hex))
        workers = [Worker(sources, limit_seconds, strikes) for _ in range(jobs if names else 0)]
        for worker in workers:
            stack.callback(worker.close)
        batches = in_batches(progress.documents_of(corpus.documents()), _BATCH_TO_ASK if asked else _BATCH)
        running = _cast(batches, names, workers)
        stack.callback(running.close)
        cast: Iterator[tuple[list[Document], dict[str, Cast]]] = running
        if interviewer is not None:
            cast = interviewer.of(running)
        for documents, casts in cast:
            rows, failures = _resolve(documents, casts, taxonomy)
            for _, vote in here:
                rows += vote(documents)
            _keep(progress, failures, writer)
            writer.write([document.id for document in documents], rows)
            progress.votes.update(row[0] for row in rows)
            progress.documents += len(documents)
            on_progress(progress)
        if not progress.documents:
            raise InputError(
                f"none of its {progress.unreadable:,} rows is a document, and nobody's votes are replaced",
                path=corpus.paths[0],
                remedy="Check the file, --id-field and --text-field.",
            )
        progress.given_up = sorted(name for name, count in strikes.items() if count >= STRIKES)
        writer.finish(progress.given_up)
    return progress


def _cast(
    batches: Iterable[list[Document]], names: Sequence[str], workers: Sequence[Worker]
) -> Generator[tuple[list[Document], dict[str, Cast]]]:
    """Have all voters of the workers vote, a batch to each worker at once; batches come back in any order.

    Closed, or interrupted, it stops the workers, whose batches would else take minutes to their end.
    """
    if not workers:
        yield from ((batch, {}) for batch in batches)
        return
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def work(batch: list[Document]) -> tuple[list[Document], dict[str, Cast]]:
        worker = free.get()
        try:
            return batch, {name: worker.vote(name, batch) for name in names}
        finally:
            free.put(worker)

    pending: set[Future[tuple[list[Document], dict[str, Cast]]]] = set()
    with ThreadPoolExecutor(len(workers)) as pool:
        try:
            for batch in batches:
                pending.add(pool.submit(work, batch))
                if len(pending) > len(workers):
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (each.result() for each in done)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in done)
        except BaseException:
            for worker in workers:
                worker.stop()
            raise


_Failures = list[tuple[str, str, str, str]]


def _resolve(documents: Sequence[Document], casts: dict[str, Cast], taxonomy: Taxonomy) -> tuple[list[Row], _Failures]:
    """Turn what voters named into ids; what is no label of the taxonomy is a failure."""
    rows: list[Row] = []
    failures: _Failures = []
    for voter, cast in casts.items():
        failures += [(voter, documents[place].id, kind, message) for place, kind, message in cast.failures]
        said: dict[tuple[int, str], float] = {}
        for place, name, worth in cast.votes:
            try:
                label = taxonomy[taxonomy.resolve(name)].id
            except GoldError as reason:
                failures.append((voter, documents[place].id, "outside-taxonomy", str(reason)))
                continue
            said.setdefault((place, label), worth)
        rows += [
            (voter, documents[place].id, label, 1 if worth > 0 else -1, abs(worth), 0)
            for (place, label), worth in said.items()
        ]
    return rows, failures


def _keep(progress: VotingProgress, failures: _Failures, writer: VoteWriter) -> None:
    """Count failures, and store the first of each voter's kinds."""
    stored = []
    for failure in failures:
        voter, document, kind, message = failure
        progress.failed[voter, kind] += 1
        progress.examples.setdefault((voter, kind), (document, message))
        if progress.failed[voter, kind] <= MOST_FAILURES:
            stored.append(failure)
    if stored:
        writer.fail(stored)


_Vote = Callable[[Sequence[Document]], list[Row]]


def _voters_here(taxonomy: Taxonomy, electorate: Electorate, progress: VotingProgress) -> list[tuple[VoterRow, _Vote]]:
    found: list[tuple[VoterRow, _Vote]] = []
    if electorate.aliases:
        found.append((VoterRow("aliases", "aliases"), _alias_votes(taxonomy)))
    if electorate.neighbours:
        source = ", ".join(map(str, electorate.neighbours))
        found.append((VoterRow("neighbours", "neighbours", source), _neighbour_votes(taxonomy, electorate, progress)))
    return found


def _alias_votes(taxonomy: Taxonomy) -> _Vote:
    matches = AliasMatches(taxonomy)

    def vote(documents: Sequence[Document]) -> list[Row]:
        return [
            ("aliases", document.id, taxonomy[label].id, 1, 1.0, 0)
            for document in documents
            for label in matches.vote(document.text)
        ]

    return vote


def _neighbour_votes(taxonomy: Taxonomy, electorate: Electorate, progress: VotingProgress) -> _Vote:
    """Let the nearest documents with gold vote, each document's own gold left out."""
    if electorate.embedder is None:
        raise InputError("neighbours need an embedder", remedy="Name one with --embedder.")
    gold = [each for each in GoldCorpus.read(electorate.neighbours).documents if each.labels]
    if not gold:
        raise InputError(
            "no document has gold labels",
            path=electorate.neighbours[0],
            remedy="Give --neighbours documents with gold.",
        )
    texts = [_pieces(each.text) for each in gold]
    known = [_positions(taxonomy, each, progress) for each in gold]
    places: dict[str, list[int]] = {}
    for place, each in enumerate(gold):
        places.setdefault(each.id, []).append(place)
    near = Neighbours(electorate.embedder, texts, known)

    def vote(documents: Sequence[Document]) -> list[Row]:
        queries = [_pieces(document.text) for document in documents]
        own = [places.get(document.id, []) for document in documents]
        rows: list[Row] = []
        for document, hits in zip(documents, near.retrieve(queries, _NEIGHBOURS_DEPTH, own), strict=True):
            ranked = zip(hits.labels.tolist(), hits.scores.tolist(), strict=True)
            rows += [
                ("neighbours", document.id, taxonomy[label].id, 1, min(score, 1.0), rank)
                for rank, (label, score) in enumerate(ranked, 1)
                if score >= _LEAST_SHARE
            ]
        return rows

    return vote


def _pieces(text: str) -> list[str]:
    """Cut a text into chunks, of a long one no more than tell what it is about."""
    longest = _MOST_CHUNKS * (_CHUNK_CHARACTERS - _CHUNK_OVERLAP)
    if len(text) <= longest:
        return chunk(text, _CHUNK_CHARACTERS, _CHUNK_OVERLAP)[:_MOST_CHUNKS]
    last = len(text) - _CHUNK_CHARACTERS
    starts = [last * number // (_MOST_CHUNKS - 1) for number in range(_MOST_CHUNKS)]
    pieces = (text[start : start + _CHUNK_CHARACTERS] for start in starts)
    return [piece for piece in pieces if piece.strip()]


def _positions(taxonomy: Taxonomy, document: Document, progress: VotingProgress) -> list[int]:
    """Find the gold labels that the taxonomy has; others are counted as failures of the neighbours."""
    found = []
    for label in document.labels or ():
        try:
            found.append(taxonomy.resolve(label))
        except GoldError as reason:
            progress.failed["neighbours", "outside-taxonomy"] += 1
            progress.examples.setdefault(("neighbours", "outside-taxonomy"), (document.id, str(reason)))
    return found
