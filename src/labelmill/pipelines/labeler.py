"""The library's face: a taxonomy and a choice of stages in, labels for texts or for a whole corpus out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from labelmill.corpus import read_documents
from labelmill.corpus.fields import clean, is_blank
from labelmill.errors import InputError, LabelmillError
from labelmill.keys import content_key
from labelmill.models.client import ChatModel
from labelmill.models.served import ServedModel
from labelmill.models.spec import ModelSpec
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.batch import BatchRun, OnProgress, RunProgress, batched
from labelmill.pipelines.execution import Execution
from labelmill.pipelines.program import Program
from labelmill.pipelines.spec import InferKind, ProgramSpec, RankKind
from labelmill.prompts.card import TaskCard
from labelmill.records import Document, Prediction
from labelmill.retrievers.base import Embedder
from labelmill.retrievers.index import Progress
from labelmill.store import RunWriter, Store
from labelmill.taxonomy import Taxonomy

_T = TypeVar("_T")


class Labeler:
    """Labels texts with the labels of a taxonomy.

    >>> labeler = Labeler(Taxonomy.read("skills.csv"))  # doctest: +SKIP
    >>> labeler.label(["Cook Italian dishes"])[0]  # doctest: +SKIP

    Args:
        taxonomy: The labels.
        lm: The language model: ``none``, ``embedded``, ``MODEL@URL`` or a URL; or any `ChatModel`.
        infer: ``windows``, ``lm`` or ``both``; by default ``both`` with a model and ``windows`` without.
        rank: ``fusion`` or ``listwise``.
        embedders: Names of embedders (``minilm``, ``use``, ``wordllama``, ``st:NAME``, ``MODEL@URL``), or embedders.
        task: The wording, as a card or the path of a TOML file.
        top_k: Size of a final set at most.
        concurrency: Model calls in flight at most; by default what the model takes.
        progress: Told how far the building of an index is.
        settings: Further fields of `ProgramSpec`.

    Raises:
        InputError: A setting is wrong, or a stage needs a model and there is none.
        ModelUnavailable: The server does not answer.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        lm: str | ChatModel = "none",
        infer: InferKind | None = None,
        rank: RankKind = "fusion",
        embedders: Sequence[str | Embedder] = ("minilm",),
        task: TaskCard | str | Path | None = None,
        top_k: int = 5,
        concurrency: int | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> None:
        """Find the model, load the embedders and open the indexes."""
        self.taxonomy = taxonomy
        self._resources = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            asks = infer != "windows" or rank != "fusion"
            self._connect, name, slots = self._find_model(lm if asks else "none")
            self.concurrency = concurrency or slots
            given: list[Any] = list(embedders)
            try:
                spec = ProgramSpec(
                    infer=infer or ("both" if name else "windows"),
                    rank=rank,
                    model=name,
                    embedders=tuple(e if isinstance(e, str) else e.name for e in given),
                    task=task if isinstance(task, TaskCard) else TaskCard.read(task) if task else TaskCard(),
                    top_k=top_k,
                    **settings,
                )
            except ValidationError as error:
                problem = error.errors()[0]
                place = ".".join(str(part) for part in problem["loc"])
                said = problem["msg"].removeprefix("Value error, ")
                raise InputError(f"{place}: {said}" if place else said) from error
            loaded = None if all(isinstance(e, str) for e in given) else _load(given)
            self.program: Program = assemble(spec, taxonomy, embedders=loaded, progress=progress)
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
        return _run(lambda: self._label(documents, ranked))

    def label_corpus(
        self,
        paths: Sequence[str | Path],
        out: str | Path,
        *,
        run: str | None = None,
        taxonomy_source: str = "",
        limit: int | None = None,
        retry_failed: bool = False,
        total: int | None = None,
        on_progress: OnProgress = lambda _: None,
        id_field: str = "id",
        text_field: str = "text",
        labels_field: str = "labels",
    ) -> RunProgress:
        """Label a corpus into a DuckDB file; called again, it goes on where it stopped.

        Args:
            paths: Files or folders of documents.
            out: The DuckDB file.
            run: The run's name; by default made of the program and the corpus, so that the same call goes on.
            taxonomy_source: Where the labels came from, for the record.
            limit: Read no more than this many documents.
            retry_failed: Try the documents again that failed before.
            total: How many documents there are, for the estimate of the time to go.
            on_progress: Told after every batch.
            id_field: What the corpus calls a document's id.
            text_field: What it calls the text.
            labels_field: What it calls the gold labels.
        """
        from labelmill import __version__

        name = run or self.run_name(paths)
        items = read_documents(paths, limit=limit, id_field=id_field, text_field=text_field, labels_field=labels_field)

        async def go(store: Store) -> RunProgress:
            # First the model: a server that is not there should leave no run behind.
            async with self._connect() as model:
                writer = RunWriter(
                    store,
                    run=name,
                    key=self.program.key,
                    program=self.program.spec.model_dump(mode="json"),
                    taxonomy=self.taxonomy,
                    taxonomy_source=taxonomy_source,
                    corpus=[str(path) for path in paths],
                    version=__version__,
                )
                job = BatchRun(
                    self.program,
                    writer,
                    model=model,
                    concurrency=self.concurrency,
                    retry_failed=retry_failed,
                    whole=limit is None,
                    on_progress=on_progress,
                )
                return await job.run(items, total)

        with Store(out, write=True) as store:
            return _run(lambda: go(store))

    def run_name(self, paths: Sequence[str | Path]) -> str:
        """Name the run of this program over this corpus: the stages, and eight digits of a hash.

        Raises:
            InputError: The corpus is standard input, which has no name.
        """
        if any(str(path) == "-" for path in paths):
            raise InputError("standard input has no name to make the run's from", remedy="Give the run one with --run.")
        spec = self.program.spec
        digits = content_key(self.program.key, [str(Path(path).resolve()) for path in paths])[:8]
        return f"{spec.infer}-{spec.rank}-{digits}"

    async def _label(self, documents: Sequence[Document], ranked: bool) -> list[list[Prediction]]:
        labelled: list[list[Prediction]] = []
        async with self._connect() as model:
            execution = Execution(self.program, model, concurrency=self.concurrency)
            for batch in batched(documents):
                result = await execution.label(batch)
                for failure in result.failures:
                    reason = f"{failure.stage} ({failure.kind}): {failure.message}"
                    raise LabelmillError(f"text {failure.document} failed at {reason}")
                labelled += [
                    [found for found in item.predictions if ranked or found.selected] for item in result.documents
                ]
        return labelled

    def _find_model(self, lm: str | ChatModel) -> tuple[Callable[[], Any], str, int]:
        """Return how to connect, the model's name (empty for none), and how many calls it takes at once."""
        if not isinstance(lm, str):
            return lambda: _given(lm), lm.model, 32
        spec = ModelSpec.parse(lm)
        if spec.kind == "none":
            return lambda: _given(None), "", 1
        if spec.kind == "embedded":
            from labelmill.models.embedded import embedded_server

            server = self._resources.enter_context(embedded_server())
            identity = server.fingerprint
            return (
                lambda: ServedModel(server.base_url, server.model, key="EMPTY", identity=identity),
                server.model,
                server.slots,
            )
        name = spec.model or _run(lambda: _served_name(spec.url))
        return lambda: ServedModel(spec.url, name), name, 64


@asynccontextmanager
async def _given(model: ChatModel | None) -> AsyncIterator[ChatModel | None]:
    yield model


async def _served_name(url: str) -> str:
    async with ServedModel(url) as model:
        return model.model


def _load(embedders: Sequence[str | Embedder]) -> list[Embedder]:
    from labelmill.models.embedders import load_embedder

    return [load_embedder(embedder) if isinstance(embedder, str) else embedder for embedder in embedders]


def _run(make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a coroutine to its end, also from within a notebook, whose own loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    tasks: list[asyncio.Task[_T]] = []
    outcome: Future[_T] = Future()

    async def main() -> _T:
        tasks.append(asyncio.ensure_future(make()))
        return await tasks[0]

    def target() -> None:
        try:
            outcome.set_result(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            outcome.set_exception(error)

    thread = Thread(target=target, name="labelmill")
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        for task in tasks:
            task.get_loop().call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    return outcome.result()
