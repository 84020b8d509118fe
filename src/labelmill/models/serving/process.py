"""The process of a server: started in a group of its own, watched, told of signals, and ended with all its children."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from labelmill.errors import InputError, ModelUnavailable
from labelmill.models.serving.command import Launch
from labelmill.models.serving.log import open_log, reason, tail

Starting = Callable[[float, str], None]
"""Called while vLLM starts, with the seconds since and the last line of its log."""
Stopping = Callable[[float], None]
"""Called once it was told to end by somebody who may be watching, with the seconds that it has for that at most."""

_POLL_SECONDS = 0.2
_ASK_SECONDS = 2.0
_GRACE_SECONDS = 30.0
"""For vLLM to end by itself after a signal."""
_STARTING_GRACE_SECONDS = 5.0
"""The same while it starts: there it may forget a signal, and has nothing to lose."""
_CHILDREN_SECONDS = 3.0
"""For what vLLM has left behind to end by itself."""
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


def serve(
    launch: Launch,
    *,
    starting: Starting | None = None,
    ready: Callable[[Launch], None] | None = None,
    stopping: Stopping | None = None,
) -> Ending:
    """Start vLLM, wait until it is healthy, and stay until it ends.

    SIGINT, SIGTERM and SIGHUP are passed on to it; a second one, or half a minute after the first, kills it. Whatever
    of its process group outlives it is ended too. It must run in the main thread, as everything with signals.

    Args:
        launch: What to start.
        starting: Called several times a second until it is healthy.
        ready: Called once it is.
        stopping: Called once a signal was passed on.

    Raises:
        InputError: It cannot be started, or the log cannot be written.
        ModelUnavailable: It ended before it was healthy; the message has the reason out of its log.
    """
    with open_log(launch.log) as log:
        log.write(f"{_shown(launch)}\n".encode())
        log.flush()
        server = _Server(launch, log.tell(), stopping)
        with server.told_of_signals():
            try:
                server.start(log.fileno())
                return server.run(starting, ready)
            finally:
                server.end()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a server that was healthy ended, or one that was told to end before.

    Attributes:
        code: vLLM's exit code; 128 and the signal where a signal killed it, or came before it was healthy. 130 wherever
            the first signal was SIGINT: the user's Ctrl-C, whatever vLLM makes of it.
        why: The reason in one line, where nobody had asked it to end.
    """

    code: int
    why: str = ""


class _Server:
    """A server between its start and its end, for one thread."""

    def __init__(self, launch: Launch, log_start: int, stopping: Stopping | None) -> None:
        self._launch = launch
        self._log_start = log_start
        self._stopping = stopping
        self._process: subprocess.Popen[bytes] | None = None
        self._signal = 0
        self._told = 0.0
        self._healthy = False

    def start(self, log: int) -> None:
        launch = self._launch
        try:
            self._process = subprocess.Popen(
                launch.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(launch.environment),
                start_new_session=True,  # a terminal's Ctrl-C reaches it through us alone, and once
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - no other thread runs yet
            )
        except OSError as error:
            raise InputError(f"cannot start {launch.command[0]}: {error.strerror}") from error
        if self._signal:  # it came while the process was being made
            self._pass_on(self._signal)

    def run(self, starting: Starting | None, ready: Callable[[Launch], None] | None) -> Ending:
        begun = time.monotonic()
        while self._poll() is None and not self._answers():
            self._announce()
            if starting is not None and not self._signal:
                starting(time.monotonic() - begun, (self._lines() or ["nothing printed yet"])[-1])
            time.sleep(_POLL_SECONDS)
        self._healthy = self._poll() is None and not self._signal
        if self._healthy and ready is not None:
            ready(self._launch)
        while (code := self._poll()) is None:
            self._announce()
            time.sleep(_POLL_SECONDS)
        if self._signal == signal.SIGINT or (self._signal and not self._healthy):
            return Ending(128 + self._signal)
        if self._signal:
            return Ending(code if code >= 0 else 128 - code)
        why = f"vLLM ended with code {code}: {reason(self._lines(), code)} Its log: {self._launch.log}"
        if not self._healthy:
            raise ModelUnavailable(why)
        return Ending(code if code >= 0 else 128 - code, why)

    def end(self) -> None:
        """Leave nothing of the process group behind."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:  # something of ours has failed
            self._send(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        self._send_group(signal.SIGTERM)
        until = time.monotonic() + _CHILDREN_SECONDS
        while self._send_group(0) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS / 4)
        self._send_group(signal.SIGKILL)
        process.wait()

    @contextlib.contextmanager
    def told_of_signals(self) -> Iterator[None]:
        """Pass signals on; one that this process was told to ignore, as by nohup, stays ignored."""
        before: dict[signal.Signals, Any] = {}
        for number in _STOPS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        first = not self._signal
        self._signal = self._signal or number
        if self._process is None:
            return
        if first:
            self._pass_on(number)
        else:
            self._send_group(signal.SIGKILL)

    def _pass_on(self, number: int) -> None:
        self._told = time.monotonic()
        # A terminal that has closed means the end; vLLM itself would die of it without ending its engine.
        self._send(signal.SIGTERM if number == signal.SIGHUP else number)

    def _poll(self) -> int | None:
        process = self._process
        if process is None:  # never started
            return 0
        code = process.poll()
        if code is None and self._told and time.monotonic() - self._told > self._grace:
            self._send_group(signal.SIGKILL)
        return code

    @property
    def _grace(self) -> float:
        return _GRACE_SECONDS if self._healthy else _STARTING_GRACE_SECONDS

    def _announce(self) -> None:
        """Say that it ends: not from within the signal's handler, which may have interrupted another's printing."""
        if not self._told or self._stopping is None:
            return
        if self._signal != signal.SIGHUP:  # then nobody watches any more
            self._stopping(self._grace)
        self._stopping = None

    def _send(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _send_group(self, number: int) -> bool:
        """Signal the whole group; False where there is nobody in it."""
        if self._process is None:
            return False
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # the latter on macOS, for a group of zombies
            return False
        return True

    def _lines(self) -> list[str]:
        return tail(self._launch.log, self._log_start, self._launch.secrets)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self._launch.host, self._launch.port, timeout=_ASK_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _shown(launch: Launch) -> str:
    """Write the command line as a shell would take it, without its secrets."""
    line = shlex.join(launch.command)
    for secret in launch.secrets:
        line = line.replace(secret, "***")
    return f"$ {line}"


def _die_with_parent() -> Callable[[], object] | None:
    """Have Linux tell the child to end when this process is killed outright; elsewhere there is no such thing."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec as little as possible should happen
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
