"""What can be fetched is listed with its state, and a wrong name is answered with the right ones."""

from __future__ import annotations

import pytest

from labelmill.artifacts import ARTIFACTS
from labelmill.errors import InputError
from labelmill.models.catalog import fetch_model, list_models


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELMILL_CACHE", str(tmp_path))
    return tmp_path


def test_lists_everything_that_can_be_fetched(empty_cache):
    """Every artifact is in the list, once, with its license and size; nothing is cached in an empty cache."""
    entries = list_models()
    assert len(entries) == len(ARTIFACTS)
    assert {entry.kind for entry in entries} == {"embedder", "language model", "taxonomy"}
    assert all(entry.license and entry.description and entry.download_bytes > 10**6 for entry in entries)
    assert not any(entry.cached or entry.disk_bytes for entry in entries)
    assert all(entry.folder.is_relative_to(empty_cache) for entry in entries)


def test_sees_files_that_are_here(empty_cache):
    """A model is cached when each of its files is there, and only then."""
    folder = ARTIFACTS["minilm"].folder
    folder.mkdir(parents=True)
    *most, last = ARTIFACTS["minilm"].members.values()
    for name in most:
        (folder / name).write_bytes(b"12345")
    assert not _entry("minilm").cached
    (folder / last).write_bytes(b"12345")
    assert _entry("minilm").cached
    assert _entry("minilm").disk_bytes == 15
    assert not _entry("use").cached


def test_names_the_choices():
    """An unknown name is answered with the known ones."""
    with pytest.raises(InputError, match=r"'bert'.*minilm, use, smollm2, esco"):
        fetch_model("bert")


@pytest.mark.models
def test_fetches_minilm_with_its_graph():
    """After the fetch the graph is there, so that a run needs no network."""
    assert list(fetch_model("minilm").glob("int8-*.onnx"))
    assert _entry("minilm").cached


@pytest.mark.models
def test_fetches_the_taxonomy():
    """The taxonomy's table is in the folder."""
    with (fetch_model("esco") / "esco.csv").open(encoding="utf-8") as table:
        assert next(table).startswith("id,description,")


def _entry(name):
    return next(entry for entry in list_models() if entry.name == name)
