"""The nearest query against the definition written out, and what a batch must not mix."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.eval import nearest as module
from labelmill.eval.nearest import Nearest, nearest_queries


def grams(text: str) -> Counter[str]:
    """3-, 4- and 5-grams of each word with a blank on both sides, as scikit-learn's `char_wb` has them."""
    counts: Counter[str] = Counter()
    for word in text.lower().split():
        padded = f" {word} "
        for size in (3, 4, 5):
            counts[padded[:size]] += 1
            if size >= len(padded):
                break
            counts.update(padded[start : start + size] for start in range(1, len(padded) - size + 1))
    return counts


def cosine(one: str, other: str) -> float:
    a, b = grams(one), grams(other)
    length = math.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values()))
    return sum(count * b[gram] for gram, count in a.items()) / length if length else 0.0


words = st.text(alphabet="abcd", min_size=1, max_size=5)
phrases = st.lists(words, min_size=1, max_size=3).map(" ".join)
asked = st.lists(st.tuples(st.lists(phrases, min_size=1, max_size=3), st.lists(phrases, max_size=4)), max_size=5)


@given(asked)
@settings(max_examples=60)
def test_it_is_the_largest_cosine_within_each_pair(pairs):
    """Computed one by one; a query of another document is never the nearest."""
    found = nearest_queries(pairs)
    assert len(found) == len(pairs)
    for nearest, (names, queries) in zip(found, pairs, strict=True):
        best = max((cosine(name, query) for name in names for query in queries), default=0.0)
        assert nearest.similarity == pytest.approx(best, abs=2e-6)
        if nearest.query:
            assert nearest.query in queries
            assert max(cosine(name, nearest.query) for name in names) == pytest.approx(best, abs=2e-6)


@given(asked)
@settings(max_examples=30)
def test_batches_change_nothing(pairs):
    """Whatever the bound on memory, each label has the same nearest query."""
    whole = nearest_queries(pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAIRS", 2)
        assert nearest_queries(pairs) == whole


def test_an_equal_name_has_similarity_one_whatever_the_case():
    """Also where only an alias equals."""
    queries = ("Bake Bread", "loaves")
    assert nearest_queries([(["bake bread"], queries)]) == [Nearest("Bake Bread", 1.0)]
    assert nearest_queries([(["bread making", "LOAVES"], queries)]) == [Nearest("loaves", 1.0)]


def test_the_first_of_equally_near_queries_is_named():
    """So that phrases of a model, which stand first, are named before windows."""
    assert nearest_queries([(["rye"], ("RYE", "rye"))])[0].query == "RYE"


def test_nothing_asked_and_nothing_shared_is_no_query():
    """And no error, for documents of whose text nothing is left."""
    assert nearest_queries([]) == []
    nothing = [(["rye"], ()), (["rye"], ("",)), ([""], ("rye",)), (["rye"], ("oats",))]
    assert nearest_queries(nothing) == [Nearest()] * 4
