"""Run a command for as long as somebody holds this process's standard input open; then end it with its children.

Whoever starts a server with it leaves none behind, however it ends itself: the pipe closes also when it is killed.
For Linux.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

PATIENCE_SECONDS = 20
PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run the command in a process group of its own; return its exit code once no process of it is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: whoever holds the pipe decides
    # Children of children become ours when their parent ends, so that we see them end too.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    group = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True).pid
    threading.Thread(target=end_with_input, args=(group,), daemon=True).start()
    code = 0
    with suppress(ChildProcessError):  # nobody is left
        while True:
            ended, status = os.wait()
            if ended == group:
                code = os.waitstatus_to_exitcode(status)
                end_soon(group)
    return code


def end_with_input(group: int) -> None:
    """Wait for the end of standard input, then ask the command to end."""
    sys.stdin.buffer.read()
    with suppress(ProcessLookupError):
        os.kill(group, signal.SIGTERM)
    end_soon(group)


def end_soon(group: int) -> None:
    """Give the processes time to end by themselves, since killed ones leave their shared memory behind."""
    timer = threading.Timer(PATIENCE_SECONDS, kill, [group])
    timer.daemon = True
    timer.start()


def kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
