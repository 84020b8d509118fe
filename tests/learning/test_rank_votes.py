"""Rankings combined by reciprocal ranks."""

from __future__ import annotations

import pytest
from elections import ballots, scores_of

from labelmill.learning.rank_votes import fuse_ranks


def test_first_of_all_is_one_and_places_add_up():
    """A label that both rank second is above one that one of them ranks first and the other not at all."""
    rows = [(0, 0, 0, 1, 1.0, 1), (0, 0, 1, 1, 1.0, 2), (1, 0, 2, 1, 1.0, 1), (1, 0, 1, -1, 1.0, 2)]
    rows += [(voter, 1, 0, 1, 1.0, 1) for voter in (0, 1)]
    votes = ballots(rows)
    table = scores_of(fuse_ranks(votes), votes)
    assert table[1, 0] == pytest.approx(1)
    assert table[0, 1] == pytest.approx(61 / 62)
    assert table[0, 0] == table[0, 2] == pytest.approx(0.5)


def test_votes_without_rank_share_the_first_places():
    """Two of them have the mean rank of 1 and 2; a vote against without a rank is none."""
    votes = ballots([(0, 0, 0, 1), (0, 0, 1, 1), (0, 0, 2, -1)])
    assert scores_of(fuse_ranks(votes), votes)[0] == pytest.approx([61 / 61.5, 61 / 61.5, 0])
