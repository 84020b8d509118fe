"""Labels of the nearest labelled documents, and how frequent labels are among them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.retrievers.neighbours import Neighbours
from toy_embedder import HashedGrams

LOAVES = [["rye bread, dark and dense"], ["a rye loaf", "dark crumb"], ["white baguette"], ["butter brioche"]]
LABELS = [[4, 9], [4], [2], [2, 7, 7]]


def neighbours(texts=LOAVES, labels=LABELS, **options) -> Neighbours:
    return Neighbours(HashedGrams(), texts, labels, **options)


def rows(hits) -> list:
    return list(zip(hits.labels.tolist(), hits.scores.tolist(), hits.queries.tolist(), strict=True))


def test_scores_are_shares_of_the_votes():
    """As worked out from the cosines: a vote is a cosine's power, and a label gets those of its examples."""
    embedder = HashedGrams()
    query = embedder.embed(["dark rye"])[0]
    chunks = [embedder.embed(text).sum(axis=0) for text in LOAVES]
    votes = [float(query @ (one / np.linalg.norm(one))) ** 3 for one in chunks]
    (hits,) = neighbours(power=3).retrieve([["dark rye"]], 10)
    expected = {4: votes[0] + votes[1], 9: votes[0], 2: votes[2] + votes[3], 7: votes[3]}
    assert set(hits.labels.tolist()) == set(expected)
    for label, score, query_number in rows(hits):
        assert score == pytest.approx(expected[label] / sum(votes), rel=1e-4)
        assert query_number == 0


def test_only_the_nearest_vote():
    """With one, the labels of that one get everything, in the taxonomy's order."""
    (hits,) = neighbours(nearest=1).retrieve([["dense rye bread"]], 10)
    assert rows(hits) == [(4, 1.0, 0), (9, 1.0, 0)]


def test_hits_are_of_the_promised_form():
    """Types, best first with ties by position, and at most k."""
    (hits,) = neighbours().retrieve([["a loaf"]], 3)
    assert (hits.labels.dtype, hits.scores.dtype, hits.queries.dtype) == (np.int32, np.float32, np.int32)
    keys = [(-score, label) for label, score, _ in rows(hits)]
    assert keys == sorted(keys)
    assert len(keys) == 3
    (longer,) = neighbours().retrieve([["a loaf"]], 10)
    assert rows(longer)[:3] == rows(hits)


def test_a_documents_own_example_is_left_out():
    """Exactly as if there were no such example; the others of the batch keep theirs."""
    found = neighbours().retrieve(LOAVES, 10, without=[(0,), (1,), (), (3,)])
    for place in (0, 1, 3):
        fewer = neighbours(LOAVES[:place] + LOAVES[place + 1 :], LABELS[:place] + LABELS[place + 1 :])
        assert found[place].labels.tolist() == fewer.retrieve([LOAVES[place]], 10)[0].labels.tolist()
        np.testing.assert_allclose(found[place].scores, fewer.retrieve([LOAVES[place]], 10)[0].scores, rtol=1e-5)
        labels = np.arange(12, dtype=np.int32)
        np.testing.assert_array_equal(neighbours().log_shares(labels, without=(place,)), fewer.log_shares(labels))
    assert rows(found[2]) == rows(neighbours().retrieve([LOAVES[2]], 10)[0])


def test_neighbours_in_the_batch_change_nothing():
    """To the last bit."""
    finder = neighbours()
    queries = [["dark rye"], [], ["baguette", "brioche"], [""], *[["loaf"]] * 70]
    together = [rows(hits) for hits in finder.retrieve(queries, 5)]
    assert together == [rows(finder.retrieve([query], 5)[0]) for query in queries]
    assert together[::-1] == [rows(hits) for hits in finder.retrieve(queries[::-1], 5)]


@pytest.mark.parametrize("labels", [[[], [], [], []], [[], [3], [], []]])
def test_examples_without_labels(labels):
    """They vote for nothing, and that is no error."""
    (hits,) = neighbours(labels=labels).retrieve([["rye"]], 5)
    assert set(hits.labels.tolist()) <= {3}
    assert np.isfinite(neighbours(labels=labels).log_shares(np.array([3, 5], np.int32))).all()


def test_without_examples_or_chunks_nothing_is_found():
    """No batch, no example, no other example than the own, and no chunk."""
    assert neighbours().retrieve([], 5) == []
    assert len(neighbours([], []).retrieve([["rye"]], 5)[0].labels) == 0
    assert len(neighbours([["rye"]], [[1]]).retrieve([["rye"]], 5, without=[(0,)])[0].labels) == 0
    assert len(neighbours().retrieve([[]], 5)[0].labels) == 0
    assert neighbours([], []).log_shares(np.array([0], np.int32)).tolist() == pytest.approx([math.log(0.5)])


def test_frequencies_are_smoothed_shares():
    """(count + 1/2) / (examples + 1); a label that an example repeats counts once."""
    shares = np.exp(neighbours().log_shares(np.array([2, 4, 7, 9, 0], np.int32)))
    assert shares.tolist() == pytest.approx([2.5 / 5, 2.5 / 5, 1.5 / 5, 1.5 / 5, 0.5 / 5])


@given(
    labels=st.lists(st.lists(st.integers(0, 6)), min_size=1, max_size=6),
    asked=st.lists(st.integers(0, 8)),
    without=st.one_of(st.none(), st.integers(0, 5)),
)
def test_frequencies_agree_with_counting(labels, asked, without):
    """Whatever the examples."""
    without = None if without is None or without >= len(labels) else without
    counted = [own for place, own in enumerate(labels) if place != without]
    finder = neighbours([[f"loaf {n}"] for n in range(len(labels))], labels)
    expected = [math.log((sum(label in own for own in counted) + 0.5) / (len(counted) + 1)) for label in asked]
    found = finder.log_shares(np.array(asked, dtype=np.int32), without=() if without is None else (without,))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_fingerprint_follows_the_examples():
    """Other texts, labels or numbers give others; the same labels in another order do not."""
    same = neighbours().fingerprint
    assert neighbours(labels=[[9, 4], [4], [2], [7, 2]]).fingerprint == same
    others = [
        neighbours(labels=[[4], [4], [2], [2]]),
        neighbours([["rye"], *LOAVES[1:]]),
        neighbours([["a rye loaf dark crumb"] if n == 1 else text for n, text in enumerate(LOAVES)]),
        neighbours(nearest=3),
        neighbours(power=2),
    ]
    assert len({same, *(other.fingerprint for other in others)}) == 6


def test_examples_are_given_in_chunks():
    """A text in place of its chunks would be read letter by letter, so it is refused; so are missing labels."""
    with pytest.raises(TypeError, match="a list of chunks"):
        neighbours(["rye"], [[1]])
    with pytest.raises(ValueError, match="1 examples with the labels of 2"):
        neighbours([["rye"]], [[1], [2]])
