"""Learned fusion: what a file says is what was fitted, whatever stands beside a candidate, and nothing inconsistent."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from labelmill.errors import GoldError
from labelmill.learning.folds import draw_parts
from labelmill.learning.fusing import Examples, cross_fit, fit_fusion, fit_quickly, fit_trees, log_loss
from labelmill.learning.fusion import LearnedFusion, Linear, Trees, probabilities

COLUMNS = ("near", "rare", "noise")


def draw(documents=40, seed=0, per_document=12):
    """Candidates that are right where the first two columns are both large: a line sees some of it, trees more."""
    generator = np.random.default_rng(seed)
    values = np.round(generator.normal(size=(documents * per_document, len(COLUMNS))), 3)
    odds = 3 * ((values[:, 0] > 0.3) & (values[:, 1] > 0)) + values[:, 0] - 2
    correct = generator.random(len(values)) < 1 / (1 + np.exp(-odds))
    groups = np.repeat(np.arange(documents), per_document)
    return Examples(COLUMNS, values, correct, groups, draw_parts(groups))


def in_five_parts(documents=40, each=10):
    """Candidates that are right or wrong by the part of their document, which the columns tell, and nothing else."""
    groups = np.repeat(np.arange(documents), each)
    parts = groups % 5
    return Examples(tuple("abcde"), np.eye(5)[parts], parts < 2, groups, parts)


@pytest.fixture(scope="module")
def fit():
    """A fusion of `draw()`."""
    return fit_fusion(draw())


@pytest.fixture(scope="module")
def both():
    """A regression and trees together."""
    return fit_quickly(draw())


def reloaded(fusion):
    return LearnedFusion.model_validate(json.loads(json.dumps(fusion.model_dump(mode="json"))))


def edited(fusion, part, **changed):
    values = fusion.model_dump(mode="json")
    values[part] = values[part] | changed
    return values


def test_written_trees_say_what_scikit_learn_says():
    """On candidates that they were fitted to and on fresh ones, those on a threshold included."""
    examples, fresh = draw(), draw(seed=1).values
    settings_ = {"learning_rate": 0.05, "max_iter": 40, "max_leaf_nodes": 8, "min_samples_leaf": 30}
    model = HistGradientBoostingClassifier(**settings_, l2_regularization=10.0, random_state=0)
    model.fit(examples.values, examples.correct)
    trees = fit_trees(examples, max_iter=40)
    on_thresholds = fresh.copy()
    inner = np.array(trees.trees.columns) >= 0
    for column, threshold in zip(
        np.array(trees.trees.columns)[inner][:200], np.array(trees.trees.values)[inner], strict=False
    ):
        on_thresholds[int(column) % len(fresh), column] = threshold
    for values in (examples.values, fresh, on_thresholds):
        np.testing.assert_allclose(trees.log_odds(values), model.decision_function(values), atol=1e-5)


def test_the_regression_says_what_scikit_learn_says():
    """On standardised columns, with the strength that was chosen; a constant column weighs nothing and breaks nothing."""
    whole = draw()
    values = np.c_[whole.values, np.full(len(whole.values), 7.0)]
    examples = replace(whole, columns=(*COLUMNS, "same"), values=values)
    linear = fit_quickly(examples).linear
    means, scales = examples.values.mean(axis=0), examples.values.std(axis=0)
    scales[-1] = 1
    model = LogisticRegression(C=0.01, solver="newton-cholesky", tol=1e-8)
    model.fit((examples.values - means) / scales, examples.correct)
    expected = model.decision_function((examples.values - means) / scales)
    np.testing.assert_allclose(linear.log_odds(examples.values), expected, atol=1e-3)
    assert linear.weights[-1] == 0
    assert linear.scales[-1] == 1


def test_both_are_averaged_in_log_odds(both):
    """Neither has more of a say."""
    values = draw(seed=2).values
    expected = (both.linear.log_odds(values) + both.trees.log_odds(values)) / 2
    np.testing.assert_array_equal(both.log_odds(values), expected)


@given(arrays(np.float64, (5, len(COLUMNS)), elements=st.floats(-1e6, 1e6)))
@settings(max_examples=50)
def test_a_file_gives_the_same_to_the_last_bit(both, values):
    """Through JSON and back."""
    assert reloaded(both) == both
    np.testing.assert_array_equal(reloaded(both).log_odds(values), both.log_odds(values))


def test_two_that_were_used_can_be_compared(fit, both):
    """Equal just where their numbers are."""
    values = draw(documents=2).values
    other = fit_quickly(draw(seed=1))
    for fusion in (both, other):
        fusion.log_odds(values)
    assert both != other
    assert both == reloaded(both)


@given(st.integers(1, 60), st.integers(0, 59))
@settings(max_examples=50)
def test_a_candidate_gets_the_same_in_any_company(both, company, place):
    """Bit for bit, alone, among few, or among all."""
    values = draw(seed=3, documents=5).values
    alone = both.log_odds(values[place : place + 1])[0]
    start = max(0, place - company)
    assert both.log_odds(values[start : place + company])[place - start] == alone
    assert both.log_odds(values)[place] == alone


def test_what_is_chosen_is_the_least_loss_on_unseen_documents(fit):
    """Of all kinds that were tried, and the log-odds are those of it."""
    assert set(fit.log_losses) == {"linear C=0.003", "linear C=0.01", "linear C=0.03", "trees", "both"}
    assert fit.log_losses[fit.kind] == min(fit.log_losses.values())
    assert log_loss(fit.log_odds, draw().correct) == fit.log_losses[fit.kind]
    has = {"trees": (False, True), "both": (True, True)}.get(fit.kind, (True, False))
    assert (fit.fusion.linear is not None, fit.fusion.trees is not None) == has


def test_it_is_learned_from_what_there_is_to_learn(fit):
    """Fresh documents' right candidates become far more probable than by their frequency."""
    fresh = draw(seed=4)
    share = fresh.correct.mean()
    by_frequency = log_loss(np.full(len(fresh.correct), np.log(share / (1 - share))), fresh.correct)
    assert log_loss(fit.fusion.log_odds(fresh.values), fresh.correct) < 0.9 * by_frequency


