"""Clusters: they are found where there are some, their number too, and always the same ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score, silhouette_score

from labelmill.learning.clusters import choose_count, cluster, k_means, silhouette, smooth, unit


def blobs(count: int, each: int, spread: float = 0.35, width: int = 24, seed: int = 0):
    """Draw points around centres on the sphere; give them with the number of their centre."""
    draw = np.random.default_rng(seed)
    centres = unit(draw.normal(size=(count, width)).astype(np.float32))
    of = np.repeat(np.arange(count), each)
    noise = draw.normal(size=(count * each, width)) * spread / np.sqrt(width)
    order = draw.permutation(len(of))
    return unit((centres[of] + noise).astype(np.float32))[order], of[order]


def test_clusters_that_are_there_are_found_with_their_number():
    """Twelve are found among up to forty."""
    vectors, gold = blobs(12, 25)
    found = cluster(vectors, 40)
    assert len(found) == 12
    assert normalized_mutual_info_score(gold, found.of) > 0.99


def test_as_many_as_asked_for_where_that_is_wanted():
    """The number is then not chosen."""
    vectors, _ = blobs(6, 20)
    assert len(cluster(vectors, 9, exactly=True)) == 9
    assert cluster(vectors, 9, exactly=True).tried == {}


def test_smoothing_evens_out_what_is_noise():
    """What belongs together lies nearer afterwards, and is told from the rest more easily."""
    vectors, gold = blobs(10, 40, spread=1.1)
    once, twice = smooth(vectors, rounds=1), smooth(vectors, rounds=2)
    assert silhouette(twice, gold) > silhouette(once, gold) > silhouette(vectors, gold)
    assert np.allclose(np.linalg.norm(twice, axis=1), 1, atol=1e-5)


def test_k_means_ends_where_no_row_is_nearer_to_another_mean():
    """From any beginning; a mean that loses all its rows is dropped."""
    vectors, _ = blobs(5, 20, spread=1.0)
    start = np.concatenate([vectors[:6], -vectors[:1] * 50])
    of = k_means(vectors, start)
    means = np.stack([vectors[of == number].mean(axis=0) for number in range(of.max() + 1)])
    assert (np.square(vectors[:, None] - means[None]).sum(axis=2).argmin(axis=1) == of).all()


def test_the_silhouette_is_that_of_scikit_learn():
    """By cosine distance, a cluster of one row included."""
    vectors, of = blobs(5, 12, spread=1.0)
    of = of.astype(np.int64)
    of[0] = 5
    assert silhouette(vectors, of) == pytest.approx(silhouette_score(vectors, of, metric="cosine"), abs=1e-5)
    assert silhouette(vectors, np.zeros(len(vectors), np.int64)) == 0.0


def test_the_fewest_clusters_that_are_nearly_as_good_are_taken():
    """More of them would say little more."""
    assert choose_count({2: 0.1, 5: 0.49, 9: 0.50, 30: 0.501}) == 5
    assert choose_count({2: -0.2, 3: -0.3}) == 2


@given(
    rows=st.integers(1, 40),
    distinct=st.integers(1, 40),
    most=st.integers(1, 60),
    exactly=st.booleans(),
    seed=st.integers(0, 5),
)
def test_whatever_comes_in_is_divided(rows, distinct, most, exactly, seed):
    """Also one row, equal rows, and more clusters than rows: every row has a cluster, and every cluster a row."""
    draw = np.random.default_rng(seed)
    kinds = unit(draw.normal(size=(distinct, 8)).astype(np.float32))
    vectors = kinds[draw.integers(0, distinct, rows)]
    found = cluster(vectors, most, exactly=exactly, seed=seed)
    assert len(found.of) == rows
    assert sorted(set(found.of.tolist())) == list(range(len(found)))
    assert 1 <= len(found) <= most
    assert np.isfinite(found.centroids).all()
    if rows > 1 and len(found) > 1:
        assert np.bincount(found.of).min() >= 2


def test_many_rows_take_a_tree_of_some_of_them(monkeypatch):
    """And the same ones each time."""
    monkeypatch.setattr("labelmill.learning.clusters._MOST_IN_TREE", 100)
    vectors, gold = blobs(8, 50)
    found, again = cluster(vectors, 20, seed=3), cluster(vectors, 20, seed=3)
    assert (found.of == again.of).all()
    assert normalized_mutual_info_score(gold, found.of) > 0.99


def test_a_vector_alone_is_not_moved():
    """It has no neighbours."""
    alone = unit(np.ones((1, 4), np.float32))
    assert (smooth(alone) == alone).all()


def test_exactly_makes_up_for_clusters_that_are_too_small():
    """Of forty rows there may be twenty clusters of two at most; where more are wanted, they do not fall into one."""
    rows = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = {most: cluster(rows, most, exactly=True) for most in (6, 12, 20, 40, 100)}
    assert all(np.bincount(each.of).min() >= 2 for each in found.values())
    assert len(found[6]) == 6
    assert all(10 <= len(found[most]) <= 20 for most in (12, 20, 40, 100))
