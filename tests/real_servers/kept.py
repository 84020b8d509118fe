"""Run a command for as long as somebody holds this process's standard input open, then tell it to end.

Whoever starts a server with it leaves none behind, however it ends itself: the pipe closes also when it is killed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

PATIENCE_SECONDS = 60


def main(command: list[str]) -> int:
    """Run the command; return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: whoever holds the pipe decides
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as kept:
        threading.Thread(target=end_with_input, args=(kept,), daemon=True).start()
        return kept.wait()


def end_with_input(kept: subprocess.Popen[bytes]) -> None:
    """Wait for the end of standard input, then tell the command to end, and kill it where it does not."""
    sys.stdin.buffer.read()
    kept.terminate()
    try:
        kept.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        kept.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
