"""The batch run where things go wrong: servers that answer nothing, files that cannot be written, many errors at once."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading

import pytest
from small_world import TEXTS

from labelmill import Document
from labelmill.errors import CorpusError, ModelGone, ModelRefused, ModelUnavailable, StoreError
from labelmill.pipelines.batch import BatchRun
from labelmill.pipelines.budget import Budget
from labelmill.records import Failure
from labelmill.store import RunWriter, Store
from labelmill.store.heartbeat import heartbeat_path
from scripted import Request, ScriptedModel, write_jsonl

DOCUMENTS = [Document(f"d{number:03}", f"{TEXTS[number % 8]} Note {number}.") for number in range(200)]


def write(path, documents=DOCUMENTS):
    return write_jsonl(path, [{"id": item.id, "text": item.text} for item in documents])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs.duckdb"


@pytest.fixture
def open_run(make_labeler, out):
    """Open a store and make a batch run over it, with any writer."""

    def run(model, items, writer=RunWriter, **settings):
        labeler = make_labeler(model)
        with Store(out, write=True) as store:
            taking = writer(
                store,
                run="r",
                key=labeler.program.key,
                program={},
                taxonomy=labeler.taxonomy,
                taxonomy_source="",
                corpus=[],
                version="0",
            )
            job = BatchRun(labeler.program, taking, model=model, **settings)
            return asyncio.run(job.run(items))

    return run


def ended(out):
    """The run's state, and the ids that are done and that failed."""
    with Store(out) as store:
        (state,) = store.first("SELECT state FROM runs")
        done, failed = (
            [row[0] for row in store.connection.execute(f"SELECT document FROM {table} ORDER BY 1").fetchall()]
            for table in ("documents", "failures")
        )
    return state, done, failed


def spent(out):
    with Store(out) as store:
        return store.first("SELECT sum(requests)::INT, sum(prompt_tokens)::INT, sum(completion_tokens)::INT FROM spent")


def test_a_document_without_an_answer_is_tried_again_by_itself(make_labeler, tmp_path, out):
    """It is a failure for now; the others are done, and the same call tries it again without being told to."""
    model = ScriptedModel(troubles={"Note 7.": ModelUnavailable("no answer")})
    corpus = write(tmp_path / "docs.jsonl")
    first = make_labeler(model).label_corpus([corpus], out, run="r")
    assert (first.done, first.failed, first.state) == (199, 1, "finished")
    with Store(out) as store:
        assert store.first("SELECT document, kind FROM failures") == ("d007", "unavailable")
    model.troubles.clear()
    asked = len(model.requests)
    again = make_labeler(model).label_corpus([corpus], out, run="r")
    assert (again.done, again.failed, again.skipped, len(model.requests) - asked) == (1, 0, 199, 1)
    assert ended(out)[1:] == ([item.id for item in DOCUMENTS], [])


def test_a_server_that_answers_no_document_ends_the_run(make_labeler, tmp_path, out):
    """After some batches: it is not the documents. They are tried again by the same call, and then all are done."""
    documents = [Document(f"d{number:03}", f"Text {number}.") for number in range(1000)]
    model = ScriptedModel(troubles={"Text": ModelUnavailable("no answer from the server")})
    corpus = write(tmp_path / "docs.jsonl", documents)
    with pytest.raises(ModelGone, match=r"got no answer; the last: no answer from the server"):
        make_labeler(model).label_corpus([corpus], out, run="r")
    state, done, failed = ended(out)
    assert (state, done) == ("interrupted", [])
    assert 128 <= len(failed) < 400
    model.troubles.clear()
    rest = make_labeler(model).label_corpus([corpus], out, run="r")
    assert (rest.done, rest.failed, rest.skipped, rest.state) == (1000, 0, 0, "finished")
    assert ended(out) == ("finished", [item.id for item in documents], [])


def test_every_item_ends_once(open_run, out):
    """Documents that are done, that fail at the model, and rows that cannot be read: in one table, never in both."""
    unread = [Failure(f"f{number}", "read", "no-text", "there is none", f"x:{number}") for number in range(70)]
    items = [item for pair in zip(DOCUMENTS[:70], unread, strict=True) for item in pair]
    model = ScriptedModel(troubles={"Note 9.": "nonsense", "Note 11.": ModelUnavailable("no answer")})
    progress = open_run(model, items)
    state, done, failed = ended(out)
    assert state == "finished"
    assert not set(done) & set(failed)
    assert sorted(done + failed) == sorted([item.id for item in DOCUMENTS[:70]] + [item.document for item in unread])
    assert (progress.done, progress.failed) == (68, 72)


class FullDisk(RunWriter):
    """Cannot write the second batch."""

    batches = 0

    def write(self, *args, **options):
        self.batches += 1
        if self.batches == 2:
            raise StoreError("the disk is full")
        super().write(*args, **options)


def test_what_was_spent_on_a_batch_that_cannot_be_written_is_not_lost(open_run, out):
    """The batch is, and is labelled again, but out of the answers that were paid for."""

    class LateForTheSecond(ScriptedModel):
        async def complete(self, body, **more):
            await asyncio.sleep(0.0 if int(Request.read(body).text.split()[-1].strip(".")) < 32 else 0.3)
            return await super().complete(body, **more)

    model = LateForTheSecond()
    with pytest.raises(StoreError, match="full"):
        open_run(model, iter(DOCUMENTS[:64]), FullDisk)
    state, done, _ = ended(out)
    assert (state, len(done)) == ("interrupted", 32)
    assert spent(out) == (64, 640, 128)
    again = open_run(model, iter(DOCUMENTS[:64]))
    assert (again.done, again.calls, again.requests) == (32, 0, 0), "the answers were kept"
    assert spent(out) == (64, 640, 128)


