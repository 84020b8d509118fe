"""What stands above and below each label, held against walks written the long way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.errors import TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy import Lineage, Taxonomy

# A label's parents come before it, so that there is no cycle; "gone" is a parent that is no label.
DAGS = st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=14).map(
    lambda rows: [
        Label(str(place), f"label {place}", parents=tuple(str(above) if above < place else "gone" for above in row))
        for place, row in enumerate(rows)
    ]
)
GRAPHS = st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=10).map(
    lambda rows: [Label(str(place), "x", parents=tuple(map(str, row))) for place, row in enumerate(rows)]
)


def ways_up(labels: list[Label], place: int) -> list[list[int]]:
    """Every way from a label to a top, the label first."""
    above = [int(parent) for parent in labels[place].parents if parent != "gone"]
    return [[place, *way] for parent in above for way in ways_up(labels, parent)] or [[place]]


@given(labels=DAGS)
def test_ancestors_depths_and_paths_are_those_of_the_ways_to_the_top(labels):
    """Ancestors are all that any way meets; the depth is the length of the shortest way; the path follows first parents."""
    lineage = Lineage(labels)
    for place, label in enumerate(labels):
        ways = ways_up(labels, place)
        assert set(lineage.ancestors(place)) == {above for way in ways for above in way[1:]}
        assert len(set(lineage.ancestors(place))) == len(lineage.ancestors(place))
        assert lineage.depth(place) == min(map(len, ways))
        path = lineage.path(place)
        assert list(reversed(path)) in ways
        firsts = [next((p for p in labels[each].parents if p != "gone"), None) for each in path]
        assert firsts == [None, *(str(each) for each in path[:-1])]
        assert place in lineage.tops or label.parents


@given(labels=DAGS)
def test_below_is_above_read_backwards(labels):
    """A label is among the descendants of its ancestors and of nothing else; a branch is its root and these."""
    lineage = Lineage(labels)
    for place in range(len(labels)):
        assert set(lineage.descendants(place)) == {o for o in range(len(labels)) if place in lineage.ancestors(o)}
        assert lineage.branch([place]) == sorted({place, *lineage.descendants(place)})
    assert lineage.branch(lineage.tops) == list(range(len(labels)))


@given(labels=DAGS, depth=st.integers(1, 6))
def test_rolled_up_labels_lie_at_the_depth_and_above(labels, depth):
    """Nothing deeper is left, nothing is lost, and what is not too deep stays as it is."""
    lineage = Lineage(labels)
    for place in range(len(labels)):
        rolled = lineage.at_depth(place, depth)
        assert rolled
        assert all(lineage.depth(above) <= depth for above in rolled)
        assert rolled == (place,) if lineage.depth(place) <= depth else place not in rolled
        assert set(rolled) <= {place, *lineage.ancestors(place)}


@given(labels=DAGS, chosen=st.sets(st.integers(0, 13)))
def test_the_most_specific_are_those_with_nothing_chosen_below(labels, chosen):
    """No label stays with one of its ancestors, and each that goes has a descendant that stays."""
    lineage = Lineage(labels)
    given_labels = {place for place in chosen if place < len(labels)}
    kept = lineage.most_specific(given_labels)
    assert kept <= given_labels
    for place in kept:
        assert not kept & set(lineage.ancestors(place))
    for place in given_labels - kept:
        assert kept & set(lineage.descendants(place))


@given(labels=GRAPHS)
def test_a_cycle_that_nobody_checked_ends(labels):
    """Every walk ends, and no label stands above itself."""
    lineage = Lineage(labels)
    for place in range(len(labels)):
        assert place not in lineage.ancestors(place)
        assert place not in lineage.descendants(place)
        assert lineage.path(place)[-1] == place
        assert lineage.depth(place) >= 1
        assert lineage.at_depth(place, 1)
    assert lineage.most_specific(range(len(labels)))


def test_a_chain_as_deep_as_the_taxonomy_is_walked():
    """Depth is no matter of the interpreter's recursion limit."""
    labels = [Label(str(n), "x", parents=(str(n - 1),)) for n in range(20_000)]
    lineage = Lineage(labels)
    assert lineage.depth(19_999) == 20_000
    assert len(lineage.ancestors(19_999)) == len(lineage.descendants(0)) == 19_999
    assert lineage.at_depth(19_999, 7) == (6,)


FOOD = [
    Label("f", "food", fields={"kind": "group"}),
    Label("b", "bread", parents=("f",), fields={"kind": "group"}),
    Label("r", "rye bread", parents=("b",), fields={"kind": "item"}),
    Label("s", "sourdough rye", parents=("r", "gone"), fields={"kind": "item"}),
    Label("t", "tools", fields={"kind": "group"}),
    Label("p", "bread pan", parents=("t", "b"), fields={"kind": "item"}),
]


@pytest.fixture
def food() -> Taxonomy:
    return Taxonomy.from_labels(FOOD)


def test_a_branch_is_kept_by_id_or_name_in_order(food):
    """The label itself and all below it, once each, whichever parent leads there; several branches add up."""
    assert [label.id for label in food.under(["bread"])] == ["b", "r", "s", "p"]
    assert [label.id for label in food.under(["r", "t"])] == ["r", "s", "t", "p"]


def test_a_branch_and_a_condition_go_together_in_either_order(food):
    """What lies between a label and the branch's root may be left out, or the root itself."""
    first = food.where("kind = 'item'").under(["food"])
    second = food.under(["food"]).where("kind = 'item'")
    assert [label.id for label in first] == [label.id for label in second] == ["r", "s", "p"]
    assert first.key == second.key


def test_a_branch_that_is_not_there_is_one_line(food, tmp_path):
    """An unknown name suggests another, an ambiguous one asks for an id, an empty branch says so."""
    with pytest.raises(TaxonomyError, match=r"the name 'bred'\. Did you mean 'bread'\?$"):
        food.under(["bred"])
    twice = Taxonomy.from_labels([Label("1", "rye"), Label("2", "rye")])
    with pytest.raises(TaxonomyError, match=r"2 labels are named 'rye'\. Name it by its id: '1', '2'\.$"):
        twice.under(["rye"])
    with pytest.raises(TaxonomyError, match=r"none of 3 labels is under 't'"):
        food.where("id IN ('f', 'b', 'r')").under(["t"])
    path = tmp_path / "food.txt"
    path.write_text("food\nbread\n")
    with pytest.raises(TaxonomyError, match=r"food\.txt: no label has the id or the name 'wine'"):
        Taxonomy.read(path, under=["wine"])


def test_a_title_names_what_stands_above_the_nearest_first(food):
    """Labels that are not kept are named all the same; a top has nothing to name."""
    assert food.title(3, 2) == "sourdough rye (rye bread > bread)"
    assert food.title(3, 9) == "sourdough rye (rye bread > bread > food)"
    items = food.where("kind = 'item'")
    assert items.title(0, 1) == "rye bread (bread)"
    assert items.title(0, 0) == "rye bread"
    assert food.title(0, 3) == "food"


def test_the_most_specific_of_a_part_knows_what_lies_between(food):
    """Sourdough rye is below food by way of labels that are not kept."""
    part = food.where("id IN ('f', 's', 't')")
    assert part.most_specific([0, 1, 2]) == {1, 2}
