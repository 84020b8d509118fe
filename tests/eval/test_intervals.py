from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from labelmill.errors import InputError
from labelmill.eval import Evaluation, Gold, Rankings, evaluate
from labelmill.eval.intervals import bootstrap
from labelmill.eval.metrics import Means
from labelmill.eval.ratios import Ratios


def noisy(documents: int, seed: int = 0) -> tuple[Rankings, Gold]:
    """Rankings of ten of 200 labels with a third of them right; rare labels are many, as in real taxonomies."""
    generator = np.random.default_rng(seed)
    labels = np.minimum(generator.pareto(1.0, (documents, 10)) * 8, 199).astype(np.int32)
    right = generator.random(labels.shape) < 0.3
    gold = [
        [*row[mask].tolist(), int(extra)]
        for row, mask, extra in zip(labels, right, generator.integers(0, 200, documents), strict=True)
    ]
    return Rankings(labels, np.broadcast_to(np.arange(10) < 4, labels.shape)), Gold.from_lists(gold)


def measure(documents: int, seed: int = 0, resamples: int = 400) -> Evaluation:
    rankings, gold = noisy(documents)
    return evaluate(rankings, gold, n_labels=200, ks=(1, 5), resamples=resamples, seed=seed)


def test_intervals_contain_the_value_and_shrink_with_more_documents():
    """Sixteen times the documents give a quarter of the width; averages over labels gain less, as new labels turn up."""
    few, many = measure(300).metrics, measure(4800).metrics
    constant = {"coverage", "set_size_median"}
    for name, interval in few.items():
        if name in constant:
            assert interval.low == interval.value == interval.high, name
            continue
        assert interval.low < interval.value < interval.high, name
        assert many[name].low < many[name].value < many[name].high, name
        share = (many[name].high - many[name].low) / (interval.high - interval.low)
        assert share < 0.95 if name.startswith("macro") else 0.2 < share < 0.32, (name, share)


def test_an_average_over_mostly_rare_labels_lies_well_inside_its_interval():
    """Resamples miss labels' documents, so they score lower all together; the interval is moved to make up for it."""
    generator = np.random.default_rng(1)
    labels = np.minimum(generator.pareto(0.5, (2000, 10)) * 20, 2999).astype(np.int32)
    gold = np.concatenate([labels[:, [0, 4]], generator.integers(0, 3000, (2000, 2))], axis=1)
    chosen = np.broadcast_to(np.arange(10) < 3, labels.shape)
    metrics = evaluate(Rankings(labels, chosen), Gold.from_lists(gold.tolist()), n_labels=3000, resamples=200).metrics
    for name in ("macro_f1", "macro_precision", "macro_recall"):
        interval = metrics[name]
        assert 0.25 < (interval.value - interval.low) / (interval.high - interval.low) < 0.75, name


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    assert measure(50, seed=3) == measure(50, seed=3)
    assert measure(50, seed=3).metrics["rp@5"] != measure(50, seed=4).metrics["rp@5"]


def test_a_mean_agrees_with_the_percentile_bootstrap_of_scipy():
    data = np.random.default_rng(0).beta(0.6, 1.2, 250)
    ours = bootstrap([Means(("x",), data[:, None])], len(data), resamples=4000)["x"]
    theirs = scipy_bootstrap((data,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert ours.value == pytest.approx(data.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_the_interval_of_a_mean_covers_the_truth_about_as_often_as_it_says():
    """Of 200 samples of 100 coin flips, 95% of the intervals should hold one half; 88% to 99% is within chance."""
    generator = np.random.default_rng(5)
    covered = 0
    for seed in range(200):
        flips = (generator.random((100, 1)) < 0.5).astype(float)
        interval = bootstrap([Means(("x",), flips)], 100, resamples=300, seed=seed)["x"]
        covered += interval.low <= 0.5 <= interval.high
    assert 176 <= covered <= 198


def test_resampling_in_batches_counts_each_resample():
    """A memory bound that allows three resamples at a time still gives every resample one row."""
    rows = []

    class Sizes(Means):
        def __call__(self, weights):
            rows.append(len(weights))
            assert np.all(weights.sum(axis=1) == 10)
            return Means.__call__(self, weights)

    bootstrap([Sizes(("x",), np.ones((10, 1)))], 10, resamples=8, cells=30)
    assert rows == [1, 3, 3, 2]


def test_one_document_has_an_interval_of_one_point():
    metrics = measure(1).metrics
    assert all(interval.low == interval.high == pytest.approx(interval.value) for interval in metrics.values())


def test_no_resamples_are_refused_with_a_remedy():
    with pytest.raises(InputError, match=r"0 bootstrap resamples give no interval\. Ask for at least 1\."):
        measure(5, resamples=0)


def test_a_resample_that_says_nothing_of_a_metric_is_left_out():
    """One document of thirty has a rare label, so a third of the resamples have none; the others all say 0.5."""
    reached, reachable = np.zeros(30), np.zeros(30)
    reached[3], reachable[3] = 0.5, 1
    found = bootstrap([Ratios.of({"x": (reached, reachable)})], 30, resamples=200)["x"]
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)
    alone = bootstrap([Ratios.of({"x": (reached, reachable)})], 30, resamples=1, seed=1)["x"]
    assert alone.low == alone.high == 0.5
    assert bootstrap(
        [Means.of({"y": reached}), Ratios.of({"x": (reached, 0 * reachable)})], 30, resamples=3
    ).keys() == {"y"}
