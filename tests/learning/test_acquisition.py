"""Choosing a batch: each part by itself does what it is for, and together no two documents are the same."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from labelmill.learning import acquisition
from labelmill.learning.acquisition import PARTS, Pool, Weights, choose_batch, unit_rows

ALONE = {name: Weights(**{each: float(each == name) for each in PARTS}) for name in PARTS}


def pool(profile, places=None, **more):
    """Make a pool of documents by the probabilities of their labels; near are those whose labels are alike."""
    rows = np.asarray(profile, dtype=float)
    given = {
        "doubt": np.minimum(rows, 1 - rows).sum(axis=1),
        "disagreement": np.zeros(len(rows)),
        "ground": np.ones(len(rows), np.bool_),
        "gold": np.zeros(rows.shape[1]),
        "labelled": np.zeros(len(rows), np.bool_),
    }
    near = sparse.csr_matrix(rows) if places is None else np.asarray(places, dtype=np.float32)
    return Pool(profile=sparse.csr_matrix(rows), places=unit_rows(near), **(given | more))


def test_doubt_comes_first_where_it_alone_counts():
    """And of equals the first."""
    found = choose_batch(pool(np.diag([0.9, 0.5, 0.7, 0.9])), 4, ALONE["uncertainty"])
    assert found.chosen.tolist() == [1, 2, 0, 3]
    assert found.parts[0].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_disagreement_counts_as_much_as_it_weighs():
    """Scaled, so that a sum over many labels does not drown the other parts."""
    mixed = pool(np.diag([0.5, 0.9]), disagreement=np.array([0.0, 40.0]))
    assert choose_batch(mixed, 1, Weights(1, 0.5, 0, 0)).chosen.tolist() == [0]
    assert choose_batch(mixed, 1, Weights(1, 2, 0, 0)).chosen.tolist() == [1]


def test_a_document_that_is_there_twice_is_chosen_once():
    """The second comes when nothing else is left, however much in doubt."""
    rows = [[0.5, 0.5, 0], [0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 0.95]]
    found = choose_batch(pool(rows), 4)
    assert found.chosen.tolist()[:2] in ([0, 3], [3, 0])
    assert sorted(found.chosen.tolist()) == [0, 1, 2, 3]
    assert found.alike[2] == pytest.approx(1)


def test_labels_without_gold_come_before_those_with_and_each_once():
    """A label that was chosen is rare no more, as far as it is probable."""
    rows = np.diag([0.9, 0.9, 0.9, 0.0])
    rows[3, 1] = 0.85
    found = choose_batch(pool(rows, places=np.eye(4), gold=np.array([50.0, 0, 1, 0])), 4, ALONE["tail"])
    assert found.chosen.tolist() == [1, 2, 3, 0]


def test_every_region_of_the_corpus_is_reached():
    """The middle of the largest first; what known documents reach is reached already."""
    places = [[1, 0], [1, 0.1], [1, -0.1], [1, 0.05], [0, 1], [0.1, 1]]
    around = pool(np.full((6, 1), 0.5), places)
    first, second = choose_batch(around, 2, ALONE["diversity"]).chosen.tolist()
    assert first < 4 <= second
    known = pool(np.full((6, 1), 0.5), places, known=unit_rows(np.array([[1.0, 0.0]], np.float32)))
    assert choose_batch(known, 1, ALONE["diversity"]).chosen[0] >= 4


def test_another_look_at_gold_adds_no_label_and_covers_nothing():
    """Its doubt alone speaks for it."""
    both = pool(np.diag([0.5, 0.5]), labelled=np.array([True, False]))
    found = choose_batch(both, 2)
    assert found.chosen.tolist() == [1, 0]
    assert found.parts[1].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_documents_without_any_label_can_be_chosen():
    """An empty row takes no other's sum, at the end or in the middle."""
    rows = [[0.0, 0.0], [0.6, 0.0], [0.0, 0.0]]
    found = choose_batch(pool(rows), 3)
    assert found.chosen.tolist() == [1, 0, 2]
    assert np.isfinite(found.parts).all()
    assert found.parts[1:, 2].tolist() == [0, 0]


def test_no_more_are_chosen_than_there_are():
    """None of none."""
    assert len(choose_batch(pool([[0.5]]), 9).chosen) == 1
    assert len(choose_batch(pool(np.empty((0, 2))), 9).chosen) == 0


def drawn(number, seed):
    """Draw a pool in which documents have some of thirty labels, and some have gold."""
    draw = np.random.default_rng(seed)
    rows = draw.random((number, 30)) ** 3 * (draw.random((number, 30)) < 0.3)
    more = {"ground": draw.random(number) < 0.5, "labelled": draw.random(number) < 0.1, "gold": draw.random(30) * 9}
    near = sparse.csr_matrix(rows)
    return pool(rows, disagreement=draw.random(number), known=unit_rows(near[: number // 10]), **more)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_not_kept_is_chosen_alike(monkeypatch, seed):
    """Coverage of the most promising alone, bit by bit, and that of all anew at every step: the same batch."""
    found = choose_batch(drawn(300, seed), 60)
    monkeypatch.setattr(acquisition, "_KEPT", 0)
    monkeypatch.setattr(acquisition, "_CELLS", 5000)
    few = choose_batch(drawn(300, seed), 60)
    monkeypatch.setattr(acquisition, "_AGAIN", 300)
    every = choose_batch(drawn(300, seed), 60)
    for each in (few, every):
        assert each.chosen.tolist() == found.chosen.tolist()
        assert each.parts == pytest.approx(found.parts)


def test_a_large_pool_needs_no_matrix_of_all_pairs(monkeypatch):
    """Which would be 32 MB here, and 5 GB for 5,000 documents to choose."""
    monkeypatch.setattr(acquisition, "_KEPT", 1 << 18)
    monkeypatch.setattr(acquisition, "_CELLS", 1 << 18)
    given = drawn(4000, 0)
    tracemalloc.start()
    try:
        choose_batch(given, 3)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16e6
