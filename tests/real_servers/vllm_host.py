"""vLLM on this machine's CPU, one server at a time: it takes every core and gigabytes of memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from labelmill.artifacts import ARTIFACTS, fetch

HERE = Path(__file__).parent
MODEL = "smollm2"
CONTEXT_TOKENS = 4096
START_SECONDS = 600
"""A healthy start takes half a minute; a machine with other work may take several."""

CHAT = (
    *("--max-model-len", str(CONTEXT_TOKENS), "--enable-prompt-tokens-details"),
    *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
)
EMBEDDINGS = ("--max-model-len", "512", "--runner", "pooling", "--convert", "embed")


class VllmHost:
    """Starts what is asked for and ends what ran before.

    Args:
        python: Of the environment that has vLLM.
        folder: For what the servers say, and for their sockets, whose names may not be long.
    """

    def __init__(self, python: str, folder: Path) -> None:
        self.python = python
        self.folder = folder
        self._running: tuple[tuple[str, ...], str, subprocess.Popen[bytes]] | None = None

    def serve(self, flags: tuple[str, ...]) -> str:
        """Serve the model with these flags, unless it is served so already; give the server's address."""
        if self._running and self._running[0] == flags:
            return self._running[1]
        self.end()
        port, log = free_port(), self.folder / "vllm.log"
        command = [sys.executable, HERE / "kept.py", self.python, *self._arguments(port), *flags]
        scratch = environment() | {"TMPDIR": str(self.folder)}
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=sink, stderr=sink, env=scratch, start_new_session=True
            )
        self._running = (flags, f"http://127.0.0.1:{port}", process)
        wait_until_healthy(self._running[1], process, log)
        return self._running[1]

    def end(self) -> None:
        """End the server that runs, and wait until it has ended."""
        if self._running:
            _, _, process = self._running
            self._running = None
            process.stdin.close()
            process.wait()

    def _arguments(self, port: int) -> list[str]:
        usual = "--dtype float32 --max-num-seqs 32 --enforce-eager --block-size 32 --host 127.0.0.1"
        model = ["--model", str(hf_model(self.python)), "--served-model-name", MODEL]
        # The module and not the command `vllm`, which fails without metadata of a package of that name.
        return ["-m", "vllm.entrypoints.openai.api_server", *model, *usual.split(), "--port", str(port)]


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
    """Keep vLLM and transformers on this machine and within a gigabyte of cached keys and values."""
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:4])
    return os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": cores,
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def free_port() -> int:
    """Find a port on which nobody listens; vLLM itself would share one that is taken."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_healthy(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the server's own word that it is ready; where it never is, show what it said last."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(f"{address}/health"):
        ended = process.poll()
        if ended is not None or time.monotonic() > deadline:
            reason = f"did not start within {START_SECONDS} s" if ended is None else f"ended with {ended}"
            tail = "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-40:])
            raise RuntimeError(f"vLLM {reason}. It said:\n{tail}")
        time.sleep(0.5)


def answers(url: str) -> bool:
    try:
        return bool(get(url)) or True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


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
