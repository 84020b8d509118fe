"""What the tests of programs and runs share: a small taxonomy, texts, and labelers that need no model file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labelmill import Labeler, Taxonomy
from scripted import ScriptedModel, write_jsonl
from toy_embedder import HashedGrams

NAMES = [
    "bake sourdough bread",
    "repair bicycles",
    "play the violin",
    "grow tomatoes",
    "sail small boats",
    "knit woollen socks",
    "keep honey bees",
    "paint with watercolour",
    "tune a piano",
    "brew dark beer",
    "restore old furniture",
    "train guide dogs",
]
TEXTS = [
    "Anna wants to bake bread with sourdough before the shop opens.",
    "The club repairs bicycles every Friday and lends its tools.",
    "We look for somebody who plays the violin, or tunes a piano.",
    "Tomatoes grow well on the south wall; bees are welcome there.",
    "He sails small boats in summer and knits socks in winter.",
    "Old furniture is restored in the cellar, with beer at six.",
    "Guide dogs are trained for two years.",
    "Watercolour is painted on the quay at low tide.",
]


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
