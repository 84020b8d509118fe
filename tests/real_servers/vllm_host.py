"""vLLM on this machine's CPU by `labelmill serve`, one server at a time: each takes some gigabytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from labelmill.artifacts import ARTIFACTS, fetch

HERE = Path(__file__).parent
MODEL = "smollm2"
START_SECONDS = 600
"""A start takes half a minute; on a machine with other work it may take several."""

CHAT = ("--", "--max-model-len", "4096")
EMBEDDINGS = ("--embeddings", "--", "--max-model-len", "512")


class VllmHost:
    """Starts what is asked for and ends what ran before.

    Args:
        python: Of the environment that has vLLM.
        folder: For what the servers say, and for their sockets, whose names may not be long.
    """

    def __init__(self, python: str, folder: Path) -> None:
        self.python = python
        self.folder = folder
        self._options: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def serve(self, options: tuple[str, ...]) -> str:
        """Serve the model with these options, unless it is served so already; give the base URL."""
        if self._process is None or self._options != options:
            self.end()
            self._options = options
            self._url = self._start(options)
        return self._url

    def end(self) -> None:
        """End the server that runs, and wait until it has ended."""
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _start(self, options: tuple[str, ...]) -> str:
        usual = {"--name": MODEL, "--port": "0", "--python": self.python, "--log": self.folder / "vllm.log"}
        known = [str(part) for pair in usual.items() for part in pair]
        serve = [sys.executable, "-m", "labelmill", "serve", hf_model(self.python), *known, "--json", *options]
        out, err = self.folder / "out.txt", self.folder / "err.txt"
        with out.open("wb") as said, err.open("wb") as told:
            self._process = subprocess.Popen(
                [sys.executable, HERE / "kept.py", *serve],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=told,
                env=environment() | {"TMPDIR": str(self.folder)},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while (ready := json_in(out)) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"vLLM does not answer. {last_lines(err, 5)}\n{last_lines(self.folder / 'vllm.log')}"
                )
            time.sleep(0.2)
        return ready["url"]


def hf_model(python: str) -> Path:
    """Name the folder of SmolLM2 in the form that vLLM serves, in labelmill's cache; it is written the first time."""
    weights = fetch(ARTIFACTS["smollm2"]) / "model.gguf"
    folder = weights.with_name("hf-float32")
    if not folder.is_dir():
        run_there(python, "hf_form.py", str(weights), str(folder))
    return folder


def run_there(python: str, script: str, *arguments: str, given: str = "") -> str:
    """Run a script of this folder in the environment that has vLLM and transformers; give its standard output."""
    command = [python, str(HERE / script), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, f"{script} failed: {done.stderr[-2000:]}"
    return done.stdout


def environment() -> dict[str, str]:
    """Compute in one thread: threads that wait for each other come to a halt where other work has the cores as well."""
    return os.environ | {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1"}


def json_in(path: Path) -> dict[str, Any] | None:
    """Read a file of one JSON object, once it is whole."""
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError:
        return None


def last_lines(path: Path, count: int = 40) -> str:
    """Read the end of a log."""
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-count:])


def get(url: str) -> str:
    """Fetch a page of a server on this machine, without any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return answer.read().decode()


@contextmanager
def vllm_host(python: str) -> Iterator[VllmHost]:
    """Host servers until the end of the block."""
    with TemporaryDirectory(prefix="vllm-", ignore_cleanup_errors=True) as folder:
        host = VllmHost(python, Path(folder))
        try:
            yield host
        finally:
            host.end()
