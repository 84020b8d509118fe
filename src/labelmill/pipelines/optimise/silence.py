"""DSPy's optimisers print, draw bars and log; here they are silent, and what is said comes through one callback."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from typing import TextIO

_LOGGERS = ("dspy", "gepa", "optuna")
# Of the thread that optimises, and of those that GEPA starts in a copy of its context; not of a progress display.
_muted = ContextVar("_muted", default=False)


@contextmanager
def silence() -> Iterator[None]:
    """Drop what optimisers print, log and warn of; other threads print as before."""
    import tqdm  # type: ignore[import-untyped]

    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(_Muted(sys.stdout)))
        stack.enter_context(redirect_stderr(_Muted(sys.stderr)))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=rf"({'|'.join(_LOGGERS)})(\..*)?")
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
        # A bar that stands still is drawn by a thread of tqdm's own.
        stack.callback(setattr, tqdm.tqdm, "monitor_interval", tqdm.tqdm.monitor_interval)
        tqdm.tqdm.monitor_interval = 0
        stack.callback(_muted.reset, _muted.set(True))
        yield


@contextmanager
def speaking() -> Iterator[None]:
    """Let this thread print again, for as long as it lasts."""
    token = _muted.set(False)
    try:
        yield
    finally:
        _muted.reset(token)


class _Muted(io.TextIOBase):
    """A stream that drops what is written where all is to be silent."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return len(text) if _muted.get() else self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding
