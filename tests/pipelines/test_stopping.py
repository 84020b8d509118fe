"""A run that is stopped while it waits for its documents: a real process, a pipe that stays open, real signals."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import orjson
import pytest
from small_world import NAMES, TEXTS

from labelmill.store import Store
from labelmill.store.heartbeat import heartbeat_path
from scripted import ScriptedModel, served


class WaitingRun:
    """`labelmill label -`, whose standard input is ours."""

    def __init__(self, folder: Path, *options: object) -> None:
        labels = folder / "labels.txt"
        labels.write_text("\n".join(NAMES), encoding="utf-8")
        self.out = folder / "runs.duckdb"
        files = ["-", "--taxonomy", labels, "--out", self.out, "--run", "r", "--embedder", "wordllama", *options]
        command = [sys.executable, "-m", "labelmill", "label", *map(str, files)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave no process and no pipe, however the test went."""
        self.process.kill()
        with self.process, contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def give(self, first: int, last: int) -> None:
        """Hand over documents, and leave the pipe open."""
        for number in range(first, last):
            row = {"id": f"d{number:03}", "text": f"{TEXTS[number % 8]} Note {number}."}
            self.process.stdin.write(json.dumps(row) + "\n")
        self.process.stdin.flush()

    def pulse(self) -> dict:
        """Read the sign of life; empty where there is none yet."""
        with contextlib.suppress(OSError, ValueError):
            return orjson.loads(heartbeat_path(self.out).read_bytes())
        return {}

    def wait_until(self, told) -> None:
        deadline = time.monotonic() + 60
        while not told(self.pulse()):
            assert time.monotonic() < deadline, json.dumps(self.pulse())
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.02)

    def end(self) -> str:
        """Wait for the process, with the pipe open, and return what it told."""
        self.process.wait(timeout=60)
        return self.process.stderr.read()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("given", [0, 40])
def test_a_run_that_waits_for_its_documents_can_be_stopped(tmp_path, stop, given):
    """It ends with its one line and 130, though the thread that reads the pipe cannot be ended; whole batches stay."""
    with served(ScriptedModel()) as url, WaitingRun(tmp_path, "--lm", f"scripted@{url}") as run:
        run.give(0, given)
        run.wait_until(lambda pulse: pulse.get("done", -1) == given // 32 * 32)
        run.process.send_signal(stop)
        told = run.end()
    assert run.process.returncode == 130, told
    assert told.splitlines()[-1].startswith("Interrupted: what was done is in ")
    assert "Fatal" not in told
    assert "never retrieved" not in told
    assert not heartbeat_path(run.out).exists()
    with Store(run.out) as store:
        assert store.first("SELECT state FROM runs") == ("interrupted",)
        assert store.first("SELECT count(*) FROM documents") == (given // 32 * 32,)


def test_a_run_that_waits_for_its_documents_says_so(tmp_path):
    """In its sign of life, for as long as nothing else is under way; and goes on when there are more."""
    with served(ScriptedModel()) as url, WaitingRun(tmp_path, "--lm", f"scripted@{url}") as run:
        run.give(0, 32)
        run.wait_until(lambda pulse: pulse.get("done") == 32 and "waiting for documents" in pulse["message"])
        run.give(32, 64)
        run.wait_until(lambda pulse: pulse.get("done") == 64)
        run.process.stdin.close()
        run.end()
    assert run.process.returncode == 0
