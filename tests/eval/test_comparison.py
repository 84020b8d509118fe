"""Comparisons by construction, against scipy, and against the metrics of each run alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from labelmill.errors import GoldError, InputError
from labelmill.eval import Gold, Rankings, evaluate
from labelmill.eval.changes import Changes, LabelChange
from labelmill.eval.comparison import Comparison, compare

N_LABELS = 60


def make_run(documents: int, share: float, seed: int, width: int = 6) -> Rankings:
    """Rankings that hold each document's gold labels, which `make_gold` draws, with some probability."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, N_LABELS, (documents, width))
    hits = generator.random(documents) < share
    labels[hits, 0] = (np.arange(documents) % N_LABELS)[hits]
    return Rankings(labels.astype(np.int32), np.broadcast_to(np.arange(width) < 2, labels.shape))


def make_gold(documents: int) -> Gold:
    return Gold.from_lists([[number % N_LABELS, (number * 7 + 1) % N_LABELS] for number in range(documents)])


def both(a: Rankings, b: Rankings, gold: Gold, **settings) -> Comparison:
    return compare((a, b), (gold, gold), **{"ks": (1, 5), "resamples": 200} | settings)


def test_a_run_and_itself_differ_in_nothing():
    """Difference 0 with an interval of one point, p = 1, no wins."""
    run = make_run(40, 0.6, seed=1)
    result = both(run, run, make_gold(40))
    for name, metric in result.metrics.items():
        assert metric.a == metric.b, name
        assert (metric.difference.value, metric.difference.low, metric.difference.high) == (0, 0, 0), name
        assert metric.p_value == 1, name
    assert [(wins.a, wins.b, wins.ties) for wins in result.wins.values()] == [(0, 0, 40)] * 2


def test_each_value_is_that_of_the_evaluation_of_the_run_alone():
    """Means, pooled counts and averages over labels; what the other run predicts changes nothing."""
    runs, gold = (make_run(50, 0.3, 1), make_run(50, 0.7, 2, width=9)), make_gold(50)
    result = both(*runs, gold)
    for side, run in zip("ab", runs, strict=True):
        alone = evaluate(run, gold, n_labels=N_LABELS, ks=(1, 5), resamples=10).metrics
        for name, metric in result.metrics.items():
            assert getattr(metric, side) == pytest.approx(alone[name].value), name
    assert {"rp@1", "rp@5", "r@5", "ndcg@5", "micro_f1", "macro_f1"} <= set(result.metrics)


def test_a_clear_difference_is_sure_and_has_the_right_sign():
    """The interval is above 0, p is the smallest possible; the other way round everything is mirrored."""
    a, b, gold = make_run(200, 0.2, 1), make_run(200, 0.9, 2), make_gold(200)
    there, back = both(a, b, gold), both(b, a, gold)
    for name in ("rp@1", "micro_f1", "macro_f1"):
        forward, backward = there.metrics[name], back.metrics[name]
        assert 0 < forward.difference.low < forward.difference.value < forward.difference.high, name
        assert forward.p_value == pytest.approx(1 / 201), name
        assert backward.difference.value == pytest.approx(-forward.difference.value), name
        assert backward.difference.low == pytest.approx(-forward.difference.high), name
        assert backward.p_value == forward.p_value, name
    wins, mirrored = there.wins["rp@1"], back.wins["rp@1"]
    assert (wins.a, wins.b, wins.ties) == (mirrored.b, mirrored.a, mirrored.ties)
    assert wins.b > wins.a
    assert wins.a + wins.b + wins.ties == 200


def rp_at_1(run: Rankings, gold: Gold) -> np.ndarray:
    wanted = [set(gold.labels[start:end].tolist()) for start, end in zip(gold.indptr, gold.indptr[1:], strict=False)]
    return np.array([float(label in row) for label, row in zip(run.labels[:, 0].tolist(), wanted, strict=True)])


