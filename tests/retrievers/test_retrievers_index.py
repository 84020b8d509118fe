"""Indexes on disk: built once, opened again, never half, never of another taxonomy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from labelmill.errors import StoreError
from labelmill.records import Label
from labelmill.retrievers.index import Indexes
from labelmill.taxonomy import Taxonomy
from toy_embedder import HashedGrams

TESTS = Path(__file__).parent.parent
QUERIES = [["rye bread", "thin and crisp"], ["salted pretzel"], ["bread"]]

BUILD = """
import sys, hashlib
from pathlib import Path
from labelmill.retrievers.index import Indexes
from labelmill.taxonomy import Taxonomy
from toy_embedder import HashedGrams

indexes = Indexes(Taxonomy.from_names([f"loaf {number} of {number % 97}" for number in range(int(sys.argv[2]))]), Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for retriever in (indexes.bm25(), indexes.characters(), indexes.dense("names", HashedGrams())):
    for hits in retriever.retrieve([["loaf 7", "of 12"], ["loaf 30"]], 20):
        print(hits.labels.tolist(), hits.scores.tolist(), hits.queries.tolist())
"""


def build(root: Path, labels: int) -> subprocess.Popen[str]:
    """Start a process that builds every kind of index once it is told to."""
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    started = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(root), str(labels)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert started.stdout.readline() == "ready\n"
    return started


def rows(retriever) -> list:
    return [
        (hits.labels.tolist(), hits.scores.tolist(), hits.queries.tolist()) for hits in retriever.retrieve(QUERIES, 5)
    ]


def test_a_second_opening_gives_the_same_hits_from_disk(backend):
    """To the last bit, and without touching what lies there."""
    first = rows(backend.open())
    (folder,) = backend.folders
    written = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert rows(backend.open()) == first
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == written
    assert backend.folders == [folder]


def test_an_edited_taxonomy_gets_a_folder_of_its_own(backend):
    """One alias more, or another order: the old index is left alone and the new one is another."""
    labels = [Label("0", "rye bread", ("roggenbrot",), "Dark."), Label("1", "pretzel", (), "Salted.")]
    old = backend.open(Taxonomy.from_labels(labels))
    backend.open(Taxonomy.from_labels([Label("0", "rye bread", ("roggen",), "Dark."), labels[1]]))
    turned = backend.open(Taxonomy.from_labels(labels[::-1]))
    assert len(backend.folders) == 3
    assert [hits.labels[0] for hits in old.retrieve([["rye bread"], ["pretzel"]], 1)] == [0, 1]
    assert [hits.labels[0] for hits in turned.retrieve([["rye bread"], ["pretzel"]], 1)] == [1, 0]


def test_a_folder_says_what_it_is(backend):
    """The key, and nothing pickled."""
    backend.open()
    (folder,) = backend.folders
    key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    assert folder.name.startswith(key["kind"])
    for file in folder.glob("*.np[yz]"):
        np.load(file, allow_pickle=False)


def test_views_and_embedders_do_not_share_folders(tmp_path):
    """Another view, or an embedder whose vectors differ, is another index; a text is embedded once, whatever the view."""
    indexes = Indexes(Taxonomy.from_names(["rye", "oats"]), tmp_path)
    first, second = HashedGrams(), HashedGrams("toy-2")
    for embedder in (first, first, second):
        indexes.dense("names", embedder)
    indexes.dense("descriptions", first)
    assert len(list(tmp_path.iterdir())) == 3
    assert (first.texts, second.texts) == (2, 2)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError, OSError])
def test_an_interrupted_build_leaves_nothing(tmp_path, kind):
    """Stopped in the middle, there is no index and no rest; the next build is whole."""

    class Stopped(HashedGrams):
        def embed(self, texts):
            raise kind("stopped")

    indexes = Indexes(Taxonomy.from_names(["rye", "oats"]), tmp_path)
    with pytest.raises(StoreError if kind is OSError else kind, match="stopped"):
        indexes.dense("names", Stopped())
    assert list(tmp_path.iterdir()) == []
    assert indexes.dense("names", HashedGrams()).retrieve([["oats"]], 1)[0].labels.tolist() == [1]


def test_progress_is_told(tmp_path):
    """What is built, how far, and of how many."""
    told = []
    indexes = Indexes(Taxonomy.from_names([f"loaf {n}" for n in range(5000)]), tmp_path, lambda *now: told.append(now))
    indexes.dense("names", HashedGrams())
    assert told == [("names.toy", 0, 5000), ("names.toy", 4096, 5000), ("names.toy", 5000, 5000)]
    indexes.dense("names", HashedGrams())
    assert len(told) == 3


def test_two_processes_build_at_once(tmp_path):
    """Both end well with the same hits, and one index of each kind stays."""
    builders = [build(tmp_path / "indexes", 300) for _ in range(2)]
    for builder in builders:
        builder.stdin.write("go\n")
        builder.stdin.flush()
    outputs = [builder.communicate(timeout=120)[0] for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    assert outputs[0] == outputs[1] != ""
    assert sorted(folder.name.split("-")[0] for folder in (tmp_path / "indexes").iterdir()) == [
        "bm25",
        "characters",
        "dense",
    ]


def test_a_killed_build_leaves_no_half_index(tmp_path):
    """Killed while it writes, nothing lies where an index would be looked for, and the next build is whole."""
    root = tmp_path / "indexes"
    with build(root, 20_000) as builder:
        builder.stdin.write("go\n")
        builder.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(root.glob(".building-*")) and time.monotonic() < deadline:
            time.sleep(0.001)
        builder.send_signal(signal.SIGKILL)
    assert list(root.glob(".building-*"))
    assert not list(root.glob("bm25-*"))
    names = Taxonomy.from_names([f"loaf {number} of {number % 97}" for number in range(20_000)])
    assert Indexes(names, root).bm25().retrieve([["loaf 30"]], 1)[0].labels.tolist() == [30]


def test_the_cache_folder_comes_from_the_environment(cache):
    """Without a folder of the caller's, indexes lie under LABELMILL_CACHE."""
    Indexes(Taxonomy.from_names(["rye"])).characters()
    assert [folder.name.split("-")[0] for folder in (cache / "indexes").iterdir()] == ["characters"]


def test_a_cache_that_cannot_be_written(tmp_path):
    """A file where the folder should be: one line, and what to set."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Cannot write indexes to .*file/indexes: .*LABELMILL_CACHE"):
        Indexes(Taxonomy.from_names(["rye"]), tmp_path / "file" / "indexes").bm25()


@pytest.mark.parametrize("kind", ["dense", "bm25", "characters"])
def test_a_damaged_index_is_named_with_the_remedy(kind: str, cache: Path) -> None:
    """A file that was cut short ends in one line that names the folder to delete."""
    taxonomy = Taxonomy.from_names(["cook", "bake bread", "repair bicycles"])

    def open_index() -> object:
        indexes = Indexes(taxonomy)
        if kind == "dense":
            return indexes.dense("names", HashedGrams())
        return indexes.bm25() if kind == "bm25" else indexes.characters()

    open_index()
    (folder,) = (cache / "indexes").iterdir()
    for file in folder.iterdir():
        if file.name != "key.json":
            file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(StoreError, match=rf"{folder.name} is damaged .*Delete that folder"):
        open_index()


def test_what_killed_builds_left_is_removed(tmp_path):
    """A folder that is older than a day goes with the next build; one of today may still be at work."""
    for name, hours in ((".building-old", 25), (".building-new", 23)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half.npy").write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - hours * 3600,) * 2)
    Indexes(Taxonomy.from_names(["rye bread", "pretzel"]), tmp_path).bm25()
    assert sorted(folder.name.partition("-")[0] for folder in tmp_path.iterdir()) == [".building", "bm25"]
    assert not (tmp_path / ".building-old").exists()
