"""Confident learning on sparse pairs: planted errors are found, thresholds are those of the papers where data is ample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.eval.suspects import Pairs, confidence_by_rank, suspect


def make(documents, labels, probabilities, gold) -> Pairs:
    return Pairs(
        np.array(documents, dtype=np.int64),
        np.array(labels, dtype=np.int32),
        np.array(probabilities, dtype=np.float64),
        np.array(gold, dtype=np.bool_),
    )


def planted(seed: int) -> tuple[Pairs, np.ndarray, np.ndarray]:
    """400 documents, 300 labels of which many are rare; a tenth of the gold removed, as many random labels added.

    Probabilities are true to the real gold; some of it is not ranked at all, nor are most added labels.
    """
    generator = np.random.default_rng(seed)
    popular = 1 / np.arange(1, 301)
    truth = np.zeros((400, 300), dtype=bool)
    for row in truth:
        row[generator.choice(300, size=generator.integers(1, 5), replace=False, p=popular / popular.sum())] = True
    p = np.where(truth, generator.beta(4, 2, truth.shape), generator.beta(1, 4, truth.shape))
    ranked = np.where(truth, generator.random(truth.shape) < 0.95, generator.random(truth.shape) < 0.05)
    given_labels = truth.copy()
    real, other = np.argwhere(truth), np.argwhere(~truth)
    errors = len(real) // 10
    removed = real[generator.permutation(len(real))[:errors]]
    added = other[generator.permutation(len(other))[:errors]]
    given_labels[tuple(removed.T)], given_labels[tuple(added.T)] = False, True
    rows, columns = np.nonzero(ranked | given_labels)
    pairs = make(rows, columns, np.where(ranked, p, 0)[rows, columns], given_labels[rows, columns])
    is_added, is_removed = np.zeros_like(truth), np.zeros_like(truth)
    is_added[tuple(added.T)], is_removed[tuple(removed.T)] = True, True
    return pairs, is_added[rows, columns], is_removed[rows, columns]


@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_rank_far_above_chance(seed):
    """Among as many suspects as errors were planted."""
    pairs, added, removed = planted(seed)
    found = suspect(pairs)
    errors = int(added.sum())
    assert added[found.wrong[:errors]].mean() > 4 * added[pairs.gold].mean()
    findable = int(removed.sum())
    assert removed[found.missing[:findable]].mean() > 10 * removed[~pairs.gold].mean()


def test_thresholds_are_the_mean_self_confidence_where_a_label_has_much_gold():
    """As `get_confident_thresholds` of cleanlab has them, per class."""
    generator = np.random.default_rng(0)
    p, gold = generator.random(20_000), generator.random(20_000) < 0.5
    labels = generator.integers(0, 2, 20_000)
    pairs = make(np.arange(20_000), labels, np.where(labels == 1, p**2, p), gold)
    found = suspect(pairs)
    for label in (0, 1):
        of_label = pairs.gold & (labels == label)
        expected = pairs.probabilities[of_label].mean()
        assert found.thresholds[labels == label] == pytest.approx(expected, abs=0.001)


def test_the_threshold_of_a_rare_label_leans_on_that_of_all():
    """Label 1 has one gold pair, at 0.1; its own mean would make everything a suspect."""
    pairs = make([*range(10), 10, 11], [0] * 10 + [1, 1], [0.8] * 10 + [0.1, 0.3], [True] * 11 + [False])
    pooled = (10 * 0.8 + 0.1) / 11
    found = suspect(pairs)
    assert found.thresholds[11] == pytest.approx((0.1 + 5 * pooled) / 6)
    assert found.thresholds[10] == pytest.approx(pooled)  # its own pair does not vouch for itself
    assert found.wrong[0] == 10
    assert 11 not in found.missing


def test_suspects_are_ordered_by_self_confidence():
    """Wrong ones from the least probable on, missing ones from the most probable on."""
    pairs = make(range(8), [0] * 8, [0.9, 0.8, 0.2, 0.1, 0.95, 0.7, 0.3, 0.0], [True] * 4 + [False] * 4)
    found = suspect(pairs)
    assert found.wrong.tolist() == [3, 2]
    assert found.missing.tolist() == [4, 5]


def test_of_gold_that_nothing_ranks_the_odd_one_out_comes_first():
    """Document 0 is clear but for one label; nothing of document 1 is found, which says more of the program."""
    pairs = make([0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 4, 5], [0.9, 0.9, 0, 0, 0, 0], [True] * 6)
    assert suspect(pairs).wrong[0] == 2


def test_without_gold_nothing_is_suspected():
    found = suspect(make([0, 1], [0, 0], [0.9, 0.2], [False, False]))
    assert len(found.wrong) == len(found.missing) == 0


def test_gold_that_was_never_ranked_at_all_says_nothing():
    """No probability is below the usual one where all are 0."""
    found = suspect(make([0, 1], [0, 1], [0, 0], [True, True]))
    assert len(found.wrong) == len(found.missing) == 0


sparse = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(0, 1), st.booleans()),
    max_size=25,
    unique_by=lambda pair: pair[:2],
)


@given(sparse, st.randoms(use_true_random=False))
def test_any_pairs_give_suspects_of_their_kind_whatever_their_order(drawn, random):
    """Wrong ones are gold, missing ones are not; thresholds lie in 0..1; order and numbering of pairs change nothing."""
    shuffled = list(drawn)
    random.shuffle(shuffled)
    sets = []
    for rows in (drawn, shuffled):
        pairs = make(*(zip(*rows, strict=True) if rows else ([], [], [], [])))
        found = suspect(pairs)
        assert pairs.gold[found.wrong].all()
        assert not pairs.gold[found.missing].any()
        assert ((found.thresholds >= 0) & (found.thresholds <= 1 + 1e-12)).all()
        assert len(set(found.wrong.tolist())) == len(found.wrong)
        assert (np.diff(pairs.probabilities[found.wrong]) >= 0).all()
        sets.append({rows[i][:2] for i in [*found.wrong, *found.missing]} if len(rows) < 2 else None)
    assert sets[0] == sets[1]


def test_scores_become_probabilities_that_follow_score_and_rank():
    """Monotone where both agree, and on average as many as there are gold."""
    generator = np.random.default_rng(0)
    ranks = np.tile(np.arange(1, 21), 200).astype(np.int32)
    scores = 1 / (20 + ranks) + generator.normal(0, 0.001, len(ranks))
    gold = generator.random(len(ranks)) < 0.8 / ranks
    p = confidence_by_rank(scores, ranks, gold)
    assert ((p > 0) & (p < 1)).all()
    assert p.mean() == pytest.approx(gold.mean(), abs=0.01)
    assert p[ranks == 1].mean() > p[ranks == 5].mean() > p[ranks == 20].mean()


@pytest.mark.parametrize("gold", [True, False])
def test_where_all_or_none_is_gold_there_is_nothing_to_fit(gold):
    p = confidence_by_rank(np.array([0.1, 0.2]), np.array([2, 1], dtype=np.int32), np.array([gold, gold]))
    assert p.tolist() == [float(gold)] * 2
