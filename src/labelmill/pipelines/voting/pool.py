"""Worker processes that have users' code vote, each document within a time limit, and are replaced when they hang."""

from __future__ import annotations

import mmap
import os
import selectors
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from labelmill.errors import InputError, LabelmillError
from labelmill.records import Document

STRIKES = 3
"""Documents on which a voter may hang or crash before it is given up."""

_PYTHON = sys.executable, "-P"
"""Without the current folder among those of modules, whose files are data, and may be called as a module is."""

_PLACE_BYTES = 8 + 400
"""Of the file in which a worker says where it is: a document's place, and what is at work."""

_LOADING_SECONDS = 60.0
"""That a module may take to be loaded, or ten times the limit where that is more."""

_LOOK_SECONDS = 0.05
_WAITING = 10.0
"""Times the limit that a function may wait for something, where the limit is of work."""


@dataclass(slots=True)
class Cast:
    """What a voter said of some documents.

    Attributes:
        votes: Document's place, label as the voter names it, worth.
        failures: Document's place, kind, message.
        seen: How many of the documents it was shown; fewer where it was given up.
    """

    votes: list[tuple[int, str, float]] = field(default_factory=list)
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    seen: int = 0


class _Hung(Exception):  # noqa: N818 - never leaves this file
    """A worker did not come back from a document: its place, the kind of failure, and what was at work."""

    def __init__(self, where: bytes, kind: str) -> None:
        super().__init__(kind)
        self.place, self.kind = struct.unpack("<q", where[:8])[0], kind
        self.at = where[8:].rstrip(b"\0").decode("utf-8", "replace")


