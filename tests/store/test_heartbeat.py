"""The sign of life of a run: who may read it, what a killed process leaves, and that it never ends a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labelmill.store.heartbeat import Heartbeat, heartbeat_path, process_start, read_heartbeat

BEAT = """
import sys
from labelmill.store.heartbeat import Heartbeat
Heartbeat(sys.argv[1]).beat({"run": "r", "state": "running", "done": 7})
print("beat", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that is beside the point: the file need not be there."""
    return tmp_path / "a run of bread.duckdb"


@pytest.fixture
def process(store: Path):
    """Another process that gave a sign of life and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", BEAT, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "beat\n"
        yield process
        process.kill()


def test_another_process_reads_how_far_it_is(store, process):
    """As plain JSON, with the process that wrote it."""
    assert heartbeat_path(store).name == "a run of bread.duckdb.status.json"
    pulse = read_heartbeat(store)
    assert (pulse.alive, pulse.run, pulse.state, pulse.values["done"]) == (True, "r", "running", 7)
    assert pulse.values["pid"] == process.pid
    assert pulse.values["started"] <= pulse.values["updated"]
    assert json.loads(heartbeat_path(store).read_text()) == pulse.values


def test_a_killed_process_is_known_as_such(store, process):
    """Also while its parent has not taken note of its death."""
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert (read_heartbeat(store).alive, read_heartbeat(store).state) == (False, "killed")
    process.wait()
    assert (read_heartbeat(store).alive, read_heartbeat(store).state) == (False, "killed")


def test_a_later_process_of_the_same_number_is_not_taken_for_it(store):
    """Its start is part of who wrote it."""
    Heartbeat(store).beat({"run": "r", "state": "running"})
    values = json.loads(heartbeat_path(store).read_text())
    assert read_heartbeat(store).alive
    heartbeat_path(store).write_text(json.dumps(values | {"process_started": "another boot/1"}))
    assert not read_heartbeat(store).alive
    assert process_start(os.getpid()) == values["process_started"]
    assert process_start(2**22 + 1) is None


def test_a_process_of_another_machine_lives_while_it_writes(store):
    """On a disk that machines share, its number means nothing here."""
    Heartbeat(store).beat({"run": "r", "state": "running"})
    values = json.loads(heartbeat_path(store).read_text()) | {"host": "elsewhere", "process_started": "x"}
    heartbeat_path(store).write_text(json.dumps(values))
    assert read_heartbeat(store).alive
    heartbeat_path(store).write_text(json.dumps(values | {"updated": "2001-01-01T00:00:00+00:00"}))
    assert read_heartbeat(store).state == "killed"


def test_it_is_written_once_a_second_at_most(store):
    """But for a state that must be said."""
    heartbeat = Heartbeat(store)
    for done in range(3):
        heartbeat.beat({"done": done})
    assert read_heartbeat(store).values["done"] == 0
    heartbeat.beat({"done": 9}, force=True)
    assert read_heartbeat(store).values["done"] == 9
    heartbeat.end()
    heartbeat.end()
    assert read_heartbeat(store) is None
    assert list(store.parent.iterdir()) == []


@pytest.mark.parametrize("values", [{"x": object()}, {"x": "\udce9"}, {"x": {1: 2}}])
def test_values_that_cannot_be_written_end_no_run(store, values, caplog):
    """Said once, in one line."""
    heartbeat = Heartbeat(store)
    for _ in range(3):
        heartbeat.beat(values, force=True)
    heartbeat.end()
    (said,) = caplog.records
    assert "labelmill status will not know of this run" in said.message


def test_a_folder_that_cannot_be_written_ends_no_run(store, caplog):
    """One that is gone, for instance; and what stands in the file's place is left alone."""
    heartbeat_path(store).mkdir()
    for path in (store.parent / "gone" / "runs.duckdb", store):
        heartbeat = Heartbeat(path)
        heartbeat.beat({}, force=True)
        heartbeat.beat({}, force=True)
        heartbeat.end()
    assert len(caplog.records) == 2
    assert read_heartbeat(store) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"pid": "x"}', '{"pid": 1, "host": "h"}', "\x00" * 100])
def test_a_file_that_is_no_sign_of_life(store, content):
    """Is as good as none."""
    heartbeat_path(store).write_text(content)
    assert read_heartbeat(store) is None
