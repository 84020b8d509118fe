"""The command line in this process, with everything that a shell would see of it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from labelmill.cli import main
from scripted import write_jsonl

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shell sees of a command."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `labelmill ARGS…` through its entry point."""

    def run(*args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["labelmill", *(str(arg) for arg in args)])
        before = signal.getsignal(signal.SIGTERM)
        capsys.readouterr()
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.signal(signal.SIGTERM, before)
        return Outcome(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def kept_indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests of this process share, so that each index is built once."""
    return tmp_path_factory.mktemp("indexes")


@pytest.fixture(autouse=True)
def _cache(kept_indexes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELMILL_CACHE", str(kept_indexes))


@pytest.fixture
def tags() -> Path:
    """A taxonomy."""
    return RECIPES / "tags.csv"


@pytest.fixture
def recipes() -> Path:
    """Twelve documents with gold."""
    return RECIPES / "recipes.jsonl"


@pytest.fixture
def label(cli: Cli, tags: Path, tmp_path: Path) -> Cli:
    """Run `labelmill label` with an embedder that needs no download; `--out` is runs.duckdb in the test's folder."""

    def run(docs: object, *options: object) -> Outcome:
        usual = {"--taxonomy": tags, "--out": tmp_path / "runs.duckdb", "--embedder": "wordllama"}
        missing = [part for name, value in usual.items() if name not in options for part in (name, value)]
        return cli("label", docs, *missing, *options)

    return run


@pytest.fixture
def runs(label: Cli, recipes: Path, tmp_path: Path) -> Path:
    """A file with one run of the recipes."""
    assert label(recipes).code == 0
    return tmp_path / "runs.duckdb"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Two documents."""
    rows = [{"id": "a", "text": "Bake the bread in a hot oven."}, {"id": "b", "text": "A soup of lentils for tonight."}]
    return write_jsonl(tmp_path / "docs.jsonl", rows)
