"""The sign of life of a run: a small JSON file beside the database, which no other process can open meanwhile.

It is for people and for `labelmill status`; nothing that a run does depends on it. That it cannot be written never ends
a run.
"""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

_SECONDS_BETWEEN = 1.0
_SILENT_SECONDS = 60.0
"""After which the writer on another machine is taken for dead: its processes cannot be looked at from here."""

_log = logging.getLogger(__name__)


def heartbeat_path(store: str | Path) -> Path:
    """Name the file beside a store: ``runs.duckdb.status.json``."""
    store = Path(store)
    return store.with_name(f"{store.name}.status.json")


class Heartbeat:
    """Writes how far a run is, at most once a second, for other processes to read.

    Args:
        path: The DuckDB file that is written.
    """

    def __init__(self, path: str | Path) -> None:
        """Find out who this process is; nothing is written yet."""
        self._path = heartbeat_path(path)
        self._part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        pid = os.getpid()
        who = {"pid": pid, "host": platform.node(), "process_started": process_start(pid)}
        self._who: dict[str, Any] = who | {"started": _now()}
        self._next = 0.0
        self._warned = False

    def beat(self, values: Mapping[str, Any], *, force: bool = False) -> None:
        """Say how far the run is; what comes within a second of the last time is left unsaid.

        Args:
            values: Plain values. No secret belongs here: the file is for everyone to read.
            force: Write it at once, for a state that will not come again.
        """
        now = time.monotonic()
        if now < self._next and not force:
            return
        self._next = now + _SECONDS_BETWEEN
        try:
            self._part.write_bytes(orjson.dumps({**values, **self._who, "updated": _now()}, option=orjson.OPT_INDENT_2))
            self._part.replace(self._path)
        except (OSError, TypeError) as error:  # a full disk, a folder without permission; a value that is not plain
            self._warn(error)

    def end(self) -> None:
        """Take the file away: from here on the database itself says how the run ended."""
        for path in (self._part, self._path):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("labelmill status will not know of this run: %s: %s", self._path, error)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a heartbeat's file says, and whether its writer lives.

    Attributes:
        alive: Whether the process that wrote it still runs; one of another machine, whether it wrote within a minute.
        age_seconds: Since it was written.
        values: What was written.
    """

    alive: bool
    age_seconds: float
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> str:
        """The run's name."""
        return str(self.values.get("run", ""))

    @property
    def state(self) -> str:
        """What the run is doing: ``killed`` where its process is gone."""
        state = str(self.values.get("state", "running"))
        return "killed" if state == "running" and not self.alive else state


def read_heartbeat(store: str | Path) -> Pulse | None:
    """Read the sign of life beside a store; None where there is none, or the file is no such thing."""
    try:
        values = orjson.loads(heartbeat_path(store).read_bytes())
        pid, host, begun = int(values["pid"]), values["host"], values["process_started"]
        age = max(0.0, (datetime.now(UTC) - datetime.fromisoformat(values["updated"])).total_seconds())
    except (OSError, ValueError, TypeError, KeyError):
        return None
    alive = process_start(pid) == begun is not None if host == platform.node() else age < _SILENT_SECONDS
    return Pulse(alive, age, values)


def process_start(pid: int) -> str | None:
    """Tell when a process began, in a form that no later process of the same number shares; None where there is none.

    On Linux, the boot and the clock ticks since; elsewhere, what ``ps`` says.
    """
    if sys.platform == "linux":
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            # The name, in parentheses, may hold anything. Then come the state and, as field 22 of all, the start.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in {"Z", "X"} else f"{boot}/{fields[19]}"  # a dead one that nobody has fetched yet
    try:
        shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return shown.stdout.strip() or None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
