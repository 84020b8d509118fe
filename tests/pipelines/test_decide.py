"""Decide: candidates and what a model says of them become one ranking with a final set; chunks become one document."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from labelmill import Candidate, Taxonomy
from labelmill.pipelines.decide import decide
from labelmill.pipelines.program import merge_rankings

TAXONOMY = Taxonomy.from_names([f"label {n}" for n in range(30)])
CANDIDATES = st.lists(st.tuples(st.integers(0, 29), st.floats(0, 1)), max_size=20, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [Candidate(label, score) for label, score in sorted(pairs, key=lambda pair: -pair[1])]
)
INDEXES = st.lists(st.integers(0, 19), unique=True, max_size=20)


@given(candidates=CANDIDATES, indexes=st.none() | INDEXES, top_k=st.integers(1, 25))
def test_every_candidate_is_ranked_once(candidates, indexes, top_k):
    """Ranks count from 1, scores never rise, and the final set is the beginning."""
    chosen = None if indexes is None else [index for index in indexes if index < len(candidates)]
    found = decide(TAXONOMY, candidates, chosen, top_k=top_k)
    assert [prediction.rank for prediction in found] == list(range(1, len(candidates) + 1))
    assert sorted(prediction.retrieval_rank for prediction in found) == [prediction.rank for prediction in found]
    assert all(before.score >= after.score for before, after in pairwise(found))
    size = min(top_k, len(candidates) if chosen is None else len(chosen))
    assert [prediction.selected for prediction in found] == [True] * size + [False] * (len(found) - size)
    for prediction in found:
        label = TAXONOMY.labels[candidates[prediction.retrieval_rank - 1].label]
        assert (prediction.label, prediction.name) == (label.id, label.name)
        assert prediction.retrieval_score == candidates[prediction.retrieval_rank - 1].score
    picked = chosen or []
    assert [prediction.retrieval_rank - 1 for prediction in found[: len(picked)]] == picked
    rest = [prediction.retrieval_rank for prediction in found[len(picked) :]]
    assert rest == sorted(rest)


def test_a_model_that_chooses_nothing_selects_nothing():
    """An empty answer is an answer: none of the candidates applies."""
    found = decide(TAXONOMY, [Candidate(3, 0.9), Candidate(1, 0.2)], [], top_k=5)
    assert [(prediction.name, prediction.selected) for prediction in found] == [("label 3", False), ("label 1", False)]


def test_what_was_chosen_scores_above_what_was_not():
    """Above 1 and at most 2, so even above a fused score of 1."""
    found = decide(TAXONOMY, [Candidate(n, 1.0) for n in range(4)], [2, 1], top_k=1)
    assert [prediction.name for prediction in found] == ["label 2", "label 1", "label 0", "label 3"]
    assert [prediction.score for prediction in found] == [2.0, 1.5, 1.0, 1.0]
    assert [prediction.selected for prediction in found] == [True, False, False, False]


@given(
    candidates=CANDIDATES,
    judged=st.lists(st.floats(0, 1), max_size=20),
    top_k=st.integers(1, 25),
    threshold=st.none() | st.floats(0, 1),
)
def test_probabilities_order_what_was_judged(candidates, judged, top_k, threshold):
    """By probability, ties in fusion order; the rest behind and below; the final set is likely enough."""
    judged = judged[: len(candidates)]
    found = decide(TAXONOMY, candidates, probabilities=judged, top_k=top_k, threshold=threshold)
    assert all(before.score >= after.score for before, after in pairwise(found))
    assert [prediction.rank for prediction in found] == list(range(1, len(candidates) + 1))
    for prediction in found[: len(judged)]:
        assert prediction.score == round(judged[prediction.retrieval_rank - 1], 6)
    for before, after in pairwise(found[: len(judged)]):
        assert before.score > after.score or before.retrieval_rank < after.retrieval_rank
    behind = found[len(judged) :]
    assert [prediction.retrieval_rank for prediction in behind] == list(range(len(judged) + 1, len(candidates) + 1))
    assert all(prediction.score < 0 for prediction in behind)
    for prediction in found:
        likely = threshold is None or prediction.score >= threshold
        assert prediction.selected == (prediction.rank <= min(top_k, len(judged)) and likely)


@given(candidates=CANDIDATES, indexes=st.none() | INDEXES, threshold=st.floats(0, 2))
def test_a_threshold_cuts_by_score(candidates, indexes, threshold):
    """With every kind of Rank: of what would be selected, only what scores enough is."""
    chosen = None if indexes is None else [index for index in indexes if index < len(candidates)]
    free = decide(TAXONOMY, candidates, chosen, top_k=3)
    cut = decide(TAXONOMY, candidates, chosen, top_k=3, threshold=threshold)
    assert [p.selected for p in cut] == [p.selected and p.score >= threshold for p in free]


@given(rankings=st.lists(INDEXES, max_size=6))
def test_merged_rankings_hold_every_choice_once(rankings):
    """And do not depend on the order of the chunks."""
    merged = merge_rankings(rankings)
    assert sorted(merged) == sorted({index for ranking in rankings for index in ranking})
    assert merge_rankings(rankings[::-1]) == merged or len(rankings) > 2  # floats add up in order


def test_one_chunk_keeps_its_order_and_more_chunks_count_more():
    """First in two chunks is before first in one; ties go by index."""
    assert merge_rankings([[4, 0, 2]]) == [4, 0, 2]
    assert merge_rankings([[4, 0], [1, 0], [1]]) == [1, 0, 4]
    assert merge_rankings([[7], [3], []]) == [3, 7]
    assert merge_rankings([]) == []


@given(candidates=CANDIDATES, thresholds=st.lists(st.floats(0, 2), min_size=30, max_size=30))
def test_a_label_is_held_to_its_own_threshold(candidates, thresholds):
    """A threshold per position of the taxonomy selects as so many runs with one threshold each."""
    found = decide(TAXONOMY, candidates, top_k=3, threshold=thresholds.__getitem__)
    for candidate, prediction in zip(candidates, found, strict=True):
        alone = decide(TAXONOMY, candidates, top_k=3, threshold=thresholds[candidate.label])
        assert prediction == alone[prediction.rank - 1]
