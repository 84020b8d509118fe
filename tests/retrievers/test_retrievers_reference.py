"""Scores against plain definitions: dense by loops, characters by scikit-learn, BM25 by its formula, fusion by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from labelmill.records import Candidate, Label, LaneHit
from labelmill.retrievers.base import Hits, best_labels
from labelmill.retrievers.fusion import fuse
from labelmill.retrievers.index import Indexes
from labelmill.retrievers.views import names_and_aliases, names_with_descriptions
from labelmill.taxonomy import Taxonomy
from toy_embedder import HashedGrams

WORDS = [
    "rye",
    "dough",
    "oven",
    "salt",
    "flour",
    "water",
    "crumb",
    "proof",
    "starter",
    "banneton",
    "lame",
    "steam",
    "stone",
    "score",
    "shape",
    "fold",
]
DICE = random.Random(7)
LABELS = [
    Label(
        str(number),
        " ".join(DICE.choices(WORDS, k=2)) + f" {number}",
        tuple(" ".join(DICE.choices(WORDS, k=3)) for _ in range(DICE.randrange(4))),
        " ".join(DICE.choices(WORDS, k=DICE.randrange(9))),
    )
    for number in range(120)
]
TAXONOMY = Taxonomy.from_labels(LABELS)
QUERIES = [" ".join(DICE.choices(WORDS, k=4)) for _ in range(70)]


@pytest.fixture
def indexes(tmp_path):
    return Indexes(TAXONOMY, tmp_path)


def by_label(hits: Hits) -> dict[int, float]:
    return dict(zip(hits.labels.tolist(), hits.scores.tolist(), strict=True))


def spellings(label: Label) -> list[str]:
    return [label.name, *label.aliases]


def test_dense_is_the_best_cosine_over_queries_and_aliases(indexes):
    """More queries than one block, against a loop; vectors are kept in half precision."""
    embedder = HashedGrams()
    (hits,) = indexes.dense("aliases", embedder).retrieve([QUERIES], 120)
    cosine = {
        position: max(
            float(np.dot(query, text.astype(np.float16).astype(np.float32)))
            for query in embedder.embed(QUERIES)
            for text in embedder.embed(spellings(label))
        )
        for position, label in enumerate(LABELS)
    }
    assert by_label(hits) == pytest.approx(cosine, abs=1e-5)


def test_characters_is_the_tfidf_cosine_of_scikit_learn(indexes):
    """Same n-grams, same weights; hashing into 2^20 columns moves nothing by more than a collision."""
    view = names_and_aliases(LABELS)
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, dtype=np.float32)
    texts = vectorizer.fit_transform(view.texts)
    retriever = indexes.characters("aliases")
    for query in ["rye dough 7", "salted water", "stone oven steam"]:
        # The norm of a query counts its unknown n-grams too, where scikit-learn's leaves them out: compare directions.
        cosines = (texts @ vectorizer.transform([query]).T).toarray()[:, 0]
        expected = {label: cosines[view.owners == label].max() for label in range(120)}
        (hits,) = retriever.retrieve([[query]], 120)
        got = by_label(hits)
        top = max(got.values()) / max(expected.values())
        known = {label: score * top for label, score in expected.items() if score > 0}
        assert got == pytest.approx(known, rel=1e-3)


def test_bm25_is_its_formula(indexes):
    """k1 1.2, b 0.75, the idf that is never negative (Robertson and Zaragoza 2009, section 3.2), on words without endings."""
    texts = [" ".join((*spellings(label), label.description)).split() for label in LABELS]
    mean = sum(map(len, texts)) / len(texts)
    query = ["banneton", "lame", "salt", "7"]
    expected = {}
    for position, words in enumerate(texts):
        for word in query:
            holding = sum(word in other for other in texts)
            idf = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
            count = words.count(word)
            part = idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(words) / mean))
            expected[position] = expected.get(position, 0.0) + part
    (hits,) = indexes.bm25().retrieve([[" ".join(query)]], 120)
    assert by_label(hits) == pytest.approx({label: score for label, score in expected.items() if score}, rel=1e-5)


def test_bm25_folds_case_accents_and_endings(tmp_path):
    """Kneading finds knead; café finds cafe; the order of words says nothing."""
    retriever = Indexes(Taxonomy.from_names(["Knead the dough", "café CRÈME"]), tmp_path).bm25()
    knead, cafe = retriever.retrieve([["doughs, kneading"], ["creme cafe"]], 5)
    assert knead.labels.tolist() == [0]
    assert cafe.labels.tolist() == [1]


def test_views():
    """Names and aliases each once; names with what they mean."""
    labels = [Label("0", "rye", ("roggen", "rye", "roggen"), "A grain."), Label("1", "oats")]
    view = names_and_aliases(labels)
    assert (view.texts, view.owners.tolist()) == (["rye", "roggen", "oats"], [0, 0, 1])
    assert names_with_descriptions(labels).texts == ["rye: A grain.", "oats"]


@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.25, 0.5, 1.0]), max_size=30), st.integers(1, 35))
def test_best_labels_is_a_sorted_prefix(scores, k):
    """The k best by score and then by index, without minus infinity."""
    ordered = sorted((-score, index) for index, score in enumerate(scores) if score > -np.inf)
    assert best_labels(np.array(scores, np.float32), k).tolist() == [index for _, index in ordered][:k]


def hits(*labels: int) -> Hits:
    """Some hits, the queries taking turns."""
    count = len(labels)
    scores = np.linspace(1, 0.5, count, dtype=np.float32)
    return Hits(np.array(labels, np.int32), scores, np.arange(count, dtype=np.int32) % 2)


def test_fusion_is_the_weighted_sum_of_reciprocal_ranks():
    """By hand: first in every lane is 1; evidence names lane, rank, score and query."""
    lanes = {"a": hits(3, 5), "b": hits(3, 7, 5)}
    fused = fuse(lanes, {"a": 2.0, "b": 1.0}, {"a": ["x", "y"], "b": ["", ""]}, constant=10, k=2)
    assert fused == [
        Candidate(3, pytest.approx(1.0), (LaneHit("a", 1, 1.0, "x"), LaneHit("b", 1, 1.0, ""))),
        Candidate(
            5, pytest.approx((2 / 12 + 1 / 13) / (3 / 11)), (LaneHit("a", 2, 0.5, "y"), LaneHit("b", 3, 0.5, ""))
        ),
    ]


def test_fusion_breaks_ties_by_position():
    """Two labels that change places between equal lanes come in the taxonomy's order."""
    lanes = {"a": hits(9, 4), "b": hits(4, 9)}
    fused = fuse(lanes, {"a": 1.0, "b": 1.0}, {"a": ["", ""], "b": ["", ""]}, constant=10, k=5)
    assert [candidate.label for candidate in fused] == [4, 9]


def test_fusion_of_nothing_is_nothing():
    """No lane found anything: no candidates; one empty lane does not hide the other."""
    queries = {"a": [], "b": ["x", "x"]}
    assert fuse({"a": Hits.empty(), "b": Hits.empty()}, {"a": 1.0, "b": 1.0}, queries, constant=10, k=5) == []
    (only,) = fuse({"a": Hits.empty(), "b": hits(2)}, {"a": 1.0, "b": 1.0}, queries, constant=10, k=5)
    assert (only.label, only.score) == (2, pytest.approx(0.5))
