"""Having a process end with the one that started it, whatever it is at: what hangs listens to nothing."""

from __future__ import annotations

import ctypes
import signal
import sys

_SET_DEATH_SIGNAL = 1


def end_with_parent() -> None:
    """Have this process killed when the thread that started it ends, on Linux; elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
