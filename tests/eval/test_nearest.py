"""The nearest query against the definition written out, against scikit-learn, and whatever else is asked with it."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from labelmill.eval import nearest as module
from labelmill.eval.nearest import Nearest, nearest_queries
from labelmill.eval.queries import Queries


def grams(text: str) -> Counter[int]:
    """3-, 4- and 5-grams of each word with a blank on both sides, as scikit-learn's `char_wb` has them.

    By their numbers: of the thousands that words of four letters have, some share one ("cbaa" and " b ").
    """
    counts: Counter[str] = Counter()
    for word in text.lower().split():
        padded = f" {word} "
        for size in (3, 4, 5):
            counts[padded[:size]] += 1
            if size >= len(padded):
                break
            counts.update(padded[start : start + size] for start in range(1, len(padded) - size + 1))
    numbers: Counter[int] = Counter()
    for gram, count in counts.items():
        numbers[abs(murmurhash3_32(gram)) % 2**20] += count
    return numbers


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


@given(st.lists(st.lists(phrases, min_size=1, max_size=3), max_size=5), st.lists(phrases, max_size=4))
@settings(max_examples=30)
def test_blocks_change_nothing(labels, queries):
    """Whatever the bound on memory, each label of a document has the same nearest query, as if it were alone."""
    whole = nearest_queries([(names, queries) for names in labels])
    assert whole == [nearest_queries([(names, queries)])[0] for names in labels]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_NAMES", 2)
        assert nearest_queries([(names, queries) for names in labels]) == whole


LETTERS = "aAbBßİΣσÉé 漢字-'"
odd = st.lists(st.text(alphabet=LETTERS, max_size=8), max_size=3).map(" ".join)


@given(st.lists(odd, min_size=1, max_size=3), st.lists(odd, max_size=6))
@settings(max_examples=200)
def test_it_is_the_first_of_what_scikit_learn_finds_nearest(names, queries):
    """To the last digit, letters that change their length in lower case included."""
    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=2**20, alternate_sign=False, norm=None
    )
    left, right = (vectorizer.transform([text.lower() for text in texts]) for texts in (names, queries or [""]))
    products = (left @ right.T).toarray()
    lengths = np.sqrt(left.multiply(left).sum(axis=1)) @ np.sqrt(right.multiply(right).sum(axis=1)).T
    lengths = np.asarray(lengths)
    cosines = np.round(np.divide(products, lengths, out=np.zeros_like(lengths), where=lengths > 0), 6).max(axis=0)
    best = int(cosines.argmax())
    expected = Nearest(queries[best], min(float(cosines[best]), 1.0)) if cosines[best] else Nearest()
    assert nearest_queries([(names, tuple(queries))]) == [expected]


@given(odd, st.lists(odd, max_size=2), st.lists(st.lists(words, max_size=6), max_size=3), st.data())
def test_runs_of_words_are_queries_like_others(name, texts, sequences, data):
    """A document's windows need not be written out; the nearest is."""
    runs = []
    for sequence in sequences:
        places = st.tuples(st.integers(0, len(sequence)), st.integers(0, len(sequence))).map(sorted)
        drawn = np.array(data.draw(st.lists(places, max_size=5)), dtype=np.intp).reshape(-1, 2)
        runs.append((sequence, drawn[:, 0], drawn[:, 1]))
    queries = Queries(texts, runs)
    written = [*texts, *(" ".join(s[a:b]) for s, starts, ends in runs for a, b in zip(starts, ends, strict=True))]
    assert list(queries) == queries[:] == written
    assert nearest_queries([([name], queries)]) == nearest_queries([([name], written)])


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