class Worker:
    """One process, started when it is needed, killed when it hangs.

    Args:
        sources: Modules and files of rules, each with its ``kind`` and ``path``.
        limit: Seconds of work that a voter may take for a document; ten times that where it waits.
        strikes: How often each voter hung or crashed, shared among workers.
    """

    def __init__(self, sources: Sequence[Mapping[str, str]], limit: float, strikes: Counter[str]) -> None:
        """Start nothing yet."""
        self._sources, self._limit, self._strikes = list(sources), limit, strikes
        self._process: subprocess.Popen[bytes] | None = None
        self._place: mmap.mmap | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._stopped = False
        self._at = (0, 0.0, 0.0)  # the document that is voted on, since when, and the work done by then

    def vote(self, voter: str, documents: Sequence[Document]) -> Cast:
        """Have a voter vote on documents; what it does not survive is a failure, and the rest goes on."""
        cast, given = Cast(), [(each.id, each.text) for each in documents]
        bad: list[_Hung] = []  # the nearest last
        while cast.seen < len(given) and (bad or self._strikes[voter] < STRIKES):
            # What it said of the documents before a bad one is asked again, for it died with the process.
            upto = bad[-1].place if bad else len(given)
            try:
                if upto > cast.seen:
                    self._ask_votes(voter, given[:upto], cast)
            except _Hung as hung:
                self._strikes[voter] += 1
                bad.append(hung)
                if len(bad) > 1 and self._strikes[voter] > STRIKES:
                    break
            else:
                if bad:
                    self._fail(voter, bad.pop(), cast)
        for each in reversed(bad):
            self._fail(voter, each, cast)
        return cast

    def _fail(self, voter: str, hung: _Hung, cast: Cast) -> None:
        what = f"took more than {self._limit:g} seconds" if hung.kind == "timeout" else "ended its process"
        at = f", at {hung.at}" if hung.at else ""
        cast.failures.append((hung.place, hung.kind, f"{voter} {what}{at}"))
        cast.seen = hung.place + 1

    def stop(self) -> None:
        """Have whoever waits for votes in another thread wait no longer; what was asked is not answered."""
        self._stopped = True
        if (process := self._process) is not None:
            _kill_group(process)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            _kill(self._process)
            self._process = None
        if self._place is not None:
            self._place.close()
            self._place = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _ask_votes(self, voter: str, given: Sequence[tuple[str, str]], cast: Cast) -> None:
        answer = self._ask({"voter": voter, "documents": given, "start": cast.seen}, cast.seen)
        cast.votes += [(place, label, worth) for place, label, worth in answer[0]]
        cast.failures += [(place, kind, message) for place, kind, message in answer[1]]
        cast.seen = len(given)

    def _ask(self, request: Mapping[str, Any], start: int) -> Any:
        process = self._started()
        assert self._place is not None
        self._place[:] = struct.pack("<q", start).ljust(_PLACE_BYTES, b"\0")
        self._at = (start, time.monotonic(), _work_seconds(process.pid))
        try:
            line = _exchange(process, request, lambda: self._kind_of_silence(process))
        except (BrokenPipeError, EOFError):
            line = None
        except TimeoutError:
            where = self._place[:]
            self.close()
            raise _Hung(where, "timeout") from None
        if line is None:
            where = self._place[:]
            self.close()
            raise _Hung(where, "crashed")
        return orjson.loads(line)

    def _kind_of_silence(self, process: subprocess.Popen[bytes]) -> bool:
        """Tell whether the document that is being voted on takes too long."""
        assert self._place is not None
        place = struct.unpack("<q", self._place[:8])[0]
        now, work = time.monotonic(), _work_seconds(process.pid)
        if place != self._at[0]:
            self._at = place, now, work
        waited, worked = now - self._at[1], work - self._at[2]
        return worked > self._limit or waited > self._limit * (_WAITING if work else 1)

    def _started(self) -> subprocess.Popen[bytes]:
        """Return the process, started and loaded."""
        if self._process is not None:
            return self._process
        self._go_on()
        self._folder = tempfile.TemporaryDirectory(prefix="labelmill-")
        path = Path(self._folder.name) / "place"
        path.write_bytes(bytes(_PLACE_BYTES))
        with path.open("r+b") as file:
            self._place = mmap.mmap(file.fileno(), 0)
        command = [*_PYTHON, "-m", "labelmill.pipelines.voting.worker", str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self._go_on()
        began, most = time.monotonic(), _loading_seconds(self._limit)
        try:
            _exchange(self._process, {"sources": self._sources}, lambda: time.monotonic() - began > most)
        except (BrokenPipeError, EOFError, TimeoutError):
            self.close()
            raise LabelmillError(
                "the process of the labelling functions did not start; what it printed is above. "
                "Run the module with Python to see what is wrong."
            ) from None
        return self._process

    def _go_on(self) -> None:
        if self._stopped:
            self.close()
            raise CancelledError


def list_voters(sources: Sequence[Mapping[str, str]], limit: float) -> list[tuple[str, str, str]]:
    """Ask a process which voters there are: name, kind and file of each.

    Args:
        sources: As for `Worker`.
        limit: As for `Worker`; a module may take ten times that to be loaded, and a minute in any case.

    Raises:
        InputError: A source cannot be used, or two voters have one name.
    """
    found: list[tuple[str, str, str]] = []
    for source in sources:
        names = _names(source, _loading_seconds(limit))
        found += [(name, source["kind"], source["path"]) for name in names]
    counted = Counter(name for name, _, _ in found)
    if twice := [name for name, count in counted.items() if count > 1]:
        raise InputError(f"two voters are called {twice[0]!r}", remedy="Rename one of them.")
    return found


def _loading_seconds(limit: float) -> float:
    return max(_LOADING_SECONDS, limit * _WAITING)


def _names(source: Mapping[str, str], seconds: float) -> list[str]:
    if source["kind"] == "rules":
        from labelmill.pipelines.voting.rules import read_rules

        return list(read_rules(source["path"]))
    # In a process of its own: a module that hangs, or prints, or ends Python, does it there.
    code = (
        "import sys, os, json; out = os.dup(1); os.dup2(2, 1)\n"
        "from labelmill.pipelines.voting.functions import load_functions\n"
        "from labelmill.pipelines.voting.orphans import end_with_parent\n"
        "end_with_parent()\n"
        "from labelmill.errors import InputError\n"
        "try: told = {'names': list(load_functions(sys.argv[1]))}\n"
        "except InputError as error: told = {'error': str(error)}\n"
        "os.write(out, json.dumps(told).encode())"
    )
    command = [*_PYTHON, "-c", code, source["path"]]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )  # in a session of its own, which Ctrl-C does not reach: it would print a traceback
    try:
        told = orjson.loads(process.communicate(timeout=seconds)[0])
    except subprocess.TimeoutExpired:
        raise InputError(
            f"the module is not loaded after {seconds:g} seconds",
            path=source["path"],
            remedy="See what it does outside its functions, or give it ten times as many --seconds as a document.",
        ) from None
    except orjson.JSONDecodeError:
        raise InputError("the module ends Python when it is loaded", path=source["path"], remedy="Mend it.") from None
    finally:
        _kill(process)
    if "error" in told:
        raise InputError(told["error"])
    return list(told["names"])


def _exchange(process: subprocess.Popen[bytes], request: Mapping[str, Any], too_long: Any) -> bytes:
    """Send a line and wait for one.

    Raises:
        EOFError: The process ended.
        TimeoutError: `too_long` says so.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    sending = threading.Thread(target=_send, args=(process.stdin, orjson.dumps(request) + b"\n"), daemon=True)
    sending.start()
    received = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if not selector.select(_LOOK_SECONDS):
                if too_long():
                    raise TimeoutError
                continue
            part = os.read(process.stdout.fileno(), 1 << 20)
            if not part:
                raise EOFError
            received += part
    sending.join()
    return bytes(received)


def _send(pipe: IO[bytes], line: bytes) -> None:
    try:
        pipe.write(line)
        pipe.flush()
    except (BrokenPipeError, ValueError):  # it died meanwhile, which its silence tells
        return


def _work_seconds(pid: int) -> float:
    """Tell how long a process has been at work; 0 where that cannot be known, and the clock alone counts."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, which may be stuck and listen to nothing."""
    _kill_group(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
