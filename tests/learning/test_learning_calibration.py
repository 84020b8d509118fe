"""Calibrations: they never reorder, survive JSON, and are chosen and fitted so that fresh documents are calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from labelmill.errors import InputError
from labelmill.eval.calibration import expected_calibration_error
from labelmill.learning.calibrating import fit_calibration, log_losses
from labelmill.learning.calibration import LEAST, Calibration
from labelmill.learning.folds import draw_parts

CANDIDATES = 20

INSIDE = st.floats(1e-5, 1 - 1e-5)
SLOPES = st.floats(0.1, 10)
KNOTS = st.lists(INSIDE, min_size=2, max_size=12, unique=True).map(sorted)


@st.composite
def calibrations(draw):
    kind = draw(st.sampled_from(["none", "platt", "beta", "isotonic"]))
    if kind == "none":
        return Calibration()
    if kind == "isotonic":
        scores, probabilities = draw(KNOTS), draw(KNOTS)
        return Calibration(kind=kind, knots=tuple(zip(scores, probabilities, strict=False)))
    slope = draw(SLOPES)
    upper = slope if kind == "platt" else draw(SLOPES)
    return Calibration(kind=kind, slope=slope, upper_slope=upper, intercept=draw(st.floats(-5, 5)))


def corpus(documents, seed=0):
    """Candidates of documents of differing difficulty: their true probability, answer and document."""
    generator = np.random.default_rng(seed)
    values = 1 - 1.5 * np.log(np.arange(1, CANDIDATES + 1)) + generator.normal(0, 1, (documents, 1))
    truth = 1 / (1 + np.exp(-(values + generator.normal(0, 1, values.shape)).ravel()))
    return truth, generator.random(len(truth)) < truth, np.repeat(np.arange(documents), CANDIDATES)


@given(calibrations(), st.lists(st.floats(0, 1), min_size=1))
def test_a_calibration_never_reorders_and_stays_inside(calibration, scores):
    """Of two scores the higher never gets the lower probability, and none is certain."""
    found = calibration.apply(np.sort(np.array(scores)))
    assert (np.diff(found) >= 0).all()
    assert ((found >= LEAST) & (found <= 1 - LEAST)).all()


@given(calibrations(), st.floats(0.02, 0.97))
def test_scores_well_apart_keep_apart(calibration, score):
    """No flat stretch ties two labels, but where both probabilities are at an end of the range."""
    low, high = calibration.apply(np.array([score, score + 0.01]))
    assert low < high or low in {LEAST, 1 - LEAST}


@given(calibrations(), st.lists(st.floats(0, 1), min_size=1))
def test_a_calibration_read_from_json_gives_the_same_bits(calibration, scores):
    """What a program file holds is the whole of it."""
    again = Calibration.model_validate_json(calibration.model_dump_json())
    assert again == calibration
    assert np.array_equal(again.apply(np.array(scores)), calibration.apply(np.array(scores)))


def test_the_knots_of_an_isotonic_calibration_are_met():
    """At a knot the probability is the knot's; between two it lies between; beyond, log-odds go on with slope 1."""
    calibration = Calibration(kind="isotonic", knots=((0.2, 0.1), (0.5, 0.6)))
    found = calibration.apply(np.array([0.2, 0.5, 0.3, 0.8]))
    assert found[:2] == pytest.approx([0.1, 0.6])
    assert 0.1 < found[2] < 0.6
    assert found[3] == pytest.approx(6 / 7)  # odds of 1.5, times the 4 of 0.8 over 0.5


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"kind": "isotonic", "knots": [[0.5, 0.1], [0.2, 0.3]]}, r"knots must rise.*\(0.5, 0.1\)"),
        ({"kind": "isotonic", "knots": [[0.2, 0.3], [0.5, 0.3]]}, "knots must rise"),
        ({"kind": "isotonic", "knots": [[0.2, 1.0]]}, "less than 1"),
        ({"kind": "isotonic"}, "lacks knots"),
        ({"kind": "platt", "knots": [[0.2, 0.3]]}, "has no knots"),
        ({"kind": "platt", "slope": 2.0}, "platt has one slope"),
        ({"kind": "platt", "slope": -1.0, "upper_slope": -1.0}, "greater than 0"),
        ({"kind": "platt", "intercept": "nan"}, "finite"),
        ({"kind": "none", "intercept": 1.0}, "no intercept"),
        ({"kind": "sigmoid"}, "'none', 'platt'"),
        ({"offset": 1.0}, "not permitted"),
    ],
)
def test_a_calibration_edited_by_hand_is_checked(fields, complaint):
    """The message says which number is wrong."""
    with pytest.raises(ValidationError, match=complaint):
        Calibration.model_validate(fields)


