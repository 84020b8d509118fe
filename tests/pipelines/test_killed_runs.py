"""A run killed at any moment: real processes, real signals, and the same rows in the end."""

from __future__ import annotations

import collections
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from small_world import NAMES, TEXTS

from labelmill import Labeler, Taxonomy
from labelmill.errors import ModelGone
from labelmill.pipelines.progress import RunProgress
from labelmill.store import Store
from scripted import ScriptedModel, served, write_jsonl
from scripted_server import ScriptedServer

DOCUMENTS = 160
CONCURRENCY = 8
IN_FLIGHT = 2 * 32  # two batches


class KilledRun:
    """The files of one run, and the command over them."""

    def __init__(self, folder: Path, url: str, *, documents: int = DOCUMENTS, options: Sequence[object] = ()) -> None:
        self.out = folder / "runs.duckdb"
        self.url = url
        self.options = options
        self.docs = write_jsonl(
            folder / "docs.jsonl", [{"id": f"d{n:03}", "text": f"{TEXTS[n % 8]} Note {n}."} for n in range(documents)]
        )
        self.labels = folder / "labels.txt"
        self.labels.write_text("\n".join(NAMES), encoding="utf-8")

    def start(self) -> subprocess.Popen[str]:
        files = [self.docs, "--taxonomy", self.labels, "--out", self.out, "--lm", f"scripted@{self.url}"]
        options = ["--embedder", "wordllama", "--concurrency", CONCURRENCY, "--run", "r", "--candidates", 8]
        command = [sys.executable, "-m", "labelmill", "label", *files, *options, *self.options]
        return subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)

    def finish(self) -> None:
        process = self.start()
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told

    def labeler(self, lm: ScriptedModel | str, **settings) -> Labeler:
        """Make the labeler that the command makes."""
        usual = {"embedders": ["wordllama"], "concurrency": CONCURRENCY, "candidates": 8}
        return Labeler(Taxonomy.from_names(NAMES), lm=lm, **usual | settings)

    def state(self) -> str:
        with Store(self.out, write=True) as store:
            return store.first("SELECT state FROM runs")[0]

    def rows(self, out: Path | None = None) -> list[tuple]:
        """Everything that was committed, predictions with their evidence."""
        if not (out or self.out).exists():
            return []
        with Store(out or self.out, write=True) as store:  # writing replays what a killed process left behind
            return store.connection.execute(
                "SELECT document, label, rank, score, selected, evidence FROM predictions JOIN documents "
                "USING (run, document) ORDER BY document, rank"
            ).fetchall()


@pytest.fixture
def model():
    """Slow enough that a signal meets it at work."""
    return ScriptedModel(pause=0.02)


@pytest.fixture
def url(model):
    with served(model) as url:
        yield url


def wait_for_requests(asked: Callable[[], int], number: int, process: subprocess.Popen[str]) -> None:
    """Wait until the model has been asked so often, or the process has ended."""
    deadline = time.monotonic() + 60
    while asked() < number and process.poll() is None:
        assert time.monotonic() < deadline, "the run asks nothing"
        time.sleep(0.005)


def test_killed_runs_resume_to_the_rows_of_an_uninterrupted_one(tmp_path, model, url):
    """Stopped twice and killed once at random moments: committed rows stay as they are, and little is asked twice."""
    run = KilledRun(tmp_path, url)
    moments = random.Random(20260)
    kept: set[str] = set()
    stops = [signal.SIGINT, signal.SIGKILL, signal.SIGTERM]
    for number, stop in enumerate(stops):
        process = run.start()
        wait_for_requests(lambda: len(model.requests), number * 45 + moments.randrange(5, 45), process)
        process.send_signal(stop)
        _, told = process.communicate(timeout=60)
        assert process.returncode == (-stop if stop == signal.SIGKILL else 130), told
        assert "Traceback" not in told
        if stop != signal.SIGKILL:
            orderly = f"Interrupted: what was done is in {run.out}. Run the same command again to go on."
            assert told.splitlines()[-1] == orderly
            assert run.state() == "interrupted"
        committed = {str(row) for row in run.rows()}
        assert kept <= committed
        kept = committed
    run.finish()
    assert run.state() == "finished"
    asked = collections.Counter(request.text for request in model.requests)
    assert len(asked) == DOCUMENTS
    assert sum(asked.values()) - DOCUMENTS <= len(stops) * IN_FLIGHT
    whole = tmp_path / "whole.duckdb"
    run.labeler(ScriptedModel()).label_corpus([run.docs], whole, run="r")
    assert run.rows() == run.rows(whole)
    assert len({row[0] for row in run.rows()}) == DOCUMENTS


