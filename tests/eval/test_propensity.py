"""Propensity-scored metrics and head and tail: hand-worked cases, pyxclib's formulas written out, properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.eval import Frequencies, Gold, Rankings, evaluate

N_LABELS = 20


def value(ranked, gold, name: str, **options) -> float:
    rankings = Rankings.from_lists(ranked, [[False] * len(row) for row in ranked])
    found = evaluate(rankings, Gold.from_lists(gold), n_labels=N_LABELS, resamples=5, **options)
    return found.metrics[name].value


def pyxclib(ranked, gold, k: int) -> tuple[float, float]:
    """Write out `compute_inv_propesity`, `psprecision` and `psndcg` of pyxclib for one k."""
    counts = np.bincount(np.concatenate(gold), minlength=N_LABELS)
    scale = (np.log(len(gold)) - 1) * (1.5 + 1) ** 0.55
    weights = 1.0 + scale * (counts + 1.5) ** -0.55
    sums = np.zeros(4)
    for row, wanted in zip(ranked, gold, strict=True):
        flags = [weights[label] * (label in wanted) for label in row[:k]]
        best = sorted((weights[label] for label in wanted), reverse=True)[:k]
        places = [1 / math.log2(rank + 2) for rank in range(k)]
        ideal = sum(places[: min(k, len(wanted))])
        sums += [
            sum(flags) / k,
            sum(best) / k,
            sum(w * p for w, p in zip(flags, places, strict=False)) / ideal,
            sum(w * p for w, p in zip(best, places, strict=False)) / ideal,
        ]
    return sums[0] / sums[1], sums[2] / sums[3]


@pytest.mark.parametrize("seed", range(4))
def test_propensity_scores_follow_the_extreme_classification_repository(seed):
    generator = np.random.default_rng(seed)
    ranked = [generator.permutation(N_LABELS)[:8].tolist() for _ in range(30)]
    gold = [sorted(set((generator.random(4) ** 2 * N_LABELS).astype(int).tolist())) for _ in range(30)]
    for k in (1, 3, 10):
        psp, psndcg = pyxclib(ranked, gold, k)
        assert value(ranked, gold, f"psp@{k}", ks=(k,)) == pytest.approx(psp)
        assert value(ranked, gold, f"psndcg@{k}", ks=(k,)) == pytest.approx(psndcg)


def test_a_rare_label_weighs_more_than_a_frequent_one():
    """Both rankings find one of two gold labels of the last document."""
    gold = [[0]] * 20 + [[0, 7]]
    wrong = [[9]] * 20
    rare, frequent = (value([*wrong, [label]], gold, "psp@1", ks=(1,)) for label in (7, 0))
    assert rare > 1.5 * frequent > 0


def test_frequencies_of_another_corpus_count():
    """A label that the other corpus never has is the rarest; where all are alike, PSP is RP pooled."""
    elsewhere = Frequencies.of(Gold.from_lists([[0]] * 50 + [[7]] * 5))
    assert elsewhere.weights(np.array([0, 7, 3])).tolist() == sorted(elsewhere.weights(np.array([0, 7, 3])))
    gold = [[0, 7], [7]]
    plain = value([[0], [7]], gold, "psp@1", ks=(1,))
    assert plain == pytest.approx(1)  # two documents: all labels weigh the same
    assert value([[0], [7]], gold, "psp@1", ks=(1,), frequencies=elsewhere) < 1


def test_the_propensity_by_hand():
    """Label 0 is gold in 3 of 8 documents: 1 + (ln 8 - 1) 2.5^0.55 / 4.5^0.55."""
    frequencies = Frequencies.of(Gold.from_lists([[0], [0], [0], [1], [2], [3], [4], [5], []]))
    assert frequencies.documents == 8
    (weight,) = frequencies.weights(np.array([0], dtype=np.int32))
    assert weight == pytest.approx(1 + (math.log(8) - 1) * (2.5 / 4.5) ** 0.55)


@pytest.mark.parametrize(
    ("gold", "head"),
    [
        ([[0], [0], [0], [1], [2], [3]], [0]),
        ([[0], [0], [1], [1], [2], [3], [4], [5]], [0, 1]),
        ([[0], [1], [2]], []),
        ([[0], [0], [0], [0], [0], [1]], [0]),
    ],
    ids=["half", "ties", "all-alike", "most"],
)
def test_the_head_carries_about_half_of_the_gold(gold, head):
    """Equally frequent labels stay together."""
    frequencies = Frequencies.of(Gold.from_lists(gold))
    labels = np.arange(N_LABELS, dtype=np.int32)
    assert np.flatnonzero(frequencies.is_head(labels)).tolist() == head


def test_head_and_tail_by_hand():
    """Label 0 is the head. Its recall is over three documents, that of the tail over two."""
    ranked = [[0, 5], [5, 0], [1, 5], [5, 6]]
    gold = [[0], [0, 2], [0, 1], [3]]
    found = {name: value(ranked, gold, name, ks=(1, 2)) for name in ("r@1_head", "r@2_head", "rp@1_tail", "r@2_tail")}
    assert found == {
        "r@1_head": pytest.approx(1 / 3),
        "r@2_head": pytest.approx(2 / 3),
        "rp@1_tail": pytest.approx(1 / 3),
        "r@2_tail": pytest.approx(1 / 3),
    }


def test_a_side_without_labels_has_no_metrics():
    """Nothing divided by nothing is neither success nor failure."""
    rankings = Rankings.from_lists([[0]], [[True]])
    metrics = evaluate(rankings, Gold.from_lists([[0]]), n_labels=1, resamples=5).metrics
    assert not any(name.endswith("_head") for name in metrics)
    assert metrics["r@1_tail"].value == 1


corpora = st.lists(
    st.tuples(
        st.lists(st.integers(0, N_LABELS - 1), max_size=8),
        st.sets(st.integers(0, N_LABELS - 1), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=8,
)


@given(corpora, st.permutations(range(N_LABELS)))
def test_numbering_the_labels_otherwise_changes_nothing(drawn, names):
    ranked, gold = [row for row, _ in drawn], [sorted(labels) for _, labels in drawn]
    renamed = [[[names[label] for label in row] for row in rows] for rows in (ranked, gold)]
    one, other = (
        evaluate(
            Rankings.from_lists(rows, [[True] * len(row) for row in rows]),
            Gold.from_lists(labels),
            n_labels=N_LABELS,
            resamples=3,
        ).metrics
        for rows, labels in ((ranked, gold), renamed)
    )
    assert {name: item.value for name, item in one.items()} == pytest.approx(
        {name: item.value for name, item in other.items()}
    )
