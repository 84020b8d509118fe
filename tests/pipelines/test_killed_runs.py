"""A run killed at any moment: real processes, real signals, and the same rows in the end."""

from __future__ import annotations

import collections
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_world import NAMES, TEXTS

from labelmill import Labeler, Taxonomy
from labelmill.errors import ModelUnavailable
from labelmill.store import Store
from scripted import ScriptedModel, served, write_jsonl

DOCUMENTS = 160
CONCURRENCY = 8
IN_FLIGHT = 2 * 32  # two batches


class KilledRun:
    """The files of one run, and the command over them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.out = folder / "runs.duckdb"
        self.url = url
        self.docs = write_jsonl(
            folder / "docs.jsonl", [{"id": f"d{n:03}", "text": f"{TEXTS[n % 8]} Note {n}."} for n in range(DOCUMENTS)]
        )
        self.labels = folder / "labels.txt"
        self.labels.write_text("\n".join(NAMES), encoding="utf-8")

    def start(self) -> subprocess.Popen[str]:
        files = [self.docs, "--taxonomy", self.labels, "--out", self.out, "--lm", f"scripted@{self.url}"]
        options = ["--embedder", "wordllama", "--concurrency", CONCURRENCY, "--run", "r", "--candidates", 8]
        command = [sys.executable, "-m", "labelmill", "label", *files, *options]
        return subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)

    def finish(self) -> None:
        process = self.start()
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told

    def labeler(self, lm: ScriptedModel | str) -> Labeler:
        """Make the labeler that the command makes."""
        settings = {"embedders": ["wordllama"], "concurrency": CONCURRENCY, "candidates": 8}
        return Labeler(Taxonomy.from_names(NAMES), lm=lm, **settings)

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


def wait_for_requests(model: ScriptedModel, number: int, process: subprocess.Popen[str]) -> None:
    """Wait until the model has been asked so often, or the process has ended."""
    deadline = time.monotonic() + 60
    while len(model.requests) < number and process.poll() is None:
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
        wait_for_requests(model, number * 45 + moments.randrange(5, 45), process)
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


def test_a_server_that_dies_and_comes_back(tmp_path):
    """The run ends with the server's error; what was committed stays, and the rest follows when it is back."""
    model = ScriptedModel(pause=0.01)
    with served(model) as url:
        run = KilledRun(tmp_path, url)

        def die(progress) -> None:
            model.troubles = {"": ModelUnavailable("shutting down")}

        with run.labeler(url) as labeler, pytest.raises(ModelUnavailable, match=r"503: .*shutting down"):
            labeler.label_corpus([run.docs], run.out, run="r", on_progress=die)
        assert run.state() == "interrupted"
        committed = {row[0] for row in run.rows()}
        assert len(committed) >= 32
        model.troubles, answered = {}, model.answered
        with run.labeler(url) as labeler:
            labeler.label_corpus([run.docs], run.out, run="r")
    assert model.answered - answered <= DOCUMENTS - len(committed)
    assert len({row[0] for row in run.rows()}) == DOCUMENTS