class Deaths:
    """Closes a server once, as soon as a run has committed something; told of a run's progress."""

    def __init__(self, server: ScriptedServer, *, back_after: float | None = None) -> None:
        self.server = server
        self.done = 0
        self._back_after = back_after

    def __call__(self, progress: RunProgress) -> None:
        if progress.done and not self.done:
            self.done = progress.done
            self.server.close()
            if self._back_after is not None:
                threading.Timer(self._back_after, self.server.open).start()


def test_a_server_that_dies_and_comes_back_is_waited_for(tmp_path):
    """The run asks again what was cut off, nothing else, and ends as if nothing had been."""
    with ScriptedServer(pause=0.01) as server:
        run = KilledRun(tmp_path, server.url)
        with run.labeler(server.url) as labeler:
            done = labeler.label_corpus([run.docs], run.out, run="r", on_progress=Deaths(server, back_after=1.0))
        assert (done.done, done.failed, done.state) == (DOCUMENTS, 0, "finished")
        assert server.spent["requests"] == DOCUMENTS
        assert sum(server.asked.values()) <= DOCUMENTS + CONCURRENCY
        whole = tmp_path / "whole.duckdb"
        run.labeler(ScriptedModel()).label_corpus([run.docs], whole, run="r")
    assert run.rows() == run.rows(whole)


def test_a_server_that_stays_away_ends_the_run_and_loses_nothing(tmp_path):
    """With the patience at its end: what was committed stays, and the same call goes on when the server is back."""
    with ScriptedServer(pause=0.01) as server:
        run = KilledRun(tmp_path, server.url)
        died = Deaths(server)
        with (
            run.labeler(server.url, patience=0.5) as labeler,
            pytest.raises(ModelGone, match=r"No answer from .* same"),
        ):
            labeler.label_corpus([run.docs], run.out, run="r", on_progress=died)
        assert run.state() == "interrupted"
        committed = {row[0] for row in run.rows()}
        assert len(committed) >= died.done >= 32
        answered = server.spent["requests"]
        server.open()
        with run.labeler(server.url) as labeler:
            labeler.label_corpus([run.docs], run.out, run="r")
        assert server.spent["requests"] - answered <= DOCUMENTS - len(committed)
    assert len({row[0] for row in run.rows()}) == DOCUMENTS


KILLS = 20
KILLED_DOCUMENTS = 3000
STAGES = 2


def spent(out: Path) -> collections.Counter[str]:
    """What the file says that the run cost, over all its sittings."""
    with Store(out, write=True) as store:
        row = store.first(
            "SELECT sum(requests), sum(prompt_tokens), sum(cached_tokens), sum(completion_tokens) FROM spent"
        )
    return collections.Counter(dict(zip(("requests", "prompt", "cached", "completion"), map(int, row), strict=True)))


@pytest.mark.slow
def test_twenty_kills_cost_what_was_in_flight_and_change_no_row(tmp_path):
    """Killed without warning twenty times, Infer and Rank: the same rows, few calls more, and every cost on record."""
    moments = random.Random(20262)
    options = ["--infer", "lm", "--rank", "listwise"]
    with ScriptedServer(pause=0.005) as server:
        run = KilledRun(tmp_path, server.url, documents=KILLED_DOCUMENTS, options=options)
        share = STAGES * KILLED_DOCUMENTS // KILLS
        for _ in range(KILLS):
            process = run.start()
            already = server.spent["requests"]
            wait_for_requests(lambda: server.spent["requests"], already + moments.randrange(share), process)
            time.sleep(moments.random() * 0.2)  # so that some are killed while they commit
            assert process.poll() is None, "the run ended before it was killed often enough"
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        run.finish()
        whole = tmp_path / "whole.duckdb"
        counted = collections.Counter(server.spent)
        with run.labeler(f"scripted@{server.url}", infer="lm", rank="listwise") as labeler:
            labeler.label_corpus([run.docs], whole, run="r")
        one_pass = collections.Counter(server.spent) - counted
    assert run.state() == "finished"
    assert run.rows() == run.rows(whole)
    assert len({row[0] for row in run.rows()}) == KILLED_DOCUMENTS
    in_flight = KILLS * IN_FLIGHT * STAGES
    assert one_pass["requests"] == STAGES * KILLED_DOCUMENTS
    assert one_pass["requests"] <= counted["requests"] <= one_pass["requests"] + in_flight
    assert spent(whole) == one_pass
    recorded = spent(run.out)
    for what, number in counted.items():
        each = number / counted["requests"]
        assert number - 1.5 * each * in_flight <= recorded[what] <= number, what
