"""The library's face: a taxonomy and a choice of stages in, labels for texts or for a whole corpus out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from labelmill.corpus import Corpus
from labelmill.corpus.fields import clean, is_blank
from labelmill.errors import InputError, LabelmillError
from labelmill.keys import content_key
from labelmill.models.client import ChatModel
from labelmill.models.served import PATIENCE_SECONDS, TIMEOUT_SECONDS
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.batch import BatchRun
from labelmill.pipelines.budget import Budget
from labelmill.pipelines.cascading import refuse_addresses, with_cascade
from labelmill.pipelines.connection import Connection
from labelmill.pipelines.estimate import Prices
from labelmill.pipelines.execution import Execution
from labelmill.pipelines.feeding import batched
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.loop import run_to_end
from labelmill.pipelines.pilot import PILOT_DOCUMENTS, PILOT_SECONDS, Pilot, PilotProgress, Plan, Sample
from labelmill.pipelines.preview import Preview, Previewer
from labelmill.pipelines.program import Program
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.progress import OnProgress, RunProgress
from labelmill.pipelines.spec import InferKind, ProgramSpec, RankKind, make_spec, remake
from labelmill.pipelines.todo import Todo
from labelmill.pipelines.whole import check_size
from labelmill.prompts.card import TaskCard
from labelmill.records import Document, Prediction
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.index import Progress
from labelmill.retrievers.students import StudentFolder
from labelmill.store import RunWriter, Store, Stored
from labelmill.store.lineage import Asked, BuildsOn, count_kept, older_run
from labelmill.taxonomy import Taxonomy
from labelmill.taxonomy.usages import Usages

_MOST_DRAWN = 2000
"""Documents that a pilot may go on to, for servers that take hundreds at once."""


class Labeler:
    """Labels texts with the labels of a taxonomy.

    >>> labeler = Labeler(Taxonomy.read("skills.csv"))  # doctest: +SKIP
    >>> labeler.label(["Cook Italian dishes"])[0]  # doctest: +SKIP

    Args:
        taxonomy: The labels.
        lm: The language model: ``none``, ``embedded``, ``MODEL@URL`` or a URL; several URLs for servers of the same
            model; or any `ChatModel`.
        program: A tuned program, or its file: it says what follows, down to `task`, and what was learned. Its embedders
            may be given all the same, where they are objects or at another address, and must be where texts would be
            sent to another machine.
        infer: ``windows``, ``lm`` or ``both``; by default ``both`` with a model and ``windows`` without.
        rank: ``fusion`` (the default), ``listwise``, ``pointwise`` or ``whole``.
        embedders: Names of embedders (``minilm``, the default, ``use``, ``wordllama``, ``st:NAME``, ``MODEL@URL``), or
            embedders.
        task: The wording, as a card or the path of a TOML file.
        top_k: Size of a final set at most: 5 by default, or as the program decides.
        usages: Phrases that say how documents speak of labels, or their file: further lanes. A program that was tuned
            with them needs the same ones.
        student: A folder that `distill` wrote: a lane beside the others, or with `cascade` one that answers where it is
            certain. That of a program which is a student itself is found by itself.
        cascade: What a student's answers shall hold to, such as ``agreement>=0.9``: where it is certain enough for
            that, nothing else is asked.
        gold: Documents with gold, by which that is shown; by default those of distilling.
        concurrency: Requests in flight at each server at most; by default as many as make it faster.
        timeout: Seconds for an answer of the model.
        patience: Seconds to wait for its servers while none answers.
        progress: Told how far the building of an index is.
        settings: Further fields of `ProgramSpec`.

    Attributes:
        notes: What is other than when the program was tuned, and what still holds; lines for a person.

    Raises:
        InputError: A setting is wrong, or the program's, a stage needs a model and there is none, or the taxonomy is
            too large for ``whole``.
        ModelUnavailable: The server does not answer.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        lm: str | Sequence[str] | ChatModel = "none",
        program: ProgramFile | str | Path | None = None,
        infer: InferKind | None = None,
        rank: RankKind | None = None,
        embedders: Sequence[str | Embedder] | None = None,
        task: TaskCard | str | Path | None = None,
        top_k: int | None = None,
        usages: Usages | str | Path | None = None,
        student: StudentFolder | str | Path | None = None,
        cascade: str | None = None,
        gold: GoldCorpus | None = None,
        concurrency: int | None = None,
        timeout: float = TIMEOUT_SECONDS,
        patience: float = PATIENCE_SECONDS,
        progress: Progress | None = None,
        **settings: Any,
    ) -> None:
        """Find the model, load the embedders and open the indexes."""
        self.taxonomy = taxonomy
        self._resources = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            given = {"infer": infer, "rank": rank, "embedders": embedders, "task": task, "top_k": top_k} | settings
            chosen = {name: value for name, value in given.items() if value is not None}
            tuned = ProgramFile.read(program) if isinstance(program, str | Path) else program
            if student is None and tuned and tuned.spec.is_student and isinstance(program, str | Path):
                student = program
            taught = StudentFolder.read(student) if isinstance(student, str | Path) else student
            if (tuned.spec.rank if tuned else rank) == "whole":
                check_size(len(taxonomy))  # before a server is waited for
            asks = tuned.spec.uses_model if tuned else infer != "windows" or rank not in {None, "fusion"}
            self._connection = run_to_end(
                lambda: Connection.find(
                    lm if asks else "none",
                    self._resources,
                    concurrency=concurrency,
                    timeout=timeout,
                    patience=patience,
                )
            )
            name = self._connection.model
            spoken = Usages.read(usages, taxonomy) if isinstance(usages, str | Path) else usages
            loaded = None
            if tuned:
                spec = _with_overrides(tuned.spec, name, chosen)
                loaded = _load(chosen["embedders"]) if "embedders" in chosen else None
            else:
                found = ({"usages": spoken.key} if spoken else {}) | ({"student": taught.key} if taught else {})
                spec, loaded = _choose(name, chosen | found)
            if taught and not tuned:
                refuse_addresses(taught, spec.embedders)
            if cascade:
                spec = with_cascade(spec, cascade, taught, taxonomy, gold, loaded or ())
            self.program: Program = assemble(
                spec, taxonomy, embedders=loaded, progress=progress, usages=spoken, student=taught
            )
            self.notes = tuned.differences(self.program, name) if tuned else []
            if tuned and tuned.spec.decision and (own := sorted(set(chosen) & set(_NOT_THE_PROGRAMS))):
                said = f"{' and '.join(own)} as given here: what the program's decision promises is not shown"
                self.notes.append(f"{said} ({tuned.spec.decision.promise})")
            if chosen.get("shown_parents") and self.program.spec.rank == "fusion":
                self.notes.append(
                    "showing parents has no effect: it is for a model that ranks, and rank=fusion asks none"
                )
            undo.pop_all()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End an embedded model's server."""
        self.close()

    def close(self) -> None:
        """End an embedded model's server; the end of the process does so too."""
        self._resources.close()

    def label(self, texts: Sequence[str], *, ranked: bool = False) -> list[list[Prediction]]:
        """Label texts, in memory.

        Args:
            texts: None of them empty.
            ranked: Give every candidate in order, not the final set alone.

        Raises:
            InputError: A text is empty.
            LabelmillError: The model could not answer for a text.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InputError("label takes a list of texts", remedy="Write label([text]) for a single one.")
        documents = [Document(str(place), clean(text)) for place, text in enumerate(texts)]
        for document in documents:
            if is_blank(document.text):
                raise InputError(f"text {document.id} is empty", remedy="Leave it out.")
        return run_to_end(lambda: self._label(documents, ranked))

    def label_corpus(
        self,
        corpus: Corpus | Sequence[str | Path],
        out: str | Path,
        *,
        run: str | None = None,
        taxonomy_source: str = "",
        limit: int | None = None,
        retry_failed: bool = False,
        budget: Budget = Budget(),  # noqa: B008 - frozen
        total: int | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> RunProgress:
        """Label a corpus into a DuckDB file; called again, it goes on where it stopped.

        Args:
            corpus: The documents, or the paths of their files and folders.
            out: The DuckDB file.
            run: The run's name; by default made of the program and the corpus, so that the same call goes on.
            taxonomy_source: Where the labels came from, for the record.
            limit: Read no more than this many documents; for paths.
            retry_failed: Try the documents again that failed before.
            budget: What the run may cost at most, over all its sittings.
            total: How many documents there are, for the estimate of the time to go.
            on_progress: Told after every batch, and every second.

        Raises:
            StoreError: The file cannot be used, or has another run of this name.
            ModelGone: No server of the model answers any more; what is done is kept.
            ModelRefused: The servers refuse every request.
        """
        from labelmill import __version__

        corpus = corpus if isinstance(corpus, Corpus) else Corpus(corpus, limit=limit)
        name = run or self.run_name(corpus)
        items = corpus.documents()

        async def go(store: Store) -> RunProgress:
            # First the model: a server that is not there should leave no run behind.
            async with self._connection.open() as model:
                writer = RunWriter(
                    store,
                    run=name,
                    key=self.program.key,
                    program=self.program.spec.described(),
                    taxonomy=self.taxonomy,
                    taxonomy_source=taxonomy_source,
                    corpus=[str(path) for path in corpus.paths],
                    version=__version__,
                )
                job = BatchRun(
                    self.program,
                    writer,
                    model=model,
                    concurrency=self._connection.concurrency,
                    retry_failed=retry_failed,
                    whole=corpus.limit is None,
                    budget=budget,
                    on_progress=on_progress,
                )
                return await job.run(items, total)

        with Store(out, write=True) as store:
            return run_to_end(lambda: go(store))

    def preview_corpus(
        self,
        corpus: Corpus,
        out: str | Path,
        *,
        run: str | None = None,
        retry_failed: bool = False,
        on_progress: Callable[[Preview], None] = lambda _: None,
    ) -> Preview:
        """Tell what `label_corpus` would ask and what it would use again; no model is asked and nothing is written.

        Retrieval is done where Rank's questions depend on it.

        Args:
            corpus: The documents.
            out: The DuckDB file; it need not be there.
            run: As for `label_corpus`.
            retry_failed: As for `label_corpus`.
            on_progress: Told after every batch.
        """
        with contextlib.ExitStack() as opened:
            stored: Stored | None = None
            if Path(out).exists():
                name = run or ("" if corpus.is_stream else self.run_name(corpus))
                store = opened.enter_context(Store(out))
                stored = Stored(store, name, self.taxonomy)
            lookups: dict[str, Any] = {}
            if stored:
                older = self._older_run(store, name)
                lookups = {"answers": stored.answers, "retrievals": stored.retrievals, "builds_on": older}
                lookups["asked"] = Asked(store, older.run) if older else None
            previewer = Previewer(self.program, self._connection.model, self._connection.identity, **lookups)
            failed, done = (stored.failed(), stored.done) if stored else ({}, lambda _: False)
            todo = Todo(self.program.key, done, failed, retry_failed=retry_failed)
            for batch in batched(todo.of(corpus.documents())):
                previewer.count(batch)
                previewer.preview.skipped = todo.skipped
                on_progress(previewer.preview)
            previewer.preview.skipped = todo.skipped
        return previewer.preview

    def builds_on(self, out: str | Path, run: str) -> BuildsOn | None:
        """Find the run of an older version of the taxonomy whose answers a run uses again; None where there is none.

        Args:
            out: The DuckDB file.
            run: The run that builds on it, for the number of its documents that keep their candidates.

        Raises:
            StoreError: The file cannot be read.
        """
        if not Path(out).exists():
            return None
        with Store(out) as store:
            older = self._older_run(store, run)
            return count_kept(store, run, older) if older else None

    def plan_corpus(
        self,
        corpus: Corpus,
        *,
        prices: Prices = Prices(),  # noqa: B008 - frozen
        documents: int = PILOT_DOCUMENTS,
        seconds: float = PILOT_SECONDS,
        seed: int = 0,
        on_progress: Callable[[PilotProgress], None] = lambda _: None,
    ) -> Plan:
        """Label some documents of a corpus, store nothing, and predict what all will take.

        Args:
            corpus: The documents; not standard input, which can be read but once.
            prices: Of tokens or of GPUs.
            documents: How many to label at least.
            seconds: In which more must be done, if any; none are begun once the servers are busy with these.
            seed: Of the drawing.
            on_progress: Told after every few documents, and every second.

        Raises:
            InputError: The corpus has no documents, or is standard input.
        """
        if corpus.is_stream:
            raise InputError("standard input can be read but once", remedy="Give a file.")
        sample = Sample.draw(corpus.documents(), max(documents, _MOST_DRAWN), seed)
        if not sample.documents:
            raise InputError("the corpus has no document that can be read", remedy="See: labelmill label … --dry-run")

        async def go() -> Plan:
            async with self._connection.open() as model:
                execution = Execution(self.program, model, concurrency=self._connection.concurrency)
                pilot = Pilot(execution, model, documents=documents, seconds=seconds, on_progress=on_progress)
                return await pilot.run(sample, prices)

        return run_to_end(go)

    def run_name(self, corpus: Corpus | Sequence[str | Path]) -> str:
        """Name the run of this program over this corpus: the stages, and eight digits of a hash.

        Raises:
            InputError: The corpus is standard input, which has no name.
        """
        corpus = corpus if isinstance(corpus, Corpus) else Corpus(corpus)
        if corpus.is_stream:
            raise InputError("standard input has no name to make the run's from", remedy="Give the run one with --run.")
        spec = self.program.spec
        digits = content_key(self.program.key, [str(Path(path).resolve()) for path in corpus.paths])[:8]
        stages = "student" if spec.is_student else f"{spec.infer}-{spec.rank}"
        return f"{'cascade-' if spec.cascade else ''}{stages}-{digits}"

    def _older_run(self, store: Store, run: str) -> BuildsOn | None:
        spec = self.program.spec
        return older_run(store, run, spec.described(), self.taxonomy) if spec.uses_model else None

    async def _label(self, documents: Sequence[Document], ranked: bool) -> list[list[Prediction]]:
        labelled: list[list[Prediction]] = []
        async with self._connection.open() as model:
            execution = Execution(self.program, model, concurrency=self._connection.concurrency)
            for batch in batched(documents):
                result = await execution.label(batch)
                for failure in result.failures:
                    reason = f"{failure.stage} ({failure.kind}): {failure.message}"
                    raise LabelmillError(f"text {failure.document} failed at {reason}")
                labelled += [
                    [found for found in item.predictions if ranked or found.selected] for item in result.documents
                ]
        return labelled


_NOT_THE_PROGRAMS = ("top_k", "threshold", "no_ancestors")


def _with_overrides(spec: ProgramSpec, model: str, chosen: Mapping[str, Any]) -> ProgramSpec:
    """Take a tuned program as it is, but for where its embedders are, and what cuts its final sets."""
    if set_twice := sorted(set(chosen) - {"embedders", *_NOT_THE_PROGRAMS}):
        raise InputError(
            f"{' and '.join(set_twice)} cannot be set beside a program, which says so itself",
            remedy="Leave that out, or tune another program.",
        )
    if spec.uses_model and not model:
        raise InputError(
            f"this program asks a language model, {spec.model!r} when it was tuned", remedy="Give one with --lm."
        )
    if "embedders" not in chosen:
        _refuse_addresses(spec)
    given = tuple(each if isinstance(each, str) else each.name for each in chosen.get("embedders", spec.embedders))
    if len(given) != len(spec.embedders):
        raise InputError(
            f"{len(given)} embedders for a program that was tuned with {len(spec.embedders)}",
            remedy=f"Give those that it was tuned with, in order: {', '.join(spec.embedders)}.",
        )
    models = {"model": model} if spec.uses_model else {}
    return remake(
        spec, **models, **{name: chosen[name] for name in _NOT_THE_PROGRAMS if name in chosen}, embedders=given
    )


def _refuse_addresses(spec: ProgramSpec) -> None:
    """Send no text to a machine that nobody but the program names: it may come from elsewhere.

    Raises:
        InputError: An embedder is at another machine.
    """
    from labelmill.models.embedders import leaves_this_machine

    if away := [embedder for embedder in spec.embedders if leaves_this_machine(embedder)]:
        named = " ".join(f"--embedder {embedder!r}" for embedder in spec.embedders)
        raise InputError(
            f"this program sends every text to another machine, for its embedder {away[0]!r}",
            remedy=f"If texts may go there, say so with {named}; else name your own server in its place.",
        )


def _choose(model: str, chosen: Mapping[str, Any]) -> tuple[ProgramSpec, list[Embedder] | None]:
    """Make a specification of what was chosen, and load embedders that were given as such."""
    given: list[Any] = list(chosen.get("embedders", ("minilm",)))
    task = chosen.get("task", TaskCard())
    fields = {
        "infer": "both" if model else "windows",
        "model": model,
        **chosen,
        "embedders": tuple(e if isinstance(e, str) else e.name for e in given),
        "task": task if isinstance(task, TaskCard) else TaskCard.read(task),
    }
    return make_spec(**fields), None if all(isinstance(e, str) for e in given) else _load(given)


def _load(embedders: Sequence[str | Embedder]) -> list[Embedder]:
    from labelmill.models.embedders import load_embedder

    return [load_embedder(embedder) if isinstance(embedder, str) else embedder for embedder in embedders]