@pytest.mark.parametrize("seeds", [(1, 2), (3, 4), (5, 6)])
def test_the_p_value_of_a_mean_is_that_of_scipy(seeds):
    """Ten documents, of which scipy goes through every permutation."""
    gold = make_gold(10)
    a, b = make_run(10, 0.4, seeds[0]), make_run(10, 0.8, seeds[1])
    ours = both(a, b, gold, ks=(1,), resamples=20_000).metrics["rp@1"]
    values = rp_at_1(b, gold), rp_at_1(a, gold)
    theirs = permutation_test(
        values, lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert ours.difference.value == pytest.approx(theirs.statistic)
    assert ours.p_value == pytest.approx(min(1.0, theirs.pvalue), abs=0.015)


def micro_f1(counts: np.ndarray) -> float:
    right, chosen, wanted = counts.sum(axis=0)
    return float(2 * right / (chosen + wanted))


def test_the_p_value_of_micro_f1_permutes_the_counts_of_documents():
    """Against all 2^9 swaps, written out."""
    documents, gold = 9, make_gold(9)
    runs = [make_run(documents, 0.3, 7), make_run(documents, 0.9, 8)]
    counts = []
    for run in runs:
        rows = zip(gold.indptr, gold.indptr[1:], run.labels, run.selected, strict=False)
        counts.append(
            [
                (np.isin(labels[chosen], gold.labels[start:end]).sum(), chosen.sum(), end - start)
                for start, end, labels, chosen in rows
            ]
        )
    a, b = np.array(counts, dtype=float)
    observed = micro_f1(b) - micro_f1(a)
    swaps = ((np.arange(2**documents)[:, None] >> np.arange(documents)) & 1).astype(bool)
    swapped = [micro_f1(np.where(s[:, None], a, b)) - micro_f1(np.where(s[:, None], b, a)) for s in swaps]
    exact = np.mean(np.abs(swapped) >= abs(observed) - 1e-12)
    ours = both(*runs, gold, ks=(1,), resamples=20_000).metrics["micro_f1"]
    assert ours.difference.value == pytest.approx(observed)
    assert ours.p_value == pytest.approx(exact, abs=0.015)


def test_runs_that_are_equally_good_are_seldom_found_different():
    """Of 200 pairs drawn alike, some 5% should have p <= 0.05: 1% to 10% is within chance."""
    gold = make_gold(60)
    alarms = sum(
        both(make_run(60, 0.5, 2 * n), make_run(60, 0.5, 2 * n + 1), gold, resamples=99).metrics["micro_f1"].p_value
        <= 0.05
        for n in range(200)
    )
    assert 2 <= alarms <= 20


def test_pairing_makes_intervals_narrower():
    """Two runs that err on the same documents are compared without the noise of the documents."""
    a, gold = make_run(150, 0.5, 1), make_gold(150)
    labels = a.labels.copy()
    labels[:15, 0] = gold.labels[gold.indptr[:15]]
    width = {}
    for name, b in {"alike": Rankings(labels, a.selected), "apart": make_run(150, 0.55, 9)}.items():
        change = both(a, b, gold).metrics["rp@1"].difference
        width[name] = change.high - change.low
    assert width["alike"] < 0.75 * width["apart"]


def test_documents_without_gold_are_left_out_and_counted():
    """And the rows that remain are named."""
    gold = Gold.from_lists([[1], [], [2]])
    result = both(make_run(3, 0.5, 1), make_run(3, 0.5, 2), gold)
    assert result.rows.tolist() == [0, 2]
    assert result.documents_without_gold == 1
    assert result.scores.shape == (2, 2)


def test_what_cannot_be_compared_is_refused():
    """With a remedy where a user can be the cause."""
    run, gold = make_run(3, 0.5, 1), make_gold(3)
    with pytest.raises(GoldError, match="none of the 3 documents that both runs met has gold labels"):
        both(run, run, Gold.from_lists([[], [], []]))
    with pytest.raises(InputError, match="at least 1"):
        both(run, run, gold, ks=(0,))
    with pytest.raises(InputError, match="at least 1"):
        both(run, run, gold, resamples=0)
    with pytest.raises(ValueError, match="different numbers of documents"):
        both(run, make_run(4, 0.5, 1), gold)


def test_the_same_seed_gives_the_same_result():
    """Another seed gives other draws."""
    a, b, gold = make_run(30, 0.4, 1), make_run(30, 0.6, 2), make_gold(30)
    first = both(a, b, gold, seed=3).metrics
    assert both(a, b, gold, seed=3).metrics == first
    assert both(a, b, gold, seed=4).metrics != first


final_sets = st.lists(st.lists(st.integers(0, 5), unique=True, max_size=4), min_size=1, max_size=5)


@given(final_sets, final_sets, final_sets)
@settings(max_examples=60)
def test_changes_are_the_differences_of_the_sets(before, after, wanted):
    """By definition, document by document; gold that no run names and unknown gold count for nobody."""
    documents = min(len(before), len(after), len(wanted))
    before, after = before[:documents], after[:documents]
    gold = Gold.from_lists([[*row, -2, 900] for row in wanted[:documents]])
    runs = [Rankings.from_lists(rows, [[True] * len(row) for row in rows]) for rows in (before, after)]
    changes = Changes.of(runs, [gold, gold])
    gained = {(d, label) for d in range(documents) for label in set(after[d]) - set(before[d])}
    lost = {(d, label) for d in range(documents) for label in set(before[d]) - set(after[d])}
    assert set(map(tuple, changes.gained.tolist())) == gained
    assert set(map(tuple, changes.lost.tolist())) == lost
    assert changes.documents.tolist() == sorted({d for d, _ in gained | lost})
    assert int(changes.gained_right.sum()) == sum(label in wanted[d] for d, label in gained)
    assert int(changes.lost_right.sum()) == sum(label in wanted[d] for d, label in lost)
    assert sum(change.documents for change in changes.labels_gained(99)) == len(gained)
    for document in range(documents):
        came, went = changes.of_document(document)
        assert (set(came), set(went)) == (
            set(after[document]) - set(before[document]),
            set(before[document]) - set(after[document]),
        )


def test_the_labels_that_came_most_often_come_first():
    """With how often that was right."""
    runs = [
        Rankings.from_lists(rows, [[True] * len(row) for row in rows]) for rows in ([[], [], [9]], [[4], [4, 7], []])
    ]
    gold = Gold.from_lists([[4], [7], [9]])
    changes = Changes.of(runs, [gold, gold])
    assert changes.labels_gained(1) == [LabelChange(4, 2, 1)]
    assert changes.labels_lost(5) == [LabelChange(9, 1, 1)]


def test_the_documents_that_changed_most_come_first():
    """By score, then by labels that moved; those that did not change are not listed."""
    rows = [[1], [2], [3], [4]], [[1], [8, 9], [7], [4]]
    runs = [Rankings.from_lists(each, [[True] * len(row) for row in each]) for each in rows]
    gold = Gold.from_lists([[1], [2], [3], [4]])
    scores = np.array([[1.0, 1.0], [0.5, 0.5], [1.0, 0.0], [1.0, 1.0]])
    assert Changes.of(runs, [gold, gold]).largest(scores, 9) == [2, 1]
