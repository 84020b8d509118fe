"""The metrics against hand-worked cases, scikit-learn, and definitions written out in plain Python."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, ndcg_score, precision_score, recall_score

from labelmill.eval import Evaluation, Gold, Rankings, evaluate

N_LABELS = 30


def measure(
    ranked: list[list[int]],
    gold: list[list[int]],
    selected: list[list[bool]] | None = None,
    ks: tuple[int, ...] = (1, 2, 5, 10),
) -> Evaluation:
    chosen = selected or [[False] * len(row) for row in ranked]
    return evaluate(Rankings.from_lists(ranked, chosen), Gold.from_lists(gold), n_labels=N_LABELS, ks=ks, resamples=20)


def values(evaluation: Evaluation) -> dict[str, float]:
    return {name: interval.value for name, interval in evaluation.metrics.items()}


def by_definition(ranked: list[int], gold: list[int], k: int) -> dict[str, float]:
    ranked, wanted = list(dict.fromkeys(ranked)), set(gold)
    hits = [label in wanted for label in ranked[:k]]
    gain = sum(hit / math.log2(rank + 1) for rank, hit in enumerate(hits, start=1))
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
    return {
        f"p@{k}": sum(hits) / k,
        f"r@{k}": sum(hits) / len(wanted),
        f"rp@{k}": sum(hits) / min(k, len(wanted)),
        f"ndcg@{k}": gain / ideal,
    }


documents = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, N_LABELS - 1), st.booleans()), max_size=12),
        st.lists(st.integers(0, N_LABELS - 1), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=8,
)


def split(drawn):
    """Ranked labels, their flags, gold."""
    return (
        [[label for label, _ in pairs] for pairs, _ in drawn],
        [[flag for _, flag in pairs] for pairs, _ in drawn],
        [gold for _, gold in drawn],
    )


def test_a_hand_worked_ranking():
    """Gold {3, 8, 9}; hits at ranks 1 and 4 of five."""
    got = values(measure([[3, 1, 2, 8, 4]], [[3, 8, 9]], ks=(1, 2, 5)))
    assert got["p@5"] == pytest.approx(2 / 5)
    assert got["r@5"] == pytest.approx(2 / 3)
    assert got["rp@1"] == pytest.approx(1)
    assert got["rp@2"] == pytest.approx(1 / 2)
    assert got["rp@5"] == pytest.approx(2 / 3)
    assert got["ndcg@5"] == pytest.approx((1 + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / 2))


def test_hand_worked_final_sets():
    """Sets {1, 2} and {1} against gold {1} and {3}: one hit of three selected, of two wanted."""
    got = values(measure([[1, 2], [1]], [[1], [3]], [[True, True], [True]]))
    assert got["micro_precision"] == pytest.approx(1 / 3)
    assert got["micro_recall"] == pytest.approx(1 / 2)
    assert got["micro_f1"] == pytest.approx(2 / 5)
    # Labels 1, 2 and 3 occur: F1 is 2/3, 0, 0; precision 1/2, 0, 0; recall 1, 0, 0.
    assert got["macro_f1"] == pytest.approx(2 / 9)
    assert got["macro_precision"] == pytest.approx(1 / 6)
    assert got["macro_recall"] == pytest.approx(1 / 3)


def test_a_repeated_prediction_is_counted_once():
    """Three times the same hit is one hit, and it does not push the second one out of the top two."""
    got = values(measure([[3, 3, 3, 8]], [[3, 8]], [[True, True, True, True]]))
    assert got["p@2"] == got["r@2"] == got["ndcg@2"] == got["micro_precision"] == got["micro_f1"] == 1


def test_a_short_ranking_counts_as_if_padded_with_wrong_labels():
    short, padded = measure([[3]], [[3, 8]]), measure([[3, 20, 21, 22, 23, 24, 25, 26, 27, 28]], [[3, 8]])
    assert values(short) == values(padded)
    assert values(short)["p@10"] == pytest.approx(1 / 10)


def test_an_unresolved_gold_label_counts_as_missed():
    """A document whose second gold label the taxonomy lacks cannot score better than one that missed it."""
    outside, missed = measure([[3]], [[3, -2]], [[True]]), measure([[3]], [[3, 8]], [[True]])
    assert values(outside) == values(missed)
    assert values(outside)["rp@5"] == values(outside)["macro_recall"] == pytest.approx(1 / 2)
    assert (outside.labels_outside_taxonomy, missed.labels_outside_taxonomy) == (1, 0)


@settings(deadline=None)
@given(documents)
def test_ranking_metrics_follow_their_definitions(drawn):
    ranked, flags, gold = split(drawn)
    got = values(measure(ranked, gold, flags))
    for k in (1, 2, 5, 10):
        expected = [by_definition(*pair, k) for pair in zip(ranked, gold, strict=True)]
        for name in expected[0]:
            assert got[name] == pytest.approx(np.mean([scores[name] for scores in expected]))


@settings(deadline=None)
@given(documents)
def test_every_metric_is_a_fraction_and_its_interval_is_one_too(drawn):
    ranked, flags, gold = split(drawn)
    evaluation = measure(ranked, gold, flags)
    for name, interval in evaluation.metrics.items():
        most = 12 if name.startswith("set_size") else 1
        assert 0 <= interval.low <= interval.high <= most
        assert 0 <= interval.value <= most
    for k in (1, 2, 5, 10):
        assert evaluation.metrics[f"rp@{k}"].value >= evaluation.metrics[f"p@{k}"].value - 1e-12
        assert evaluation.metrics[f"rp@{k}"].value >= evaluation.metrics[f"r@{k}"].value - 1e-12


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, N_LABELS - 1), min_size=1, max_size=10), min_size=1, max_size=6))
def test_predicting_exactly_the_gold_labels_is_perfect(gold):
    """All metrics are 1 but those that k itself bounds; for the propensity-scored ones the rarest label comes first."""
    frequent = Counter(label for row in gold for label in row)
    rows = [sorted(row, key=frequent.__getitem__) for row in gold]
    got = values(measure(rows, rows, [[True] * len(row) for row in rows]))
    bounded = {name for name in got if name.startswith(("p@", "r@", "set_size")) or name.endswith(("_head", "_tail"))}
    assert {name: got[name] for name in got.keys() - bounded} == dict.fromkeys(got.keys() - bounded, pytest.approx(1))
    assert all(number == pytest.approx(1) for name, number in got.items() if name.startswith("r@10"))


@settings(deadline=None)
@given(documents, st.randoms(use_true_random=False))
def test_the_order_of_the_documents_changes_nothing(drawn, random):
    shuffled = list(drawn)
    random.shuffle(shuffled)
    ranked, flags, gold = split(drawn)
    again, flags_again, gold_again = split(shuffled)
    assert values(measure(again, gold_again, flags_again)) == pytest.approx(values(measure(ranked, gold, flags)))


@pytest.mark.parametrize("seed", range(5))
def test_final_sets_agree_with_scikit_learn(seed):
    """Micro and macro scores equal scikit-learn's over the labels that occur in gold or in a final set."""
    generator = np.random.default_rng(seed)
    truth = generator.random((40, N_LABELS)) < 0.08
    truth[np.arange(40), generator.integers(0, N_LABELS // 2, 40)] = True
    chosen = (truth & (generator.random(truth.shape) < 0.7)) | (generator.random(truth.shape) < 0.03)
    occurring = np.flatnonzero((truth | chosen).any(axis=0))
    ranked = [np.flatnonzero(row).tolist() for row in chosen]
    gold = [np.flatnonzero(row).tolist() for row in truth]
    got = values(measure(ranked, gold, [[True] * len(row) for row in ranked]))
    for name, score in {"f1": f1_score, "precision": precision_score, "recall": recall_score}.items():
        for average in ("micro", "macro"):
            expected = score(truth, chosen, average=average, labels=occurring, zero_division=0)
            assert got[f"{average}_{name}"] == pytest.approx(expected), (average, name)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_ndcg_agrees_with_scikit_learn(k):
    """Full rankings with distinct scores, since scikit-learn averages over ties and knows no shorter ranking."""
    generator = np.random.default_rng(k)
    scores = generator.permuted(np.tile(np.arange(N_LABELS, dtype=float), (25, 1)), axis=1)
    truth = generator.random(scores.shape) < 0.15
    truth[:, 0] = True
    ranked = np.argsort(-scores, axis=1).tolist()
    gold = [np.flatnonzero(row).tolist() for row in truth]
    assert values(measure(ranked, gold, ks=(k,)))[f"ndcg@{k}"] == pytest.approx(ndcg_score(truth, scores, k=k))
