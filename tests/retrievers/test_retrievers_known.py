"""Vectors of older indexes: used again for equal texts, and for no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.records import Label
from labelmill.retrievers.index import Indexes
from labelmill.retrievers.known import hash_texts, known_vectors
from labelmill.taxonomy import Taxonomy
from toy_embedder import HashedGrams

OLD = [Label(str(n), f"loaf {n}", (f"bread {n}", "bread"), f"Of {n}.") for n in range(40)]
NEW = [*OLD[5:20], Label("new", "a new loaf", ("bread",)), *OLD[:5], Label("7b", "loaf 7", ("loaf seven",))]
VIEWS = ["names", "aliases", "descriptions"]


def vectors_in(root) -> list[np.ndarray]:
    return [np.load(folder / "vectors.npy") for folder in sorted(root.glob("dense-*"))]


@pytest.mark.parametrize("view", VIEWS)
def test_of_an_edited_taxonomy_only_new_texts_are_embedded(tmp_path, view):
    """And the index is, bit by bit, the one that is built from nothing."""
    Indexes(Taxonomy.from_labels(OLD), tmp_path / "kept").dense(view, HashedGrams())
    embedder, told = HashedGrams(), []
    Indexes(Taxonomy.from_labels(NEW), tmp_path / "kept", lambda *now: told.append(now)).dense(view, embedder)
    assert embedder.texts == {"names": 1, "aliases": 2, "descriptions": 2}[view]
    total = told[-1][2]
    assert told == [(f"{view}.toy", total - embedder.texts, total), (f"{view}.toy", total, total)]
    Indexes(Taxonomy.from_labels(NEW), tmp_path / "fresh").dense(view, HashedGrams())
    (fresh,) = vectors_in(tmp_path / "fresh")
    assert any(np.array_equal(fresh, each) for each in vectors_in(tmp_path / "kept"))


def test_views_of_one_taxonomy_share_vectors(tmp_path):
    """Names are among names and aliases."""
    embedder, indexes = HashedGrams(), Indexes(Taxonomy.from_labels(OLD), tmp_path)
    indexes.dense("names", embedder)
    assert embedder.texts == 40
    indexes.dense("aliases", embedder)
    assert embedder.texts == 40 + 80


def test_another_embedder_starts_from_nothing(tmp_path):
    """Its vectors are others."""
    Indexes(Taxonomy.from_labels(OLD), tmp_path).dense("names", HashedGrams("toy-1"))
    other = HashedGrams("toy-2")
    Indexes(Taxonomy.from_labels(NEW), tmp_path).dense("names", other)
    assert other.texts == len(NEW)


def test_an_index_of_before_learns_of_what_texts_it_is(tmp_path):
    """When it is opened the next time; until then its vectors are not used."""
    Indexes(Taxonomy.from_labels(OLD), tmp_path).dense("names", HashedGrams())
    (noted,) = tmp_path.glob("dense-*/texts.npy")
    noted.unlink()
    Indexes(Taxonomy.from_labels(OLD), tmp_path).dense("names", HashedGrams())
    assert noted.exists()
    assert [file.name for file in noted.parent.iterdir() if file.name.endswith(".part")] == []
    embedder = HashedGrams()
    Indexes(Taxonomy.from_labels(NEW), tmp_path).dense("names", embedder)
    assert embedder.texts == 1


@pytest.mark.parametrize("damage", ["vectors.npy", "texts.npy", "key.json"])
def test_a_damaged_index_is_passed_over(tmp_path, damage):
    """Its texts are embedded anew."""
    Indexes(Taxonomy.from_labels(OLD), tmp_path).dense("names", HashedGrams())
    (folder,) = tmp_path.glob("dense-*")
    content = (folder / damage).read_bytes()
    (folder / damage).write_bytes(content[: len(content) // 2])
    embedder = HashedGrams()
    found = Indexes(Taxonomy.from_labels(NEW), tmp_path).dense("names", embedder)
    assert embedder.texts == len(NEW)
    assert found.retrieve([["a new loaf"]], 1)[0].labels.tolist() == [15]


@given(st.lists(st.text(max_size=3), max_size=20), st.lists(st.text(max_size=3), min_size=1, max_size=20))
def test_a_vector_is_found_for_equal_texts_alone(tmp_path_factory, has, wanted):
    """Whatever the texts, repeated or not."""
    folder = tmp_path_factory.mktemp("root") / "dense-1"
    folder.mkdir()
    (folder / "key.json").write_text('{"embedder": "e"}')
    np.save(folder / "texts.npy", hash_texts(has))
    np.save(folder / "vectors.npy", np.array([[has.index(text) + 1] for text in has], dtype=np.float16).reshape(-1, 1))
    vectors, known = known_vectors(folder.parent, {"embedder": "e"}, wanted)
    assert known.tolist() == [text in has for text in wanted]
    if vectors is not None:
        assert vectors[:, 0].tolist() == [has.index(text) + 1 if text in has else 0 for text in wanted]
    assert known_vectors(folder.parent, {"embedder": "other"}, wanted)[0] is None
