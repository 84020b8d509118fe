"""Stands in for vLLM: a process that starts a child, logs, becomes healthy after a moment, or dies as it is told.

The model's name says what happens. `install` makes it the command ``vllm`` of a folder, or a module of a Python.
"""

# ruff: noqa: T201 - a program prints
from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PREFIX = "(APIServer pid=1) ERROR 11-20 16:55:24 [core.py:133] "
DEATHS = {
    "too-big": [
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`.",
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    ],
    "nobody/nothing": [
        "OSError: nobody/nothing is not a local folder and is not a valid model identifier listed on the hub",
    ],
    "taken-port": ["OSError: [Errno 98] Address already in use"],
    "odd": [
        "KeyError: 'rope_scaling'",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    ],
}
"""Models that end it before it is healthy, and its last words."""

DEAF = {"stubborn", "slow-and-stubborn"}
"""Models whose processes ignore SIGTERM, and SIGINT too."""


def main(words: list[str]) -> int:
    """Do as vLLM does."""
    options = read(words[1:] if words[:1] == ["serve"] else words)
    deaf = "signal.signal(15, signal.SIG_IGN);" if options.model in DEAF else ""
    child = subprocess.Popen([sys.executable, "-S", "-c", f"import signal, time; {deaf} time.sleep(60)"])
    seen = {"words": words, "environment": dict(os.environ), "child": child.pid, "self": os.getpid()}
    part = Path(f"{os.environ['FAKE_VLLM_SEEN']}.part")
    part.write_text(json.dumps(seen), encoding="utf-8")
    part.rename(os.environ["FAKE_VLLM_SEEN"])
    print("\x1b[1m(APIServer pid=1)\x1b[0m INFO 11-20 16:55:24 [api_utils.py:1] key is", options.api_key)
    if options.model in DEATHS:
        print(*(PREFIX + line for line in DEATHS[options.model]), "  █  ▄█", sep="\n")
        return 1
    if options.model in DEAF:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
    print("Loading weights:  50%|#####     | 1/2\rLoading weights: 100%|##########| 2/2")
    time.sleep(60 if options.model.startswith("slow") else 0.3)
    with HTTPServer((options.host, options.port), Health) as server:
        server.timeout = 0.5
        for _ in range(2 if options.model == "short-lived" else 120):
            server.handle_request()
    print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB")
    return 9


def read(words: list[str]) -> argparse.Namespace:
    """Read the flags that matter here; the last of several holds, and some are refused."""
    parser = argparse.ArgumentParser(prog="api_server.py", allow_abbrev=False)
    parser.add_argument("positional", nargs="?")
    parser.add_argument("--model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--api-key")
    options, others = parser.parse_known_args(words)
    if "--no-such-flag" in others:
        parser.error("unrecognized arguments: --no-such-flag")
    options.model = options.model or options.positional
    return options


def stop(number: int, _frame: object) -> None:
    """End as asked, with a code of its own."""
    print("asked to end by", signal.Signals(number).name, flush=True)
    os._exit(int(os.environ.get("FAKE_VLLM_CODE", "0")))


class Health(BaseHTTPRequestHandler):
    """Says that all is well."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()


def install_command(folder: Path) -> Path:
    """Make the command ``vllm`` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "vllm"
    command.write_text(f"#!{sys.executable}\n{_code()}", encoding="utf-8")
    command.chmod(0o755)
    return command


def install_module(folder: Path, version: str) -> Path:
    """Make a Python that has the package ``vllm``, of some version."""
    package = folder / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    for parent in (package, package.parent, package.parent.parent):
        (parent / "__init__.py").touch()
    (package / "api_server.py").write_text(_code(), encoding="utf-8")
    metadata = folder / "vllm-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n", encoding="utf-8")
    python = folder / "python"
    python.write_text(f"#!/bin/sh\nPYTHONPATH='{folder}' exec '{sys.executable}' \"$@\"\n", encoding="utf-8")
    python.chmod(0o755)
    return python


def _code() -> str:
    return f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport fake_vllm\nsys.exit(fake_vllm.main(sys.argv[1:]))\n"
