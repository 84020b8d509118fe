"""Evidence: a number for every name, finite whatever was not found, and the same in any company."""

from __future__ import annotations

import numpy as np
import pytest
from workshop import diary, workshop

from labelmill import Taxonomy
from labelmill.errors import InputError
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.evidence import OF_A_LANE, Evidence
from labelmill.pipelines.spec import LabelledText, make_spec
from labelmill.records import Label
from labelmill.retrievers.base import Hits
from toy_embedder import HashedWords

SCORERS = ("late", "overlap", "competition")
LANES = {
    "names/text": 1.0,
    "names/windows": 2.0,
    "bm25/text": 1.0,
    "aliases.characters/text": 1.0,
    "neighbours/text": 1.0,
    "classifier/text": 1.0,
}


@pytest.fixture
def program():
    """Every kind of lane and scorer, over ten labelled entries."""
    examples = [LabelledText(text=entry.text, labels=_ids(entry)) for entry in diary(10)]
    spec = make_spec(embedders=("toy",), lanes=LANES, scorers=SCORERS, examples=tuple(examples), pool=15)
    return assemble(spec, workshop(), embedders=[HashedWords()], learning=True)


def _ids(entry):
    return tuple(label.id for label in workshop().labels if label.name in entry.labels)


def queries(program, texts):
    return [program.queries([text], []) for text in texts]


def column(program, pool, name):
    return pool.values[:, program.retrieve.reordering.evidence.columns.index(name)]


def hits(*scored):
    labels, scores = zip(*scored, strict=True)
    return Hits(np.array(labels, np.int32), np.array(scores, np.float32), np.zeros(len(labels), np.int32))


NINE = (Label("a", "a"),) * 9


def matrix(pool, found, labels=NINE, depth=4):
    evidence = Evidence(labels, list(found), [], depth)
    fused = np.linspace(1, 0.5, len(pool))
    (made,) = evidence.matrices(
        [["a text"]], [["text"]], [np.array(pool, np.int32)], [fused], [found], [None], seconds={}
    )
    return dict(zip(evidence.columns, made.T, strict=True))


def test_every_column_has_a_name(program):
    """As many as there are names, each name once, for one document and for one that nothing is found for."""
    columns = program.retrieve.reordering.evidence.columns
    assert len(set(columns)) == len(columns)
    for pool in program.retrieve.gather(queries(program, [entry.text for entry in diary(3)] + ["?"])):
        assert pool.values.shape == (len(pool.candidates), len(columns))
        assert np.isfinite(pool.values).all()


def test_a_lane_says_score_z_and_rank():
    """As worked out by hand; the gap is to the last hit."""
    found = matrix([3, 5], {"lane": hits((3, 0.9), (7, 0.6), (5, 0.3))})
    np.testing.assert_allclose(found["lane.score"], [0.9, 0.3], atol=1e-5)
    np.testing.assert_allclose(found["lane.z"], [1.22474, -1.22474], atol=1e-4)
    np.testing.assert_allclose(found["lane.log_rank"], [0, -np.log(3)], atol=1e-5)
    np.testing.assert_allclose(found["lane.reciprocal_rank"], [1 / 11, 1 / 13], atol=1e-5)
    np.testing.assert_allclose(found["lane.gap"], [0.6, 0.0], atol=1e-5)


def test_what_a_lane_did_not_find_stands_behind_all_that_it_did():
    """With the score of its last hit, at twice the depth."""
    found = matrix([3, 8], {"lane": hits((3, 0.9), (7, 0.3))}, depth=4)
    assert found["lane.score"][1] == pytest.approx(0.3)
    assert found["lane.gap"][1] == 0
    assert found["lane.log_rank"][1] == pytest.approx(-np.log(8), abs=1e-5)
    assert found["lane.reciprocal_rank"][1] == pytest.approx(1 / 18, abs=1e-5)


def test_a_lane_that_found_nothing_says_nothing():
    """Zeros for its scores, and the same rank for all."""
    found = matrix([3, 8], {"lane": Hits.empty(), "other": hits((3, 0.5), (8, 0.2))})
    for name in ("score", "z", "gap"):
        np.testing.assert_array_equal(found[f"lane.{name}"], [0, 0])
    assert len(set(found["lane.log_rank"])) == 1
    np.testing.assert_allclose(found["lanes.top_1"], [0.5, 0.0])
    np.testing.assert_allclose(found["lanes.top_3"], [0.5, 0.5])
    np.testing.assert_allclose(found["lanes.best_log_rank"], [0, -np.log(2)], atol=1e-5)


def test_no_candidates_make_no_rows():
    """An empty pool is a matrix of no rows and all columns."""
    found = matrix([], {"lane": Hits.empty(), "other": hits((3, 0.5))})
    assert all(values.shape == (0,) for values in found.values())
    assert len(found) > 2 * len(OF_A_LANE)


