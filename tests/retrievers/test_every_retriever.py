"""What every retriever does, whatever its kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelmill.records import Label
from labelmill.retrievers.base import Hits
from labelmill.taxonomy import Taxonomy

QUERIES = [
    ["dense dark rye bread"],
    [],
    ["a long thin baguette, crisp", "salted pretzel", "sourdough"],
    [""],
    ["qqq zzz 東京"],
    ["naan", "naan", "rye flour bread with butter"],
    ["pretzl and brioches"],
]

ODD_NAMES = [
    "salt, pepper: the basics",
    "the \"best\" loaf, 'ever'",
    "bread\nof two lines",
    "tab\tand \\ backslash",
    "пшеничный хлеб",
    "全粒粉のパン",
    "خبز القمح الكامل",
    "croissant 🥐🏽 family 👩‍👩‍👧",
    "c++ / c# -- [x](y) AND OR NOT (z)",
    "e\u0301clair \u200d\ufeff\u2028 end",
]


def found(hits: Hits) -> list[tuple[int, float, int]]:
    """Hits as rows."""
    return list(zip(hits.labels.tolist(), hits.scores.tolist(), hits.queries.tolist(), strict=True))


def check(hits: Hits, *, queries: list[str], k: int, labels: int) -> None:
    """See that hits have the shapes, types and order that the seam promises."""
    assert (hits.labels.dtype, hits.scores.dtype, hits.queries.dtype) == (np.int32, np.float32, np.int32)
    assert hits.labels.shape == hits.scores.shape == hits.queries.shape
    assert len(hits.labels) <= min(k, labels)
    assert len(set(hits.labels.tolist())) == len(hits.labels)
    assert np.isfinite(hits.scores).all()
    assert set(hits.labels.tolist()) <= set(range(labels))
    assert set(hits.queries.tolist()) <= set(range(len(queries)))
    keys = [(-score, label) for label, score, _ in found(hits)]
    assert keys == sorted(keys), "best first, ties by position"


def test_every_document_gets_hits_of_the_promised_form(backend):
    """Types, order, distinct labels, ties by position, queries that were asked."""
    results = backend.open().retrieve(QUERIES, 5)
    assert len(results) == len(QUERIES)
    for queries, hits in zip(QUERIES, results, strict=True):
        check(hits, queries=queries, k=5, labels=8)


def test_no_documents_give_no_hits(backend):
    """An empty batch is an empty list."""
    assert backend.open().retrieve([], 5) == []


def test_a_document_without_queries_finds_nothing(backend):
    """Alone, first, last or in the middle of a batch."""
    retriever = backend.open()
    assert [len(hits.labels) for hits in retriever.retrieve([[]], 5)] == [0]
    sizes = [len(hits.labels) > 0 for hits in retriever.retrieve([[], ["rye bread"], [], ["rye bread"], []], 5)]
    assert sizes == [False, True, False, True, False]


def test_the_best_hit_is_the_one_meant(backend):
    """What a label is called finds it first, in upper case too."""
    retriever = backend.open()
    described = {"baguette": ": long, thin, with a crisp crust.", "brioche": ": rich in butter and eggs."}
    for position, name in ((0, "rye bread"), (1, "sourdough"), (2, "baguette"), (4, "brioche"), (5, "pretzel")):
        query = name + described.get(name, "") if backend.name.endswith("descriptions") else name
        for spelled in (query, query.upper()):
            assert retriever.retrieve([[spelled]], 3)[0].labels[0] == position


@pytest.mark.parametrize("backend", ["dense-aliases", "bm25", "characters-aliases"], indirect=True)
def test_an_alias_finds_its_label(backend):
    """Where aliases are indexed, each finds its label."""
    retriever = backend.open()
    for query, position in (("pumpernickel", 0), ("levain loaf", 1), ("naan", 3), ("knäckebröd", 6)):
        assert retriever.retrieve([[query]], 3)[0].labels[0] == position


def test_words_that_no_label_has_are_no_error(backend):
    """Unknown words, marks and blanks give what there is, perhaps nothing."""
    strange = ["zxqv", "?!", "", " \n ", "\u200b", "AND", 'text:"x', "(", "*", "7" * 500, "wort " * 3000]
    for hits in backend.open().retrieve([[query] for query in strange], 5):
        check(hits, queries=[""], k=5, labels=8)


def test_more_are_asked_for_than_there_are(backend):
    """A number beyond the taxonomy gives every label at most once, and no filler."""
    (hits,) = backend.open().retrieve([["rye bread sourdough baguette pretzel"]], 1000)
    check(hits, queries=[""], k=1000, labels=8)
    assert len(hits.labels) >= 4


def test_fewer_are_a_beginning_of_more(backend):
    """The first k of a longer list are the shorter list."""
    retriever = backend.open()
    for queries in QUERIES:
        (long,) = retriever.retrieve([queries], 8)
        for k in (1, 2, 5):
            (short,) = retriever.retrieve([queries], k)
            assert found(short) == found(long)[:k]


def test_ties_are_broken_by_position(backend):
    """Among labels of one name, at every cut, the first in the taxonomy come first; no score tells them apart."""
    labels = [Label(str(number), "corn loaf" if number % 3 else "rye bread", (), "Plain.") for number in range(301)]
    retriever = backend.open(Taxonomy.from_labels(labels))
    expected = [number for number in range(301) if number % 3]
    for queries in (["corn loaf"], ["corn loaf", "loaf of corn"], ["corn"]):
        for k in (1, 2, 7, 100, 150):
            (hits,) = retriever.retrieve([queries], k)
            assert hits.labels.tolist() == expected[:k]
            assert len(set(hits.scores.tolist())) == 1


def test_one_labels_many_aliases_do_not_crowd_others_out(backend):
    """Fifty aliases that match better leave the second label its second place."""
    crowd = Label("0", "rye bread", tuple(f"rye bread number {number}" for number in range(50)), "rye bread " * 9)
    retriever = backend.open(Taxonomy.from_labels([crowd, Label("1", "corn bread"), Label("2", "white bread")]))
    (hits,) = retriever.retrieve([["rye bread number"]], 2)
    assert hits.labels[0] == 0
    assert len(hits.labels) == 2


def test_neighbours_in_the_batch_change_nothing(backend):
    """A document's hits are the same to the last bit alone, among others, and in another order."""
    retriever = backend.open()
    together = [found(hits) for hits in retriever.retrieve(QUERIES, 5)]
    alone = [found(retriever.retrieve([queries], 5)[0]) for queries in QUERIES]
    backwards = [found(hits) for hits in retriever.retrieve(QUERIES[::-1], 5)][::-1]
    crowded = [found(hits) for hits in retriever.retrieve([*QUERIES, *[["rye flour"] * 9] * 20], 5)]
    assert together == alone == backwards == crowded[: len(QUERIES)]