def test_the_same_seed_gives_the_same_fusion(fit):
    """To the last bit, cross-fitted log-odds included."""
    again = fit_fusion(draw())
    assert again.fusion.model_dump_json() == fit.fusion.model_dump_json()
    np.testing.assert_array_equal(again.log_odds, fit.log_odds)


def test_a_documents_own_labels_do_not_come_back_in_its_log_odds():
    """A column that names the document gives its labels away to whoever was fitted on it, and to nobody else."""
    generator = np.random.default_rng(0)
    documents, each = 40, 30
    groups = np.repeat(np.arange(documents), each)
    # All candidates of a document are right or none is: only a peek could know which.
    correct = np.repeat(generator.permutation(documents) % 2 == 0, each)
    identity = np.repeat(generator.normal(size=(documents, 4)), each, axis=0)
    examples = Examples(("a", "b", "c", "d"), identity, correct, groups, draw_parts(groups))

    def peeking(seen):
        return fit_trees(seen, max_iter=60)

    assert log_loss(peeking(examples).log_odds(identity), correct) < 0.45
    assert log_loss(cross_fit(examples, peeking), correct) > 0.6


def test_documents_of_one_part_are_left_out_together():
    """What a column tells of one part alone is of no use to it, as it would be if documents were dealt anew."""
    examples = in_five_parts()
    seen = []

    def watching(some):
        seen.append(set(some.parts.tolist()))
        return fit_trees(some, max_iter=60)

    assert log_loss(fit_trees(examples, max_iter=60).log_odds(examples.values), examples.correct) < 0.1
    assert log_loss(cross_fit(examples, watching), examples.correct) > 0.6
    assert seen == [set(range(5)) - {part} for part in range(5)]
    assert min(fit_fusion(examples).log_losses.values()) > 0.6


def test_parts_without_candidates_are_no_trouble():
    """Of few documents all may be of two parts."""
    examples = draw(documents=10)
    two = replace(examples, parts=np.where(examples.groups < 5, 1, 4))
    assert np.isfinite(cross_fit(two, fit_quickly)).all()


