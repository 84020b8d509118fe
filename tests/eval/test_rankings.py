from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.eval import Gold, Rankings

rows = st.lists(st.lists(st.integers(-1, 6), max_size=8), max_size=6)


def test_a_repeated_label_keeps_its_first_place_and_the_rest_moves_up():
    rankings = Rankings.from_lists([[4, 2, 4, 4, 7], [1, 1, 1, 1, 1]], [[True, False, False, False, True], [False] * 5])
    assert rankings.labels.tolist() == [[4, 2, 7, -1, -1], [1, -1, -1, -1, -1]]
    assert rankings.selected.tolist() == [[True, False, True, False, False], [False] * 5]


def test_a_label_is_in_the_final_set_where_any_of_its_repetitions_was():
    rankings = Rankings.from_lists([[4, 2, 4]], [[False, False, True]])
    assert rankings.labels.tolist() == [[4, 2, -1]]
    assert rankings.selected.tolist() == [[True, False, False]]


def test_padding_between_labels_is_moved_behind_them():
    rankings = Rankings(np.array([[-1, 5, -1, 3]]), np.array([[True, True, True, False]]))
    assert rankings.labels.tolist() == [[5, 3, -1, -1]]
    assert rankings.selected.tolist() == [[True, False, False, False]], "padding is never selected"


@settings(deadline=None)
@given(rows)
def test_rankings_agree_with_a_dictionary_of_first_places(labels):
    """Repetitions and padding go as in an ordered dictionary, whatever the rows."""
    rankings = Rankings.from_lists(labels, [[label % 2 == 0 for label in row] for row in labels])
    for row, kept, chosen in zip(labels, rankings.labels.tolist(), rankings.selected.tolist(), strict=True):
        expected = list(dict.fromkeys(label for label in row if label != -1))
        assert kept == expected + [-1] * (len(kept) - len(expected))
        assert [label for label, flag in zip(kept, chosen, strict=True) if flag] == [x for x in expected if x % 2 == 0]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-4, 6).filter(lambda label: label != -1), max_size=8), max_size=6))
def test_gold_counts_a_label_once_per_document(labels):
    gold = Gold.from_lists(labels)
    assert [gold.labels[a:b].tolist() for a, b in zip(gold.indptr, gold.indptr[1:], strict=False)] == [
        sorted(set(row)) for row in labels
    ]
    assert gold.sizes.tolist() == [len(set(row)) for row in labels]
    assert len(gold) == len(labels)


def test_taking_documents_keeps_their_order():
    mask = np.array([True, False, True])
    assert Gold.from_lists([[1], [2, 3], [4, 5]]).take(mask).labels.tolist() == [1, 4, 5]
    taken = Rankings.from_lists([[1], [2], [3]], [[True], [True], [False]]).take(mask)
    assert (taken.labels.tolist(), taken.selected.tolist()) == ([[1], [3]], [[True], [False]])


def test_a_prediction_below_the_padding_is_refused_because_it_could_match_an_unresolved_gold_label():
    with pytest.raises(ValueError, match="not -2"):
        Rankings(np.array([[-2]]), np.array([[False]]))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2\) != \(1, 1\)"):
        Rankings(np.array([[1, 2]]), np.array([[True]]))
    with pytest.raises(ValueError, match="from 0 to the number of labels, 2"):
        Gold(np.array([0, 1]), np.array([1, 2]))
    with pytest.raises(ValueError, match="not decrease"):
        Gold(np.array([0, 2, 1, 2]), np.array([1, 2]))
    with pytest.raises(ValueError, match="padding"):
        Gold(np.array([0, 1]), np.array([-1]))