def test_a_label_speaks_for_itself():
    """Words of its name, aliases, prior, parents, and siblings among the candidates, itself not counted.

    A prior that is not known is half of the least that is, whatever unit priors have.
    """
    labels = [
        Label("p", "parent"),
        Label("a", "one two three", aliases=("x", "y"), parents=("p",), prior=0.5),
        Label("b", "word", parents=("p",)),
        Label("c", "word", parents=("q",)),
    ]
    found = matrix([1, 2, 3, 0], {"lane": hits((1, 1.0))}, labels)
    np.testing.assert_allclose(found["label.log_words"], np.log1p([3, 1, 1, 1]), atol=1e-5)
    np.testing.assert_allclose(found["label.log_aliases"], np.log1p([2, 0, 0, 0]), atol=1e-5)
    np.testing.assert_allclose(found["label.log_prior"], np.log([0.5, 0.25, 0.25, 0.25]), atol=1e-5)
    np.testing.assert_array_equal(found["label.parents"], [1, 1, 1, 0])
    np.testing.assert_array_equal(found["label.siblings_found"], [1, 1, 0, 0])
    np.testing.assert_allclose(found["text.log_words"], np.log1p(2), atol=1e-5)


def test_an_embedders_address_is_in_no_name():
    """A server that moved has the same columns."""
    lanes = ["names.m@http://10.0.0.1:8000/v1/windows", "names.m@http://other/v1/windows"]
    here, there = (Evidence([], [lane], [], 4).columns for lane in lanes)
    assert here == there
    assert here[0] == "names.m/windows.score"


def test_a_document_alone_has_the_evidence_that_it_has_in_a_batch(program):
    """Bit for bit, with whatever company; and so have its candidates."""
    asked = queries(program, [entry.text for entry in diary(6, seed=3)] + ["!", "Kettles, and kettles again. " * 40])
    together = program.retrieve.gather(asked)
    backwards = program.retrieve.gather(asked[::-1])[::-1]
    for place, query in enumerate(asked):
        (alone,) = program.retrieve.gather([query])
        for other in (together[place], backwards[place]):
            assert alone.candidates == other.candidates
            np.testing.assert_array_equal(alone.values, other.values)


def test_a_documents_own_example_says_nothing_of_it():
    """Its candidates and their evidence are those of a program without that example; the others of the batch keep theirs."""
    entries = diary(10)
    examples = [LabelledText(text=entry.text, labels=_ids(entry)) for entry in entries]
    lanes = {name: weight for name, weight in LANES.items() if not name.startswith("classifier")}

    def made(some):
        spec = make_spec(embedders=("toy",), lanes=lanes, examples=tuple(some), pool=15)
        return assemble(spec, workshop(), embedders=[HashedWords()], learning=True)

    program = made(examples)
    together = program.retrieve.gather(queries(program, [entry.text for entry in entries]))
    for place in (0, 7):
        without = made([*examples[:place], *examples[place + 1 :]])
        (new,) = without.retrieve.gather(queries(without, [entries[place].text]))
        assert [each.label for each in new.candidates] == [each.label for each in together[place].candidates]
        np.testing.assert_allclose(new.values, together[place].values, atol=2e-5)
    (changed,) = program.retrieve.gather(queries(program, [f"{entries[0].text} Again."]))
    name = "neighbours.toy/text.score"
    assert column(program, changed, name).max() > column(program, together[0], name).max()


def test_time_is_noted_under_the_names_of_lanes_and_scorers(program):
    """What tuning reckons the cost of a part by."""
    program.retrieve.gather(queries(program, ["The clocks were repaired."]))
    names = {lane.name for lane in program.retrieve.lanes}
    assert names < set(program.retrieve.seconds)
    assert len(program.retrieve.seconds) == len(names) + len(SCORERS)


@pytest.mark.parametrize("lanes", [{}, {"names/phrases": 1.0}, {"neighbours/text": 1.0}])
def test_a_program_without_a_lane_is_refused(lanes):
    """None named, none of the kind of query that there is, or none that anything could be found in."""
    with pytest.raises(InputError, match="nothing to retrieve with"):
        assemble(make_spec(embedders=("toy",), lanes=lanes), workshop(), embedders=[HashedWords()])


def test_a_lane_that_there_is_none_of_is_refused():
    """With those that there are."""
    with pytest.raises(InputError, match=r"no lane 'names/voice'\. A lane is one of names, .*windows"):
        assemble(make_spec(embedders=("toy",), lanes={"names/voice": 1.0}), workshop(), embedders=[HashedWords()])


def test_late_interaction_needs_vectors_of_tokens():
    """Said when the program is made, not when it runs."""
    from toy_embedder import HashedGrams

    with pytest.raises(InputError, match="late interaction needs the embedder minilm"):
        assemble(make_spec(embedders=("toy",), scorers=("late",)), workshop(), embedders=[HashedGrams()], learning=True)


def test_examples_are_part_of_a_programs_key():
    """With and without learned fusion: other examples, other candidates."""
    lanes, keys = {"neighbours/text": 1.0, "bm25/text": 1.0}, set()
    for text in ("clocks", "boats"):
        examples = (LabelledText(text=text, labels=(workshop().labels[0].id,)),)
        for learning in (False, True):
            spec = make_spec(embedders=("toy",), lanes=lanes, examples=examples)
            keys.add(assemble(spec, workshop(), embedders=[HashedWords()], learning=learning).key)
    assert len(keys) == 4


def test_priors_are_part_of_what_evidence_says():
    """Two taxonomies that differ in a prior have one key, but not one fusion's candidates."""
    one, two = (Taxonomy([Label("a", "clocks", prior=prior), Label("b", "boats")]) for prior in (0.1, 0.9))
    spec = make_spec(embedders=("toy",), lanes={"bm25/text": 1.0})
    keys = [assemble(spec, each, embedders=[HashedWords()], learning=True).key for each in (one, two)]
    assert keys[0] != keys[1]
