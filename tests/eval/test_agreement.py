"""Agreement of partitions, held against scikit-learn, and near-duplicates."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from labelmill.eval.agreement import agreement, near_duplicates

groups = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(groups)
def test_the_indexes_are_those_of_scikit_learn(pairs):
    """For any two partitions; purity and accuracy against their definitions."""
    found, gold = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    result = agreement(found, gold)
    assert result.ari == pytest.approx(adjusted_rand_score(gold, found), abs=1e-9)
    assert result.nmi == pytest.approx(normalized_mutual_info_score(gold, found), abs=1e-9)
    majority = sum(np.bincount(gold[found == group]).max() for group in set(found.tolist()))
    assert result.purity == pytest.approx(majority / len(gold))
    assert (result.documents, result.found, result.gold) == (len(pairs), len(set(found)), len(set(gold)))
    assert result.accuracy <= result.purity + 1e-12


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_the_accuracy_is_that_of_the_best_matching(pairs):
    """Of all there are."""
    found, gold = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    best = max(sum(order[f] == g for f, g in pairs) for order in permutations(range(4)))
    assert agreement(found, gold).accuracy == pytest.approx(best / len(pairs))


def test_the_same_partition_agrees_in_full():
    """Whatever the groups are called."""
    result = agreement(np.array([5, 5, 7, 9]), np.array([1, 1, 0, 2]))
    assert (result.ari, result.nmi, result.purity, result.accuracy) == (1.0, pytest.approx(1.0), 1.0, 1.0)


def test_near_duplicates_are_pairs_the_most_alike_first():
    """Each pair once, and no row with itself."""
    vectors = np.array([[1, 0], [0.8, 0.6], [1, 0], [0, 1]], np.float32)
    found = near_duplicates(vectors, 0.75)
    assert [pair[:2] for pair in found] == [(0, 2), (0, 1), (1, 2)]
    assert found[0][2] == pytest.approx(1.0)
    assert near_duplicates(vectors[:1], 0.0) == []
