"""The servers that the same tests run against: scripted, embedded, and vLLM where it is installed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from vllm_host import CHAT, MODEL, VllmHost, get
from wording import RECIPES

from labelmill.errors import ModelRejected
from labelmill.models.client import Completion
from labelmill.models.embedded import embedded_server
from labelmill.models.served import ServedModel
from scripted import ScriptedModel, served, write_jsonl
from word_server import WordServer

VLLM_PYTHON = "LABELMILL_VLLM_PYTHON"
TOO_LONG = "overlong words " * 4000
"""Twice the context of the small model; the scripted one refuses it by its first word."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server under test.

    Attributes:
        kind: ``scripted``, ``words`` (scripted too, for yes and no), ``embedded`` or ``vllm``.
        url: Its base URL, with ``/v1``.
        model: What its model is called there.
        crowd: How many short requests it answers in seconds.
        repeats: Whether it promises the same answer to the same request, whatever else it is asked.
    """

    kind: str
    url: str
    model: str
    crowd: int
    repeats: bool

    @property
    def lm(self) -> str:
        """What ``--lm`` is given."""
        return f"{self.model}@{self.url}"

    def counter(self, name: str, **labels: str) -> float:
        """Add up a counter or a gauge of vLLM's over what has these labels; 0 where nothing was counted yet."""
        page = get(f"{self.url.removesuffix('/v1')}/metrics")
        assert f"# TYPE {name.removesuffix('_total')}" in page, f"/metrics has no {name}"
        lines = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", page, re.MULTILINE)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(value) for found, value in lines if all(label in found for label in wanted))


@contextmanager
def scripted() -> Iterator[Server]:
    """Serve rules in place of a model."""
    model = ScriptedModel(pause=0.01)
    model.troubles["overlong"] = ModelRejected("This model's maximum context length is 4096 tokens.")
    with served(model) as url:
        yield Server("scripted", url, model.model, crowd=64, repeats=True)


@contextmanager
def words() -> Iterator[Server]:
    """Serve rules for yes and no, by every endpoint of vLLM's that judging uses."""
    with WordServer() as running:
        yield Server("words", running.url, "toy", crowd=64, repeats=True)


@contextmanager
def embedded() -> Iterator[Server]:
    """Serve the small model by llama.cpp."""
    pytest.importorskip("xllamacpp")
    with embedded_server() as running:
        yield Server("embedded", running.base_url, running.model, crowd=4, repeats=True)


def vllm(host: VllmHost) -> Server:
    """Serve the small model by vLLM."""
    return Server("vllm", host.serve(CHAT), MODEL, crowd=64, repeats=False)


def on(*kinds: str) -> pytest.MarkDecorator:
    """Run a test against these kinds of servers."""
    marks = {"embedded": [pytest.mark.models], "vllm": [pytest.mark.vllm, pytest.mark.models]}
    parameters = [pytest.param(kind, marks=marks.get(kind, ())) for kind in kinds]
    return pytest.mark.parametrize("server", parameters, indirect=True)


everywhere = on("scripted", "embedded", "vllm")
wherever_judged = on("words", "embedded", "vllm")


def vllm_python() -> str:
    """Name the Python that has vLLM, or skip the test."""
    python = os.environ.get(VLLM_PYTHON)
    if not python:
        pytest.skip(f"no vLLM: {VLLM_PYTHON} is not set; `make test-vllm` installs it and runs these tests")
    return python


def ask(server: Server, bodies: Sequence[bytes]) -> list[Completion]:
    """Ask everything at once, as a run does."""

    async def session() -> list[Completion]:
        async with ServedModel(server.url, server.model) as model:
            return await asyncio.gather(*(model.complete(body) for body in bodies))

    return asyncio.run(session())


@dataclass(frozen=True, slots=True)
class Run:
    """What `labelmill label` left.

    Attributes:
        code: Of its exit.
        summary: What it printed.
        out: The DuckDB file.
    """

    code: int
    summary: dict[str, Any]
    out: Path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the file."""
        with duckdb.connect(str(self.out), read_only=True) as database:
            return database.execute(query).fetchall()


def label(folder: Path, texts: Mapping[str, str], *options: object) -> Run:
    """Label texts with the recipes' tags by a command of its own: three of ten candidates, of which Rank sees five."""
    docs = write_jsonl(folder / "docs.jsonl", [{"id": name, "text": text} for name, text in texts.items()])
    out = folder / "runs.duckdb"
    usual = ["--taxonomy", RECIPES / "tags.csv", "--out", out, "--candidates", 10, "--listed", 5, "--top-k", 3]
    embedder = [] if "--embedder" in options else ["--embedder", "wordllama"]
    command = [sys.executable, "-m", "labelmill", "label", docs, *usual, *embedder, "--json", *options]
    environment = os.environ | {"LABELMILL_CACHE": str(folder / "cache")}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.startswith("{"), done.stderr
    return Run(done.returncode, json.loads(done.stdout), out)
