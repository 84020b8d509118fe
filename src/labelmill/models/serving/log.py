"""vLLM's output: the file that takes it, its last line for people, and why a start failed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from labelmill.errors import InputError

_TAIL_BYTES = 1 << 18
_LONGEST = 300
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PREFIX = re.compile(r"^(?:\([\w .=-]+\) )?(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:]+ \[[^\]]*\] ?)?")
_RAISED = re.compile(r"^(?:[\w.]*(?:Error|Exception|Interrupt)\b|torch\.\w+).*")
_NO_CAUSE = ("Engine core initialization failed", "WorkerProc initialization failed", "Engine process failed to start")
_MEMORY = "Take a smaller model, or lower --gpu-memory-utilization, --max-model-len or --max-num-seqs after --."
_CAUSES = (
    (
        re.compile(
            r"out of memory|OutOfMemoryError|No available memory|less than desired \w+ memory|larger than the available"
            r"|can't allocate memory|Cannot allocate memory|^MemoryError",
            re.IGNORECASE,
        ),
        "out of memory",
        _MEMORY,
    ),
    (re.compile(r"Address already in use", re.IGNORECASE), "its port is in use", "Choose another --port."),
    (
        re.compile(
            r"not a local folder and is not a valid model|Repository Not Found|couldn't connect to 'https://hugging"
            r"|Repo id must|does not appear to have (?:a file|files) named|Can't load the configuration"
            r"|Invalid repository|gated repo|outgoing traffic has been disabled",
            re.IGNORECASE,
        ),
        "unknown model",
        "Give a model's name at its hub, or the folder with its files.",
    ),
    (re.compile(r"\.py: error: |^vllm.*: error: "), "it refuses its flags", "Check what stands after --."),
    (
        re.compile(r"architectures? .*not supported|does not recognize this architecture", re.IGNORECASE),
        "it does not know this kind of model",
        "Install a newer vLLM.",
    ),
)
"""What a line says, what that means, and what to do."""


def open_log(path: Path) -> BinaryIO:
    """Open a log to add to, readable by its owner alone: prompts may get into it.

    Raises:
        InputError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise InputError(
            f"cannot write the log: {error.strerror}", path=path, remedy="Give another file with --log."
        ) from error


def tail(path: Path, start: int = 0, secrets: Sequence[str] = ()) -> list[str]:
    """Read a log's last lines, without what is not for reading: prefixes, escapes, control characters, secrets.

    Args:
        path: The log; a file that has gone has no lines.
        start: The byte at which the lines that matter begin.
        secrets: Words to black out.
    """
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(start, size - _TAIL_BYTES))
            text = log.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    for secret in secrets:
        text = text.replace(secret, "***")
    lines = (_readable(line) for line in re.split(r"[\r\n]+", text))
    return [line for line in lines if any(letter.isalnum() for letter in line)]


def reason(lines: Sequence[str], code: int) -> str:
    """Say in one line why vLLM ended: from what it printed, the first cause that is known, else its last exception."""
    for pattern, meaning, remedy in _CAUSES:
        for line in lines:
            if pattern.search(line):
                return f"{meaning} ({_short(line).rstrip('.')}). {remedy}"
    if code == -9:
        return f"it was killed, as a system does that is out of memory. {_MEMORY}"
    raised = [line for line in lines if _RAISED.match(line) and not any(vague in line for vague in _NO_CAUSE)]
    return f"{_short((raised or lines)[-1]).rstrip('.')}." if lines else "it printed nothing."


def _readable(line: str) -> str:
    bare = _PREFIX.sub("", _ESCAPES.sub("", line).strip())
    return "".join(letter if letter.isprintable() else " " for letter in bare).strip()


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
