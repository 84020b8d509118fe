"""`labelmill status` beside a run: while it writes, after a kill, and when nothing is written."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from labelmill.store.heartbeat import heartbeat_path
from scripted import write_jsonl

WRITE = """
import sys
from labelmill.store import Store
from labelmill.store.heartbeat import Heartbeat
with Store(sys.argv[1], write=True):
    heartbeat = Heartbeat(sys.argv[1])
    server = {"url": "http://127.0.0.1:8000/v1", "state": "down", "in_flight": 3, "limit": 64}
    heartbeat.beat({"run": "bread", "state": "running", "done": 1200, "failed": 34, "skipped": 6, "total": 2480,
        "documents_per_second": 12.5, "eta_seconds": 99.2, "requests": 2500, "prompt_tokens": 1_000_000,
        "cached_tokens": 750_000, "completion_tokens": 20_000, "tokens_per_second": 10_200.0, "reused": 11,
        "servers": [server], "message": "waiting for http://127.0.0.1:8000/v1 (no answer for 12 s)"})
    print("beat", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def writing(runs):
    """A process that writes the file of a finished run."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(runs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "beat\n"
        yield process
        process.kill()


def test_how_far_a_run_is(cli, runs, writing):
    """Documents, time to go, tokens and servers, while no other process can open the file."""
    shown = cli("status", runs)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.splitlines() == [
        "Run bread: running, 1,240 of 2,480 (50.0%) documents, 12.5/s, 34 failed now, 1:39 to go",
        "  2,500 requests now, 1,000,000 tokens read (75% cached), 20,000 written, 10,200 tokens/s; 11 answers used again",
        "  http://127.0.0.1:8000/v1: down, 3 of 64 in flight",
        "  waiting for http://127.0.0.1:8000/v1 (no answer for 12 s)",
    ]
    value = json.loads(cli("status", runs, "--json").out)
    assert (value["writing"], value["run"], value["done"], value["pid"]) == (True, "bread", 1200, writing.pid)


def test_a_run_is_watched_to_its_end(cli, runs, writing):
    """Line after line, then how it ended."""
    watching = subprocess.Popen(
        [sys.executable, "-m", "labelmill", "status", str(runs), "--watch", "--seconds", "0.1", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with watching:
        first = [json.loads(watching.stdout.readline()) for _ in range(2)]
        writing.stdin.write("\n")
        writing.stdin.close()
        rest = [json.loads(line) for line in watching.stdout]
    assert all(value["writing"] for value in first + rest[:-1])
    assert (rest[-1]["writing"], rest[-1]["state"], rest[-1]["documents"]) == (False, "finished", 12)
    assert watching.returncode == 0


def test_when_nothing_is_written(cli, runs):
    """The last run, out of the file."""
    shown = cli("status", runs)
    assert shown.code == 0
    assert re.match(r"Run windows-fusion-\w{8}: finished, 12 documents done, 0 failed, \d+:\d\d at work", shown.out)
    value = json.loads(cli("status", runs, "--json").out)
    assert (value["writing"], value["state"], value["documents"], value["requests"]) == (False, "finished", 12, 0)


def test_files_that_hold_no_run(cli, tmp_path):
    """One line, and code 1."""
    (tmp_path / "text.duckdb").write_text("bread")
    for name, reason in (("none.duckdb", "no such file"), ("text.duckdb", "is not a DuckDB file")):
        shown = cli("status", tmp_path / name)
        assert (shown.code, shown.out) == (1, "")
        assert reason in shown.err
        assert len(shown.err.splitlines()) == 1


def test_a_run_that_is_killed(cli, tags, tmp_path):
    """It is watched from here, killed, known as killed with what it had done, and gone on with by the same command."""
    texts = [f"Bake loaf {number} in a hot oven, then cook a soup of lentils and salt." for number in range(4000)]
    docs = write_jsonl(tmp_path / "docs.jsonl", [{"id": str(n), "text": text} for n, text in enumerate(texts)])
    out = tmp_path / "runs.duckdb"
    command = ["label", docs, "-t", tags, "-o", out, "--embedder", "wordllama", "--run", "bread", "--limit"]
    with subprocess.Popen(
        [sys.executable, "-m", "labelmill", *map(str, command), "4000"],
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        done = 0
        for _ in range(600):
            if heartbeat_path(out).exists():
                value = json.loads(cli("status", out, "--json").out)
                assert (value["writing"], value["run"], value["state"]) == (True, "bread", "running")
                assert (value["total"], value["pid"]) == (4000, process.pid)
                done = value["done"]
            if done:
                break
            time.sleep(0.1)
        assert 0 < done < 4000
        process.send_signal(signal.SIGKILL)
    shown = cli("status", out)
    assert shown.code == 0
    first, last = shown.out.splitlines()
    kept = int(re.match(r"Run bread: killed, ([\d,]+) documents done", first).group(1).replace(",", ""))
    assert done <= kept < 4000
    assert last.startswith(f"  Process {process.pid} is gone.")
    assert "run the same command again to go on" in last
    assert "killed" in cli("runs", out).out
    assert json.loads(cli("status", out, "--json").out)["state"] == "killed"
    ended = cli(*command, str(kept + 32))
    assert ended.code == 0
    value = json.loads(cli("status", out, "--json").out)
    assert (value["state"], value["documents"]) == ("finished", kept + 32)
    assert not heartbeat_path(out).exists()


def test_failures_are_counted_by_their_reason(cli, label, tmp_path):
    """After the list, for people: what to look at first."""
    rows = [
        {"id": "a", "text": "Bake bread."},
        {"id": "b", "text": ""},
        {"id": "a", "text": "x"},
        {"id": "c", "text": " "},
    ]
    label(write_jsonl(tmp_path / "docs.jsonl", rows))
    shown = cli("runs", tmp_path / "runs.duckdb", "--failures")
    assert len(shown.out.splitlines()) == 3
    assert shown.err.splitlines() == ["2 failed at read: empty-text", "1 failed at read: duplicate-id"]


def test_a_file_that_something_else_writes_is_not_sent_to_status(cli, runs, monkeypatch):
    """Which is asked already: votes, for one, say themselves how far they are."""
    monkeypatch.setattr("labelmill.cli.status._CLOSING_SECONDS", 0.3)
    code = f"from labelmill.store import Store\nwith Store({str(runs)!r}, write=True):\n print('open', flush=True)\n input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        told = cli("status", runs)
        process.communicate(b"\n")
    assert told.code == 1
    assert f"{runs} is in use by process {process.pid}, which writes no run" in told.err
    assert "labelmill status" not in told.err
