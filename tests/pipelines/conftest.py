"""What the tests of programs and runs share: a small taxonomy, texts, and labelers that need no model file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_world import NAMES, TEXTS

from labelmill import Labeler, Taxonomy
from scripted import ScriptedModel, write_jsonl
from toy_embedder import HashedGrams


@pytest.fixture(scope="session")
def kept_indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests of this process share, so that each index is built once."""
    return tmp_path_factory.mktemp("indexes")


@pytest.fixture(autouse=True)
def _cache(kept_indexes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELMILL_CACHE", str(kept_indexes))


@pytest.fixture
def names() -> Taxonomy:
    """Twelve labels, named by what people do."""
    return Taxonomy.from_names(NAMES)


@pytest.fixture
def make_labeler(names: Taxonomy) -> Callable[..., Labeler]:
    """Make labelers over `names`, with the toy embedder unless another is given."""

    def make(lm: ScriptedModel | str = "none", **settings) -> Labeler:
        taxonomy = settings.pop("taxonomy", names)
        return Labeler(taxonomy, lm=lm, **{"embedders": [HashedGrams()], "candidates": 8, "top_k": 3} | settings)

    return make


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The eight texts, as JSONL."""
    return write_jsonl(tmp_path / "texts.jsonl", [{"id": f"t{n}", "text": text} for n, text in enumerate(TEXTS)])
