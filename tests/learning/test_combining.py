"""The choice among ways to combine: as asked for, by gold, by what is known of majorities."""

from __future__ import annotations

import numpy as np
import pytest
from elections import ballots, chosen, gold_of, judged, scores_of

from labelmill.errors import InputError
from labelmill.learning.combining import combine
from labelmill.learning.votes import KnownLabels


def test_the_majority_is_used_and_said_to_be_best_where_voters_are_alike():
    """Three voters of one accuracy; the condition and its source are named."""
    votes, _ = chosen([0.8, 0.8, 0.8], documents=1000, labels=2, share=1)
    found = combine(votes, exclusive=True)
    assert found.method == "majority"
    assert "Nitzan and Paroush 1982" in found.why
    counts = np.zeros((1000, 2))
    np.add.at(counts, (votes.document, votes.label), 1)
    assert (scores_of(found.soft, votes).argmax(1) == counts.argmax(1)).all()


def test_voters_that_differ_get_dawid_skene():
    """Without gold, by what votes say of each other."""
    votes, _ = chosen([0.95, 0.6, 0.6, 0.6], documents=1000, share=1)
    assert combine(votes, exclusive=True).method == "dawid-skene"
    assert combine(judged([0.9, 0.6, 0.6], [0.1, 0.4, 0.4])[0]).method == "dawid-skene"


@pytest.mark.parametrize("method", ["majority", "weighted", "dawid-skene", "pool", "ranks"])
def test_what_is_asked_for_is_done(method):
    """And scores are called probabilities where they are."""
    votes, _ = chosen([0.9, 0.8, 0.7])
    found = combine(votes, method=method, exclusive=method != "ranks")
    assert found.method == method
    assert found.probabilities == (method in {"weighted", "dawid-skene", "pool"})
    assert found.soft.score.min() >= 0
    assert found.soft.score.max() <= 1 + 1e-12


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_pool_is_the_mean_of_its_members(exclusive):
    """Pair by pair; documents with gold keep it."""
    if exclusive:
        votes, truth = chosen([0.9, 0.7, 0.6], documents=300)
        known = gold_of(range(20), truth[:20])
    else:
        votes, known = judged([0.9, 0.6, 0.6], [0.1, 0.4, 0.4])[0], KnownLabels.none()
    made = {
        method: scores_of(combine(votes, known, method=method, exclusive=exclusive).soft, votes)
        for method in ("weighted", "dawid-skene", "pool")
    }
    assert np.abs(made["weighted"] - made["dawid-skene"]).max() > 0.01
    np.testing.assert_allclose(made["pool"], (made["weighted"] + made["dawid-skene"]) / 2, atol=1e-12)
    if exclusive:
        assert (made["pool"][np.arange(20), truth[:20]] == 1).all()


def test_gold_chooses_and_is_left_out_for_that():
    """Every way is tried; the figures are of gold left out, and none is perfect."""
    votes, truth = chosen([0.9, 0.6, 0.6], documents=600)
    found = combine(votes, gold_of(range(100), truth[:100]), exclusive=True)
    names = [name for name, _ in found.tried]
    assert {"majority", "weighted", "dawid-skene", "pool"} <= set(names)
    assert min(score for _, score in found.tried) > 0.05
    assert found.method in names
    assert (scores_of(found.soft, votes)[:100].argmax(1) == truth[:100]).all()


def test_gold_calibrates_labels_of_which_there_may_be_several():
    """Three voters that say the same count three times, until gold tells."""
    votes, keys, truth = judged([0.7], [0.3], documents=800, share=1)
    rows = [
        (copy, d, label, s)
        for d, label, s in zip(votes.document, votes.label, votes.sign, strict=True)
        for copy in range(3)
    ]
    copies = ballots(rows, votes.documents, votes.labels)
    pairs = keys[truth]
    half = pairs[pairs // 20 < 400]
    known = KnownLabels(np.arange(400), half // 20, half % 20)
    raw, told = (combine(copies, gold, method="weighted") for gold in (None, known))
    rest = keys // 20 >= 400
    assert told.calibration is not None
    for each, close in ((raw, False), (told, True)):
        yes = scores_of(each.soft, copies).ravel()[keys[rest]]
        sure = yes > 0.5
        assert (abs(yes[sure].mean() - truth[rest][sure].mean()) < 0.06) == close


def test_what_does_not_fit_is_an_error():
    """No votes; a method that is none; gold of two labels where there is one."""
    votes, _ = chosen([0.9, 0.8])
    with pytest.raises(InputError, match="there are no votes"):
        combine(ballots([], documents=3, labels=2, voters=1))
    with pytest.raises(InputError, match="unknown method 'best'"):
        combine(votes, method="best")
    two = KnownLabels(np.array([0]), np.array([0, 0]), np.array([0, 1]))
    with pytest.raises(InputError, match="1 documents with gold have not exactly one label"):
        combine(votes, two, exclusive=True)
