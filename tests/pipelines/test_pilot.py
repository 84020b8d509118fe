"""What a pilot predicts, against corpora whose true totals are known."""

from __future__ import annotations

import random

import numpy as np
import pytest

from labelmill.pipelines.pilot import Estimate, Prices, Sample, _cost, _hours, _total
from labelmill.records import Document, Failure


def corpus(count, seed=0):
    """Documents of very different lengths."""
    chance = random.Random(seed)
    return [Document(str(number), "x" * int(chance.lognormvariate(5, 1))) for number in range(count)]


def test_a_sample_is_drawn_from_the_whole_corpus():
    """Every document has the same chance; what cannot be read is counted apart; the seed decides."""
    items = [*corpus(500), Failure("f", "read", "no-text", "none")]
    drawn = Sample.draw(items, 50, seed=1)
    assert (len(drawn.documents), drawn.count, drawn.unreadable) == (50, 500, 1)
    assert drawn.characters == sum(len(item.text) for item in items[:-1])
    assert drawn == Sample.draw(items, 50, seed=1)
    assert drawn != Sample.draw(items, 50, seed=2)
    counts = np.zeros(500)
    for seed in range(400):
        counts[[int(item.id) for item in Sample.draw(items, 50, seed).documents]] += 1
    assert counts.sum() == 400 * 50
    # Each is drawn 40 times, give or take: 6 standard deviations of a binomial.
    assert np.all(np.abs(counts - 40) < 36)


def test_a_small_corpus_is_taken_whole():
    """And its total is then known, not estimated."""
    drawn = Sample.draw(corpus(20), 50, seed=0)
    lengths = np.array([len(item.text) for item in drawn.documents])
    assert len(drawn.documents) == 20
    assert _total(lengths, lengths * 2, drawn) == Estimate(*[2.0 * drawn.characters] * 3)


def test_tokens_that_follow_from_length_are_predicted_by_length():
    """Prompt tokens are nearly linear in characters: the interval is narrow, and holds the truth."""
    documents = corpus(5000)
    noise = np.random.default_rng(0)
    tokens = {item.id: 300 + len(item.text) / 4 + noise.normal(0, 5) for item in documents}
    truth = sum(tokens.values())
    held, widths = 0, []
    for seed in range(100):
        drawn = Sample.draw(documents, 50, seed)
        lengths = np.array([len(item.text) for item in drawn.documents])
        estimate = _total(lengths, np.array([tokens[item.id] for item in drawn.documents]), drawn)
        held += estimate.low <= truth <= estimate.high
        widths.append((estimate.high - estimate.low) / truth)
    assert held >= 88
    assert np.median(widths) < 0.02


def test_an_interval_of_95_percent_holds_the_truth_as_often():
    """Also where length says nothing."""
    documents = corpus(5000)
    chance = np.random.default_rng(3)
    values = {item.id: chance.gamma(2, 20) for item in documents}
    truth = sum(values.values())
    held = 0
    for seed in range(200):
        drawn = Sample.draw(documents, 50, seed)
        lengths = np.array([len(item.text) for item in drawn.documents])
        estimate = _total(lengths, np.array([values[item.id] for item in drawn.documents]), drawn)
        held += estimate.low <= truth <= estimate.high
    assert held >= 176


@pytest.mark.parametrize("values", [[5] * 10, [0] * 10])
def test_what_is_the_same_for_all_has_no_spread(values):
    """One question a document is one question a document."""
    drawn = Sample.draw(corpus(100), 10, seed=0)
    lengths = np.array([len(item.text) for item in drawn.documents])
    estimate = _total(lengths, np.array(values), drawn)
    assert estimate.low == pytest.approx(estimate.high) == pytest.approx(values[0] * 100)


def test_hours_come_from_the_middle_of_the_pilot():
    """Four documents a second once the first are done; the tail, when nothing more was fed, does not count."""
    moments = np.concatenate([np.arange(5, 25, 0.25), [40.0, 60.0]])
    estimate = _hours(moments, fed=25.0, documents=14_400)
    assert estimate.value == pytest.approx(1.0, rel=0.05)
    assert estimate.low <= 1.0 <= estimate.high


def test_costs_add_up():
    """Tokens at their prices, cached ones at their own, and GPUs by the hour."""
    totals = {
        "calls": Estimate(1, 1, 1),
        "prompt_tokens": Estimate(2e6, 1e6, 3e6),
        "cached_tokens": Estimate(1e6, 1e6, 1e6),
        "completion_tokens": Estimate(1e6, 1e6, 1e6),
    }
    hours = Estimate(2, 1, 3)
    assert _cost(totals, hours, Prices(prompt=1, completion=4)) == Estimate(6, 5, 7)
    assert _cost(totals, hours, Prices(prompt=1, cached=0.5, completion=4)) == Estimate(5.5, 4.5, 6.5)
    assert _cost(totals, hours, Prices(gpu_hour=3, gpus=2)) == Estimate(12, 6, 18)
