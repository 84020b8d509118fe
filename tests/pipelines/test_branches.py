"""The hierarchy in a program: final sets without ancestors, candidates shown with their parents, and keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill import Candidate, Taxonomy
from labelmill.errors import InputError
from labelmill.keys import content_key
from labelmill.pipelines.decide import decide
from labelmill.pipelines.program import PROGRAM_VERSION
from labelmill.pipelines.spec import remake
from labelmill.records import Label
from scripted import ScriptedModel

BAKING = Taxonomy.from_labels(
    [
        Label("food", "food"),
        Label("bread", "bake bread", parents=("food",)),
        Label("rye", "bake rye bread", parents=("bread",)),
        Label("sail", "sail small boats"),
        Label("sour", "bake sourdough bread", parents=("bread", "rye")),
    ]
)
CANDIDATES = st.lists(st.integers(0, 4), unique=True, max_size=5).map(
    lambda labels: [Candidate(label, 1 - place / 10) for place, label in enumerate(labels)]
)


@given(candidates=CANDIDATES, top_k=st.integers(1, 5))
def test_of_a_label_and_one_above_it_the_more_specific_stays(candidates, top_k):
    """Nothing is selected that would not be without this, every ranking stays, and no pair is left."""
    plain = decide(BAKING, candidates, top_k=top_k)
    found = decide(BAKING, candidates, top_k=top_k, no_ancestors=True)
    assert [(each.label, each.rank, each.score) for each in found] == [
        (each.label, each.rank, each.score) for each in plain
    ]
    before = {each.label for each in plain if each.selected}
    after = {each.label for each in found if each.selected}
    above = {
        label.id: {BAKING[place].id for place in BAKING.ancestors(position)} for position, label in enumerate(BAKING)
    }
    assert after == {label for label in before if not any(label in above[other] for other in before)}


def test_labels_that_are_left_out_still_lie_between(make_labeler):
    """A run over a part knows from the whole that sourdough is food."""
    part = BAKING.where("id IN ('food', 'sour', 'sail')")
    candidates = [Candidate(0, 0.9), Candidate(2, 0.8), Candidate(1, 0.7)]
    found = decide(part, candidates, top_k=3, no_ancestors=True)
    assert [each.label for each in found if each.selected] == ["sour", "sail"]


@pytest.mark.parametrize("rank", ["listwise", "pointwise", "whole"])
def test_a_model_is_shown_where_candidates_stand(make_labeler, rank):
    """Names with those above them, in every kind of Rank; what is answered are numbers as ever."""
    model = ScriptedModel()
    labeler = make_labeler(model, taxonomy=BAKING, rank=rank, shown_parents=2, candidates=5, infer="windows")
    program = labeler.program
    if rank == "whole":
        assert b"bake rye bread (bake bread > food)" in program.rank.request("a text", "m")
    else:
        names = program.names([Candidate(2, 1.0), Candidate(0, 0.5)])
        assert names == ["bake rye bread (bake bread > food)", "food"]
        assert program.names([Candidate(4, 1.0)]) == ["bake sourdough bread (bake bread > food)"]
    if rank != "pointwise":
        chosen = [p.label for p in labeler.label(["They bake rye bread and sail."])[0]]
        assert set(chosen) <= {label.id for label in BAKING}
        assert chosen


def test_a_specification_of_before_keeps_its_key(make_labeler):
    """Runs that were made before these settings go on: at their defaults, neither is in the key."""
    program = make_labeler(taxonomy=BAKING, candidates=5).program
    known = {"task", "prompts", "embedders", "lanes", "usages", "scorers", "pool", "examples", "fusion", "learned_from"}
    before = program.spec.model_dump(
        mode="json", exclude=known | {"shown_parents", "no_ancestors", "student", "cascade"}
    )
    parts = PROGRAM_VERSION, before, BAKING.key, program.retrieve.fingerprint, [None, None]
    assert program.key == content_key(*parts)


def test_what_uses_the_hierarchy_has_the_whole_in_its_key(make_labeler):
    """Another label above those of the run changes prompts and final sets, and so the key; else it does not."""
    keys = []
    for name in ("food", "foods"):
        whole = Taxonomy.from_labels([Label("food", name), *BAKING.labels[1:]])
        part = whole.where("id <> 'food'")
        program = make_labeler(taxonomy=part, candidates=4).program
        strict = make_labeler(taxonomy=part, candidates=4, no_ancestors=True).program
        keys.append((program.key, strict.key))
    assert keys[0][0] == keys[1][0]
    assert keys[0][1] != keys[1][1]
    assert keys[0][0] != keys[0][1]


def test_bad_settings_are_one_line(make_labeler):
    program = make_labeler(taxonomy=BAKING, candidates=5).program
    with pytest.raises(InputError, match="shown_parents"):
        remake(program.spec, shown_parents=-1)
