"""Promises as they are written, and decisions as they are stored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from labelmill.errors import InputError
from labelmill.learning.promises import NOTHING, Decision, Promise, parse_promise

SHARES = st.floats(0.001, 0.999).map(lambda level: round(level, 6))
PROMISES = st.one_of(
    st.just(Promise()),
    st.builds(Promise, kind=st.sampled_from(["precision", "recall"]), level=SHARES),
    st.builds(Promise, kind=st.just("cost"), level=st.floats(0.001, 50).map(lambda level: round(level, 6))),
)
THRESHOLDS = st.floats(0, NOTHING)


@given(PROMISES)
def test_a_promise_is_read_as_it_is_written(promise):
    """Also with spaces around."""
    assert parse_promise(f" {promise} ") == promise


def test_promises_may_be_spaced():
    """As people write inequalities."""
    assert parse_promise("precision >= 0.9") == Promise(kind="precision", level=0.9)
    assert parse_promise("cost<=1.5") == Promise(kind="cost", level=1.5)
    assert parse_promise("f1") == Promise()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no promise"),
        ("f1>=0.5", "no promise"),
        ("accuracy>=0.9", "no promise"),
        ("precision", "no promise"),
        ("precision>0.9", "no promise"),
        ("precision>=90%", "no promise"),
        ("precision<=0.9", "limited by >="),
        ("cost>=1", "limited by <="),
        ("precision>=1", "level of 1 cannot be promised"),
        ("recall>=90", "level of 90 cannot be promised"),
        ("precision>=1.2.3", "level of 1.2.3 cannot"),
        ("cost<=0", "cost of 0 cannot be kept"),
        ("cost<=-1", "cost of -1 cannot be kept"),
        ("cost<=1e999", "cost of 1e999 cannot be kept"),
    ],
)
def test_what_is_no_promise_is_refused_with_the_four_forms(text, complaint):
    """The remedy shows what to write."""
    with pytest.raises(InputError, match=complaint) as error:
        parse_promise(text)
    assert "f1, precision>=0.9, recall>=0.8 or cost<=1.5" in str(error.value)


@given(THRESHOLDS, st.dictionaries(st.sampled_from("abc"), THRESHOLDS))
def test_a_decision_read_from_json_gives_the_same_thresholds(threshold, groups):
    """Each label's own where its group has one, in any order of labels."""
    decision = Decision(
        threshold=threshold,
        top_k=5,
        group_thresholds=groups,
        group_labels={group: (f"{group}1", f"{group}2") for group in groups},
    )
    labels = ["z", "c2", "a1", "b1", "a2"]
    found = Decision.model_validate_json(decision.model_dump_json()).thresholds(labels)
    assert np.array_equal(found, decision.thresholds(labels))
    assert found.tolist() == [groups.get(label[0], threshold) for label in labels]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"threshold": -0.1}, "greater than or equal to 0"),
        ({"threshold": "nan"}, "finite"),
        ({"top_k": 0}, "greater than or equal to 1"),
        ({"promise": "precision>=2"}, "no promise"),
        ({"group_thresholds": {"rare": 0.5}}, "'rare' has a threshold and no labels"),
        ({"group_thresholds": {"rare": 3}, "group_labels": {"rare": ["a"]}}, "less than or equal to 2"),
        (
            {"group_thresholds": {"a": 0.1, "b": 0.2}, "group_labels": {"a": ["x"], "b": ["x"]}},
            "'x' is in the groups 'a' and 'b'",
        ),
        ({"cut": 1}, "not permitted"),
    ],
)
def test_a_decision_edited_by_hand_is_checked(fields, complaint):
    """The message names the value."""
    with pytest.raises(ValidationError, match=complaint):
        Decision.model_validate({"threshold": 0.5, "top_k": 5} | fields)
