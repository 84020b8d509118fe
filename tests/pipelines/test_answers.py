"""What is taken from a model's answers: phrases that a store can hold, numbers that name a candidate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from labelmill.pipelines.infer import Infer, clean_phrases
from labelmill.pipelines.rank import Rank, clean_numbers
from labelmill.prompts.card import TaskCard


@given(numbers=st.lists(st.integers(-5, 30)), candidates=st.integers(1, 20))
def test_only_numbers_of_candidates_are_taken(numbers, candidates):
    """Each once, in the order of the answer, counted from 0; even if a server does not hold to the schema."""
    taken = clean_numbers(numbers, candidates)
    assert taken == [number - 1 for number in dict.fromkeys(numbers) if number in range(1, candidates + 1)]


@given(phrases=st.lists(st.text(st.characters() | st.sampled_from(" \n\0\ud800"))))
def test_phrases_are_short_distinct_and_storable(phrases):
    """Forty at most, of 200 characters at most, in one line of valid Unicode."""
    taken = clean_phrases(phrases)
    assert len(taken) <= 40
    assert len({phrase.casefold() for phrase in taken}) == len(taken)
    for phrase in taken:
        assert phrase
        assert len(phrase) <= 200
        assert "\0" not in phrase
        assert len(phrase.splitlines()) == 1
        assert phrase.encode()


def test_the_first_of_phrases_that_differ_in_case_is_kept():
    """In the model's order."""
    assert clean_phrases(["Rye bread", " rye\nBREAD ", "", "ale"]) == ["Rye bread", "ale"]


def test_a_phrase_that_was_cut_is_left_out():
    """Unless it is all there is."""
    infer = Infer(TaskCard())
    assert infer.read('{"phrases": ["rye bread", "dark be', truncated=True) == ["rye bread"]
    assert infer.read('{"phrases": ["rye bre', truncated=True) == ["rye bre"]
    assert infer.read('{"phrases": ["rye bread", "ale"]}', truncated=False) == ["rye bread", "ale"]


def test_a_number_that_was_cut_is_left_out():
    """It may have lost a digit: 1 for 12."""
    names = [f"label {number}" for number in range(20)]
    rank = Rank(TaskCard(), 20)
    assert rank.read('{"chosen": [3, 1', names, truncated=True) == [2]
    assert rank.read('{"chosen": [3, 1]}', names, truncated=False) == [2, 0]