class NeverCloses(RunWriter):
    """Cannot even say how the sitting ended."""

    def close(self, *_args, **_options):
        raise StoreError("the disk is full")


def test_no_sign_of_life_outlives_a_run(open_run, out):
    """Also where the file cannot be closed in good order."""
    with pytest.raises(StoreError, match="full"):
        open_run(ScriptedModel(), iter(DOCUMENTS[:32]), NeverCloses)
    assert not heartbeat_path(out).exists()


class AllAtOnce(ScriptedModel):
    """Lets many questions wait, then fails them all in the same moment."""

    def __init__(self, error, waiting):
        super().__init__()
        self._error, self._waiting, self._all = error, waiting, None

    async def complete(self, body, **_more):
        self._all = self._all or asyncio.Event()
        self._waiting -= 1
        if self._waiting <= 0:
            self._all.set()
        await self._all.wait()
        raise self._error


@pytest.mark.parametrize("error", [ModelGone("nobody answers"), ModelRefused("wrong key")])
def test_many_errors_at_once_are_one(open_run, out, caplog, error):
    """The first is raised; none of the others is reported behind it, by asyncio, as never retrieved."""
    with caplog.at_level(logging.ERROR), pytest.raises(type(error), match=str(error)):
        open_run(AllAtOnce(error, 64), iter(DOCUMENTS), concurrency=64)
    gc.collect()
    assert caplog.messages == []
    assert ended(out) == ("interrupted", [], [])


class Silent(ScriptedModel):
    """Never answers; notes which of its requests were given up."""

    def __init__(self):
        super().__init__()
        self.asked, self.given_up = threading.Event(), 0

    async def complete(self, body, **_more):
        self.requests.append(Request.read(body))
        self.asked.set()
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        raise ModelUnavailable("no answer")


def test_an_error_of_the_corpus_ends_a_run_once(open_run, out, caplog):
    """While batches are under way: what they were asking is given up, and nothing is said of it."""
    model = Silent()

    def items():
        yield from DOCUMENTS[:32]
        model.asked.wait(30)
        raise CorpusError("the file is damaged")

    with caplog.at_level(logging.ERROR), pytest.raises(CorpusError, match="damaged"):
        open_run(model, items())
    gc.collect()
    assert model.given_up == len(model.requests) > 0
    assert caplog.messages == []
    assert ended(out) == ("interrupted", [], [])


def test_a_run_that_is_cancelled_leaves_nothing_under_way(make_labeler, out, caplog):
    """Batches, their questions, the ticking: all have ended when the cancelling is through."""
    left = []

    class Stopped(BatchRun):
        async def run(self, items, total=None):
            running = asyncio.create_task(super().run(items, total))
            await asyncio.to_thread(model.asked.wait, 30)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await asyncio.sleep(0)
            left.extend(asyncio.all_tasks() - {asyncio.current_task()})

    labeler, model = make_labeler(ScriptedModel()), Silent()
    with Store(out, write=True) as store, caplog.at_level(logging.ERROR):
        writer = RunWriter(
            store,
            run="r",
            key=labeler.program.key,
            program={},
            taxonomy=labeler.taxonomy,
            taxonomy_source="",
            corpus=[],
            version="0",
        )
        asyncio.run(Stopped(labeler.program, writer, model=model).run(iter(DOCUMENTS)))
    gc.collect()
    assert left == []
    assert model.given_up == len(model.requests) > 0
    assert caplog.messages == []
    assert ended(out) == ("interrupted", [], [])


@pytest.mark.parametrize("end", [ModelGone("nobody answers"), ModelRefused("wrong key")])
def test_answers_that_were_paid_for_outlive_the_end_of_a_run(make_labeler, tmp_path, out, end):
    """Those of batches that were under way: the same call asks only what was not answered."""
    model = ScriptedModel(pause=0.001)
    corpus = write(tmp_path / "docs.jsonl")
    labeler = make_labeler(model, rank="listwise", concurrency=8)
    original = model.complete

    async def complete(body, **more):
        if len(model.requests) == 100:
            raise end
        return await original(body, **more)

    model.complete = complete
    with pytest.raises(type(end)):
        labeler.label_corpus([corpus], out, run="r")
    answered = model.answered
    with Store(out) as store:
        assert store.first("SELECT count(*) FROM stages") == (answered,)
    model.complete = original
    labeler.label_corpus([corpus], out, run="r")
    assert model.answered == 2 * len(DOCUMENTS)
    assert spent(out) == (400, 4000, 800)


def test_what_is_spent_shows_before_the_first_batch_is_done(make_labeler, tmp_path, out):
    """On a slow server a batch takes minutes: requests and tokens are told as answers come."""
    seen = []
    model = ScriptedModel(pause=0.12)
    corpus = write(tmp_path / "docs.jsonl", DOCUMENTS[:32])
    make_labeler(model, concurrency=2).label_corpus(
        [corpus],
        out,
        run="r",
        on_progress=lambda progress: seen.append((progress.done, progress.requests, progress.tokens)),
    )
    assert any(done == 0 and requests > 0 and tokens == 12 * requests for done, requests, tokens in seen)
    assert seen[-1] == (32, 32, 32 * 12)


def test_a_budget_begins_with_few_documents(make_labeler, tmp_path, out):
    """Nobody knows yet what one takes: a cap of a few documents is not passed by a whole batch."""
    model = ScriptedModel()
    done = make_labeler(model).label_corpus(
        [write(tmp_path / "docs.jsonl")], out, run="r", budget=Budget(tokens=5 * 12)
    )
    assert done.state == "budget"
    assert len(model.requests) <= 5
