"""What a model's answers weigh: as much as they are right more often than not, and never less than nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from labelmill.learning.blend import COLUMNS, Blend, answer_columns, fit_blend

DOCUMENTS, EACH, SHOWN = 60, 12, 8


def draw(answer, seed=0):
    """Candidates with calibrated log-odds, and what a model says to each document.

    Args:
        answer: Takes which of the shown candidates are right, gives the keyword arguments of `answer_columns`.
        seed: Of the draw.
    """
    generator = np.random.default_rng(seed)
    rows, right = [], []
    for _ in range(DOCUMENTS):
        odds = np.sort(generator.normal(-1.5, 1.5, EACH))[::-1]
        correct = generator.random(EACH) < 1 / (1 + np.exp(-odds))
        said = answer(correct[:SHOWN], generator)
        rows.append(answer_columns(odds, SHOWN if said else 0, **said))
        right.append(correct)
    return np.concatenate(rows), np.concatenate(right)


def silent(_correct, _generator):
    return {}


def knowing(correct, _generator):
    return {"chosen": np.flatnonzero(correct).tolist()}


def guessing(correct, generator):
    return {"chosen": generator.permutation(len(correct))[:3].tolist()}


def wrong(correct, _generator):
    return {"chosen": np.flatnonzero(~correct).tolist()}


def likely(correct, generator):
    return {"probabilities": np.clip(np.where(correct, 0.8, 0.2) + generator.normal(0, 0.1, len(correct)), 0, 1)}


def unlikely(correct, _generator):
    return {"probabilities": np.where(correct, 0.1, 0.9)}


def test_columns_say_what_was_shown_chosen_and_judged():
    """In the order of `COLUMNS`: log-odds, shown, chosen, 1 / place, log-odds of yes."""
    odds = np.array([2.0, 1.0, 0.0, -1.0])
    np.testing.assert_array_equal(
        answer_columns(odds, 3, chosen=[2, 0]),
        [[2.0, 1, 1, 0.5, 0], [1.0, 1, 0, 0, 0], [0.0, 1, 1, 1.0, 0], [-1.0, 0, 0, 0, 0]],
    )
    judged = answer_columns(odds, 2, probabilities=[0.5, 0.9])
    np.testing.assert_allclose(judged[:, 4], [0, np.log(9), 0, 0], atol=1e-12)
    np.testing.assert_array_equal(judged[:, 1], [1, 1, 0, 0])
    assert answer_columns(np.empty(0), 0).shape == (0, len(COLUMNS))


def test_certain_answers_are_still_finite():
    """A model that is sure of a yes or a no moves a candidate by a finite amount."""
    found = answer_columns(np.zeros(2), 2, probabilities=[0.0, 1.0])[:, 4]
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(-found[1])


def test_without_answers_nothing_changes():
    """Calibrated log-odds stay what they are."""
    values, correct = draw(silent)
    blend = fit_blend(values, correct)
    np.testing.assert_array_equal(blend.weights[1:], [0, 0, 0, 0])
    np.testing.assert_allclose(blend.log_odds(values), values[:, 0], atol=0.4)
    np.testing.assert_array_equal(np.argsort(-blend.log_odds(values)), np.argsort(-values[:, 0]))


@pytest.mark.parametrize(("answer", "columns"), [(knowing, (2, 3)), (likely, (4,))])
def test_an_answer_that_is_right_gets_weight(answer, columns):
    """And makes unseen right candidates more probable."""
    blend = fit_blend(*draw(answer))
    assert sum(blend.weights[column] for column in columns) > 0.3
    fresh, correct = draw(answer, seed=1)
    loss = np.logaddexp(0, np.where(correct, -blend.log_odds(fresh), blend.log_odds(fresh))).mean()
    without = np.logaddexp(0, np.where(correct, -fresh[:, 0], fresh[:, 0])).mean()
    assert loss < 0.8 * without


@pytest.mark.parametrize("answer", [wrong, unlikely])
def test_an_answer_that_is_wrong_is_not_turned_round(answer):
    """What a model says for a candidate never counts against it."""
    blend = fit_blend(*draw(answer))
    np.testing.assert_allclose(blend.weights[2:], 0, atol=1e-6)


def test_a_guess_weighs_less_than_knowledge():
    """By far."""
    guessed, known = fit_blend(*draw(guessing)), fit_blend(*draw(knowing))
    assert sum(guessed.weights[2:]) < 0.3 * sum(known.weights[2:])


@given(st.integers(0, 10_000), st.sampled_from([silent, knowing, guessing, wrong, likely, unlikely]))
@settings(max_examples=12)
def test_no_weight_but_that_of_being_shown_is_negative(seed, answer):
    """So that a better rank or a yes can never lower a candidate."""
    weights = fit_blend(*draw(answer, seed)).weights
    assert min(weights[0], *weights[2:]) >= 0


def test_a_file_gives_the_same_to_the_last_bit():
    """Through JSON and back."""
    values, correct = draw(likely)
    blend = fit_blend(values, correct)
    again = Blend.model_validate_json(blend.model_dump_json())
    np.testing.assert_array_equal(again.log_odds(values), blend.log_odds(values))


def test_a_candidate_gets_the_same_in_any_company():
    """Bit for bit."""
    values, correct = draw(likely)
    blend = fit_blend(values, correct)
    assert [blend.log_odds(values[place : place + 1])[0] for place in range(40)] == blend.log_odds(values)[:40].tolist()


@pytest.mark.parametrize("weights", [[1.0] * 4, [1.0] * 6, [1.0, 0.0, float("nan"), 0.0, 0.0]])
def test_weights_that_do_not_fit_are_refused(weights):
    """One for each column, and finite."""
    with pytest.raises(ValidationError):
        Blend.model_validate({"intercept": 0.0, "weights": weights})