def test_shuffled_labels_teach_nothing():
    """With labels at random, what is learned is no better on unseen documents than their frequency."""
    examples = draw()
    shuffled = replace(examples, correct=np.random.default_rng(0).permutation(examples.correct))
    share = shuffled.correct.mean()
    chance = log_loss(np.full(len(examples.correct), np.log(share / (1 - share))), shuffled.correct)
    for loss in fit_fusion(shuffled).log_losses.values():
        assert loss > chance - 0.01


@given(st.lists(st.integers(1, 6), min_size=2, max_size=30), st.integers(2, 7), st.integers(0, 9))
def test_documents_are_dealt_as_a_whole(sizes, folds, seed):
    """Into parts of about equal size, none empty, the same for the same seed."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    part = draw_parts(groups, folds, seed)
    of_document = [set(part[groups == group].tolist()) for group in range(len(sizes))]
    assert all(len(each) == 1 for each in of_document)
    counts = np.bincount([each.pop() for each in of_document])
    assert len(counts) == min(folds, len(sizes))
    assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(part, draw_parts(groups, folds, seed))


def test_what_has_one_number_is_dealt_together():
    """As documents that begin alike have; the order of the numbers says nothing."""
    part = draw_parts(np.array([7, 3, 7, 1, 3, 7]), 2, 0)
    assert part[0] == part[2] == part[5]
    assert part[1] == part[4]


def test_documents_may_have_gaps_in_their_numbers():
    """One whose pool is empty has no candidates, and the others are dealt without it."""
    examples = draw(documents=10)
    gaps = replace(examples, groups=examples.groups * 3, parts=draw_parts(examples.groups * 3))
    np.testing.assert_array_equal(cross_fit(gaps, fit_quickly), cross_fit(examples, fit_quickly))


@pytest.mark.parametrize("right", ["none", "all", "one document's"])
def test_too_little_to_learn_from_is_said(right):
    """In one line, with what to do."""
    examples = draw(documents=8)
    correct = {
        "none": np.zeros(len(examples.correct), dtype=bool),
        "all": np.ones(len(examples.correct), dtype=bool),
        "one document's": examples.groups == 3,
    }[right]
    with pytest.raises(GoldError, match=r"too little to learn from\. Give some tens") as caught:
        fit_fusion(replace(examples, correct=correct))
    assert "\n" not in str(caught.value)


def test_one_document_is_too_little():
    """There is none to leave out."""
    with pytest.raises(GoldError, match="of 1 gold documents"):
        fit_fusion(draw(documents=1))


def test_the_matrix_must_have_the_columns(both):
    """What was learned of three columns says nothing of two."""
    with pytest.raises(ValueError, match="3 columns, not 2"):
        both.log_odds(np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": [1.0, 2.0]}, "2 weights, 3 means and 3 scales"),
        ({"means": [0.0]}, "3 weights, 1 means"),
        ({"scales": [1.0, 0.0, 1.0]}, "greater than or equal to"),
        ({"scales": [1.0, -1.0, 1.0]}, "greater than or equal to"),
        ({"weights": [1.0, float("nan"), 0.0]}, "finite"),
        ({"intercept": float("inf")}, "finite"),
        ({"weight": 3}, "Extra inputs"),
    ],
)
def test_a_regression_that_does_not_hold_together_is_refused(both, changed, message):
    """Whatever a hand changed in it."""
    with pytest.raises(ValidationError, match=message):
        LearnedFusion.model_validate(edited(both, "linear", **changed))


TREE = {"baseline": 0.0, "roots": [0, 3], "columns": [0, -1, -1, 1, -1, -1], "left": [2, 0, 0, 5, 0, 0]}
TREE["values"] = [0.5, 1.0, -1.0, 0.5, 2.0, -2.0]


def test_a_small_tree_is_read_as_it_is_written():
    """At most the threshold goes left; otherwise on to the next node; leaves add up to the baseline."""
    trees = Trees.model_validate(TREE | {"baseline": 10.0})
    values = np.array([[0.5, 0.5], [0.6, 0.5], [0.5, 0.6], [0.6, 0.6]])
    np.testing.assert_array_equal(trees.log_odds(values), [7.0, 9.0, 11.0, 13.0])


def test_no_trees_give_the_baseline():
    """Whatever the candidates."""
    trees = Trees(baseline=-1.5, roots=(), columns=(), values=(), left=())
    np.testing.assert_array_equal(trees.log_odds(np.zeros((3, 1))), [-1.5] * 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"left": [3, 0, 0, 5, 0, 0]}, "node 0 leads out of its tree, to 3"),
        ({"left": [0, 0, 0, 5, 0, 0]}, "node 0 leads out of its tree, to 0"),
        ({"left": [1, 0, 0, 5, 0, 0]}, "node 0 leads out"),
        ({"left": [-1, 0, 0, 5, 0, 0]}, "node 0 leads out"),
        ({"left": [2, 0, 0, 900, 0, 0]}, "node 3 leads out"),
        ({"left": [2, 0, 0, 5, 0]}, "6 columns, 6 values and 5 left nodes"),
        ({"columns": [0, -1, 1, 1, -1, -1]}, "the tree at node 0 does not end with a leaf"),
        ({"columns": [0, -1, -1, 1, -1, 0]}, "the tree at node 3 does not end with a leaf"),
        ({"roots": [0, 6]}, "node 6"),
        ({"roots": [0, 900]}, "node"),
        ({"roots": [1, 3]}, "roots must rise, from 0"),
        ({"roots": [0, 3, 3]}, "roots must rise"),
        ({"roots": [3, 0]}, "roots must rise"),
        ({"values": [0.5, 1.0, -1.0, 0.5, float("inf"), -2.0]}, "finite"),
    ],
)
def test_trees_that_leave_their_tree_are_refused(changed, message):
    """Before anything walks on them: no walk is endless."""
    with pytest.raises(ValidationError, match=message):
        Trees.model_validate(TREE | changed)


@given(st.data())
@settings(max_examples=200)
def test_whatever_is_accepted_can_be_walked(data):
    """Any lists of numbers are refused, or give every candidate a finite number."""
    size = data.draw(st.integers(0, 7))
    some = st.integers(-2, 8)
    lists = {name: data.draw(st.lists(some, min_size=size, max_size=size)) for name in ("columns", "left", "values")}
    roots = sorted(data.draw(st.sets(st.integers(0, 6), max_size=3)))
    try:
        fusion = LearnedFusion.model_validate(
            {"columns": ["a", "b", "c"], "trees": lists | {"baseline": 0.0, "roots": roots}}
        )
    except ValidationError:
        return
    assert np.isfinite(fusion.log_odds(np.array([[0.0, 1.0, 2.0], [9.0, -9.0, 3.0]]))).all()


def test_weights_and_columns_are_as_many(both):
    """A column that was added or taken away by hand is noticed, in the regression and in the trees."""
    values = both.model_dump(mode="json")
    with pytest.raises(ValidationError, match="2 columns and 3 weights"):
        LearnedFusion.model_validate(values | {"columns": ["near", "rare"]})
    with pytest.raises(ValidationError, match="the trees look at column 2 of 2"):
        LearnedFusion.model_validate({"columns": ["near", "rare"], "trees": TREE | {"columns": [0, -1, -1, 2, -1, -1]}})
    with pytest.raises(ValidationError, match="needs a linear part, or trees"):
        LearnedFusion.model_validate({"columns": ["near"]})


def test_probabilities_stay_in_their_range():
    """However large the log-odds, without a warning."""
    found = probabilities(np.array([-1e9, -1.0, 0.0, 1.0, 1e9]))
    assert found[2] == 0.5
    assert found[1] + found[3] == pytest.approx(1)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_regression_standardises():
    """(value - mean) / scale, weighed and summed, and the intercept."""
    linear = Linear(intercept=0.5, weights=(2.0, -1.0), means=(1.0, 0.0), scales=(2.0, 4.0))
    np.testing.assert_array_equal(linear.log_odds(np.array([[3.0, 8.0], [1.0, 0.0]])), [0.5, 0.5])
