"""What is installed where: the lock, the demo's list of packages, and what the wheel must carry."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

LEFT_OUT_OF_THE_DEMO = {
    "litellm": "DSPy's own engine speaks to the provider that labelmill registers",
    "huggingface-hub": "tokenizers needs it for downloads alone",
    "httpx2": "langsmith's transport",
    "websockets": "langsmith's transport",
    "xxhash": "langsmith's",
    "zstandard": "langsmith's",
    "wordllama": "an embedder that the demo does not use",
    "onnxruntime-extensions": "for the embedder `use` alone",
}


def names(path: Path) -> dict[str, str]:
    """Package to version, empty where the file names none."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("==") for line in lines if line)
    return {canonicalize_name(name): version for name, _, version in pairs}


def closure(roots: list[Requirement], left_out: set[str]) -> set[str]:
    """Everything that the requirements pull in on this machine, but for what is left out and what only that needs."""
    found: set[str] = set()
    queue = list(roots)
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        requirement = queue.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name in left_out or (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for line in metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                queue.append(needed)
    return found


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(*extras: str) -> list[Requirement]:
    chosen = [line for extra in extras for line in project()["optional-dependencies"][extra]]
    return [Requirement(line) for line in (*project()["dependencies"], *chosen)]


def test_the_lock_pins_everything_and_names_no_host():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)] == []
    assert "://" not in text


@pytest.mark.parametrize("extra", ["local", "skos", "distill", "dev"])
def test_the_lock_satisfies_what_the_project_asks_for(extra):
    locked = names(ROOT / "constraints.txt")
    asked = requirements(extra)
    assert [str(needed) for needed in asked if locked.get(canonicalize_name(needed.name)) not in needed.specifier] == []


def test_the_demo_installs_the_closure_of_what_it_uses():
    """Fails when a new dependency is not in the list, and when a listed package is no longer needed."""
    expected = closure(requirements("local"), set(LEFT_OUT_OF_THE_DEMO))
    assert set(names(ROOT / "requirements-demo.txt")) == expected


def test_the_demo_gets_locked_versions_only():
    """pip takes them from constraints.txt, which has every name of the list."""
    listed = names(ROOT / "requirements-demo.txt")
    assert set(listed.values()) == {""}
    assert set(listed) <= set(names(ROOT / "constraints.txt"))


DATA = ["py.typed", "store/schema.sql", "store/steps.sql", "models/embedders/minilm_reference.json"]


@pytest.mark.parametrize("path", DATA)
def test_the_package_carries_its_data(path):
    assert files("labelmill").joinpath(path).is_file()


@pytest.mark.slow
def test_the_wheel_carries_its_data_and_no_root_link(tmp_path):
    """Built by pip from the tracked files alone, as from a fresh clone; needs the index that has the build backend."""
    copy = tmp_path / "copy"
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in tracked.decode().rstrip("\0").split("\0"):
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.exists():  # else deleted since the last commit
            target.write_bytes(source.read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--wheel-dir", tmp_path / "wheels"]
    done = subprocess.run(pip, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheels").glob("labelmill-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        inside = packed.namelist()
    assert {f"labelmill/{path}" for path in DATA} <= set(inside)
    roots = {name.partition("/")[0] for name in inside}
    assert roots == {"labelmill", f"labelmill-{project()['version']}.dist-info"}