def test_a_score_is_the_maximum_over_the_queries(backend):
    """Each label scores what the best query alone gives it, and that query is the one that is named."""
    retriever = backend.open()
    queries = ["dark rye bread", "salted pretzel", "", "thin crisp baguette", "salted pretzel"]
    alone = [
        dict(zip(hits.labels.tolist(), hits.scores.tolist(), strict=True))
        for hits in retriever.retrieve([[q] for q in queries], 8)
    ]
    (together,) = retriever.retrieve([queries], 8)
    assert set(together.labels.tolist()) == {label for scores in alone for label in scores}
    for label, score, query in found(together):
        assert score == pytest.approx(max(scores.get(label, -2.0) for scores in alone), abs=1e-6)
        assert score == pytest.approx(alone[query][label], abs=1e-6)


def test_a_repeated_query_changes_nothing(backend):
    """The first of equal queries is named, and scores stay."""
    retriever = backend.open()
    (once,) = retriever.retrieve([["salted pretzel"]], 5)
    (thrice,) = retriever.retrieve([["salted pretzel"] * 3], 5)
    assert thrice.labels.tolist() == once.labels.tolist()
    np.testing.assert_allclose(thrice.scores, once.scores, atol=1e-6)
    assert set(thrice.queries.tolist()) == {0}


def test_names_of_any_script_and_mark(backend):
    """Commas, quotes, line breaks, emoji and every script: such a name finds its label."""
    retriever = backend.open(Taxonomy.from_names(ODD_NAMES))
    results = retriever.retrieve([[name] for name in ODD_NAMES], 3)
    assert [hits.labels[0] for hits in results] == list(range(len(ODD_NAMES)))


def test_a_taxonomy_of_one_label(backend):
    """The smallest taxonomy there is."""
    retriever = backend.open(Taxonomy.from_names(["sourdough"]))
    hits, nothing = retriever.retrieve([["sourdough", "sourdough bread"], []], 5)
    assert hits.labels.tolist() == [0]
    assert len(nothing.labels) == 0


def test_labels_without_any_letter(backend):
    """Names of marks alone can be indexed, beside names with words."""
    retriever = backend.open(Taxonomy.from_names(["…", "?", "sourdough", "🥖"]))
    (hits,) = retriever.retrieve([["sourdough"]], 1)
    assert hits.labels.tolist() == [2]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text("ab éß東🥖\n,", min_size=1).filter(str.strip), min_size=1, max_size=12, unique=True),
    queries=st.lists(st.lists(st.text("ab éß東🥖\n,")), max_size=4),
    k=st.integers(1, 14),
)
def test_any_taxonomy_and_any_queries(backend, names, queries, k):
    """Whatever the names and the queries, hits are of the promised form and do not depend on the batch."""
    retriever = backend.open(Taxonomy.from_names(names))
    results = retriever.retrieve(queries, k)
    assert len(results) == len(queries)
    for own, hits in zip(queries, results, strict=True):
        check(hits, queries=own, k=k, labels=len(names))
        assert found(hits) == found(retriever.retrieve([own], k)[0])