def beta_scores(truth):
    return Calibration(kind="beta", slope=0.4, upper_slope=2.5, intercept=1.0).apply(truth)


@pytest.mark.parametrize(
    ("distort", "chosen"),
    [
        (lambda truth: truth, {"none"}),
        (lambda truth: truth**2 / (truth**2 + (1 - truth) ** 2), {"platt"}),
        (lambda truth: truth / (truth + 0.05 * (1 - truth)), {"platt"}),
        (beta_scores, {"beta"}),
        (lambda truth: np.where(truth < 0.4, truth / 8, 0.9 + truth / 10), {"isotonic"}),
    ],
)
def test_the_simplest_kind_that_undoes_a_distortion_is_chosen(distort, chosen):
    """Few documents suffice, and fresh ones come out calibrated."""
    truth, correct, documents = corpus(300)
    fit = fit_calibration(distort(truth), correct, documents, draw_parts(documents))
    assert fit.calibration.kind in chosen
    fresh, answers, _ = corpus(3000, seed=1)
    probabilities = fit.calibration.apply(distort(fresh))
    assert expected_calibration_error(probabilities, answers) < 0.02
    assert np.abs(probabilities - fresh).mean() < 0.03


def test_the_figures_are_of_documents_left_out():
    """Scores that say nothing come out at the rate of right candidates, and the figures say so."""
    generator = np.random.default_rng(3)
    scores, documents = generator.random(2000), np.repeat(np.arange(100), 20)
    correct = generator.random(2000) < 0.1
    fit = fit_calibration(scores, correct, documents, draw_parts(documents))
    entropy = log_losses(np.full(2000, correct.mean()), correct).mean()
    assert fit.log_losses[fit.calibration.kind] == pytest.approx(entropy, abs=0.01)
    assert fit.log_losses["none"] > 0.9
    assert log_losses(fit.probabilities, correct).mean() == pytest.approx(fit.log_losses[fit.calibration.kind])


@settings(max_examples=25)
@given(st.integers(2, 6), st.integers(0, 5), st.integers(0, 2**12))
def test_tiny_gold_brings_finite_probabilities(documents, seed, pattern):
    """Also separable and one-sided folds, and scores of exactly 0 and 1, are fitted."""
    correct = np.array([(pattern >> place) & 1 for place in range(2 * documents)], dtype=np.bool_)
    correct[:2] = True, False
    scores = np.where(correct, 1.0, np.random.default_rng(seed).integers(0, 3, len(correct)) / 2)
    for kind in ("platt", "beta", "isotonic"):
        groups = np.repeat(np.arange(documents), 2)
        fit = fit_calibration(scores, correct, groups, draw_parts(groups, seed=seed), kinds=(kind,))
        assert ((fit.probabilities >= LEAST) & (fit.probabilities <= 1 - LEAST)).all()
        assert (fit.calibration.apply(np.linspace(0, 1, 9)) > 0).all()


@pytest.mark.parametrize(
    ("scores", "correct", "documents", "complaint"),
    [
        ([0.1, 2.0], [True, False], [0, 1], "score 2.0 is not from 0 to 1"),
        ([0.1, 0.2], [True, True], [0, 1], "2 of 2 candidates are gold"),
        ([0.1, 0.2], [True, False], [0, 0], "1 documents in one part"),
        ([0.1, 0.2], [True, False], [0], "differ"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(scores, correct, documents, complaint):
    """The message names the value, and the remedy follows."""
    with pytest.raises(InputError, match=complaint):
        fit_calibration(np.array(scores), np.array(correct), np.array(documents), draw_parts(np.array(documents)))


def test_parts_are_left_out_as_they_are_given():
    """That the middle one of five scores is right is learned from the part that has it, which then tells itself nothing."""
    documents = np.repeat(np.arange(100), 10)
    parts = documents % 5
    given, drawn = (
        fit_calibration(0.46 + 0.02 * parts, parts >= 2, documents, each) for each in (parts, draw_parts(documents))
    )
    assert min(given.log_losses.values()) > 5 * min(drawn.log_losses.values())
