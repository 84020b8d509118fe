"""Every retriever by one fixture, over taxonomies and a cache of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from labelmill.records import Label
from labelmill.retrievers.base import Retriever
from labelmill.retrievers.index import Indexes
from labelmill.taxonomy import Taxonomy
from toy_embedder import HashedGrams

OPEN: dict[str, Callable[[Indexes], Retriever]] = {
    "dense-names": lambda indexes: indexes.dense("names", HashedGrams()),
    "dense-aliases": lambda indexes: indexes.dense("aliases", HashedGrams()),
    "dense-descriptions": lambda indexes: indexes.dense("descriptions", HashedGrams()),
    "bm25": lambda indexes: indexes.bm25(),
    "characters-names": lambda indexes: indexes.characters("names"),
    "characters-aliases": lambda indexes: indexes.characters("aliases"),
}

BREADS = Taxonomy.from_labels(
    [
        Label("b0", "rye bread", ("pumpernickel", "schwarzbrot"), "Dark and dense, of rye flour."),
        Label("b1", "sourdough", ("levain loaf", "naturally leavened bread"), "Raised by wild yeast."),
        Label("b2", "baguette", ("french stick",), "Long, thin, with a crisp crust."),
        Label("b3", "flatbread", ("pita", "naan", "tortilla"), "Baked flat, often without yeast."),
        Label("b4", "brioche", (), "Rich in butter and eggs."),
        Label("b5", "pretzel", ("laugenbrezel", "salted pretzel"), "Dipped in lye, twisted, salted."),
        Label("b6", "rye crispbread", ("knäckebröd",), "Dry and thin, of rye flour."),
        Label("b7", "cornbread", (), ""),
    ]
)


@dataclass(frozen=True)
class Backend:
    """One retriever, to be opened over any taxonomy; indexes are kept below `root`."""

    name: str
    root: Path

    def open(self, taxonomy: Taxonomy = BREADS) -> Retriever:
        """Open it, building the index unless it is there."""
        return OPEN[self.name](Indexes(taxonomy, self.root))

    @property
    def folders(self) -> list[Path]:
        """What lies in the cache, hidden folders included."""
        return sorted(self.root.iterdir()) if self.root.exists() else []


@pytest.fixture(params=OPEN)
def backend(request, tmp_path) -> Backend:
    """Each retriever in turn."""
    return Backend(request.param, tmp_path / "indexes")
