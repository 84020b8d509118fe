"""Votes as arrays: what is refused, and which levels of rank and confidence are told apart."""

from __future__ import annotations

import pytest
from elections import ballots

from labelmill.errors import InputError


def test_for_and_against_are_different_letters():
    """Against below 4, for from 4 on."""
    assert ballots([(0, 0, 0, 1), (0, 1, 0, -1)]).letters.tolist() == [4, 0]


def test_ranks_have_four_levels():
    """The first, the next two, up to the tenth, and the rest."""
    votes = ballots([(0, 0, rank - 1, 1, 1.0, rank) for rank in (1, 2, 3, 4, 10, 11)], labels=20)
    assert (votes.letters - 4).tolist() == [0, 1, 1, 2, 2, 3]


def test_confidence_is_cut_into_thirds_for_each_voter():
    """The most confident third is level 0; a voter that is always as sure has one level."""
    rows = [(0, number, 0, 1, (number + 1) / 90) for number in range(90)]
    votes = ballots(rows + [(1, number, 0, 1, 0.5) for number in range(90)])
    own, other = votes.letters[votes.voter == 0] - 4, votes.letters[votes.voter == 1] - 4
    assert own[[0, 45, 89]].tolist() == [2, 1, 0]
    assert len(set(other.tolist())) == 1


@pytest.mark.parametrize("sure", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_two_values_of_confidence_are_two_levels(sure):
    """However many votes have the higher one, as of a function that says 0.5 where it is not certain."""
    letters = ballots([(0, number, 0, 1, 1.0 if number < 100 * sure else 0.5) for number in range(100)]).letters
    assert len(set(letters.tolist())) == 2
    assert letters[0] < letters[-1]


def test_numbers_out_of_range_are_refused():
    """A label that is not there would be a label of another document."""
    with pytest.raises(InputError, match="the number of a label is not from 0 to 1"):
        ballots([(0, 0, 2, 1)], labels=2)
